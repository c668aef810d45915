"""Files that claim to be videos: damaged, cut, of other kinds, with lies in their headers, and lists that name other files.

`broken_files` writes them; `examine` does with one what a worker does before a network sees it. Each must end as a video
that is used as far as it is good, or in one clear error; nothing may crash, hang, or open anything else.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

from benchmarks.alignment.encode import Recipe, Sound, encode, steady
from ml_backend.errors import VideoUnreadable
from ml_backend.video.decode import decode
from ml_backend.video.inspection import inspect
from ml_backend.video.timeline import read_timeline, studio_grid

FRAMES = 24
# Suffix: codec, of the good clips that are damaged.
_CODECS = {
    ".mp4": "libx264",
    ".mkv": "libx264",
    ".webm": "libvpx-vp9",
    ".avi": "mpeg4",
    ".ts": "libx264",
    ".flv": "libx264",
}
_CUTS = (0.01, 0.1, 0.5, 0.9, 0.999)
_FLIPS = (1, 10, 100, 1000)
_SEEDS = range(3)


def lists() -> tuple[str, ...]:
    """Those of `broken_files` that are no videos but name others."""
    return tuple(_LISTS)


def names() -> list[str]:
    """What `broken_files` writes, without writing it."""
    return [
        *(f"{kind}{suffix}" for suffix in _CODECS for kind in _damages()),
        *_OTHER_KINDS,
        *_LISTS,
        *_LIES,
        *(f"wrong-suffix{suffix}" for suffix in _WRONG_SUFFIXES),
    ]


def broken_files(folder: Path, trap: str) -> dict[str, Path]:
    """Writes all of them into `folder`. `trap`: an http address that nothing must ask for; the lists name it."""
    good = _good_clips(folder)
    made = {}
    for suffix, content in good.items():
        for kind, damage in _damages().items():
            made[f"{kind}{suffix}"] = damage(content)
    (folder / "secret.mp4").write_bytes(good[".mp4"])
    for name, content in _OTHER_KINDS.items():
        made[name] = content
    for name, text in _LISTS.items():
        made[name] = text.replace("TRAP", trap).replace("FOLDER", str(folder)).encode()
    for name, lie in _LIES.items():
        made[name] = lie(good, trap)
    for suffix in _WRONG_SUFFIXES:
        made[f"wrong-suffix{suffix}"] = good[".mp4"]
    paths = {}
    for name, content in made.items():
        paths[name] = folder / name
        paths[name].write_bytes(content)
    return paths


def examine(path: Path) -> tuple[int | None, str | None]:
    """Inspects, decodes and counts a file as a worker does; returns how many frames are good, or the error that a person
    reads. Raises nothing that a worker would not expect."""
    for finding in inspect(path, 25.0, thorough=True):
        if not finding.message or not finding.remedy:
            raise AssertionError(f"a finding of {path.name} says nothing")
    try:
        timeline = read_timeline(path)
        frames = sum(picture.grey.shape == (64, 64) for picture in decode(path, timeline))
        studio_grid(timeline, 25.0)
    except VideoUnreadable as error:
        return None, str(error)
    return frames, None


def _good_clips(folder: Path) -> dict[str, bytes]:
    found = {}
    for suffix, codec in _CODECS.items():
        sound = Sound(seconds=Fraction(1)) if suffix in (".mp4", ".mkv") else None
        path = folder / f"good{suffix}"
        # MPEG-4 has no finer clock than 16 bits.
        clock = Fraction(1, 25) if codec == "mpeg4" else Fraction(1, 90_000)
        encode(path, Recipe(steady(25, FRAMES), codec, time_base=clock, sound=sound, size=(160, 96)))
        found[suffix] = path.read_bytes()
    return found


def _damages() -> dict[str, Callable[[bytes], bytes]]:
    def cut(share: float) -> Callable[[bytes], bytes]:
        return lambda content: content[: max(1, int(len(content) * share))]

    def flip(bits: int, seed: int) -> Callable[[bytes], bytes]:
        def damage(content: bytes) -> bytes:
            dice, changed = random.Random(f"{bits} {seed}"), bytearray(content)
            for _ in range(bits):
                changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
            return bytes(changed)

        return damage

    return {
        **{f"cut-{share:g}": cut(share) for share in _CUTS},
        **{f"flipped-{bits}-{seed}": flip(bits, seed) for bits in _FLIPS for seed in _SEEDS},
        "hole": lambda content: (
            content[: len(content) // 3] + bytes(len(content) // 3) + content[len(content) // 3 * 2 :]
        ),
        "headless": lambda content: content[len(content) // 4 :],
        "twice": lambda content: content + content,
        "shifted": lambda content: b"\0" + content,
    }


_PICTURE = bytes.fromhex(  # a PNG of one pixel
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415478da63f8ffff3f0005fe02fe0def46b80000000049454e44ae426082"
)
_OTHER_KINDS: dict[str, bytes] = {
    "empty.mp4": b"",
    "one-byte.mp4": b"\0",
    "zeros.mp4": bytes(100_000),
    "noise.mp4": random.Random(1).randbytes(100_000),
    "noise.ts": b"".join(b"\x47" + random.Random(n).randbytes(187) for n in range(400)),
    "text.mp4": b"This is no video.\n" * 1000,
    "page.mp4": b"<!DOCTYPE html><html><body><video src=a.mp4></video></body></html>",
    "picture.mp4": _PICTURE,
    "picture.png": _PICTURE,
    "archive.mp4": b"PK\x03\x04" + bytes(1000),
    "program.mp4": b"\x7fELF" + bytes(1000),
    "script.mp4": b"#!/bin/sh\ntouch /tmp/owned\n",
    "sound.mp4": b"RIFF\x24\x08\x00\x00WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\0\x08\0\0"
    + bytes(2048),
    "subtitles.mp4": b"1\n00:00:00,000 --> 00:00:01,000\nhello\n\n",
    "vector.mp4": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
}

_HLS = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:5\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:5,\n{}\n#EXT-X-ENDLIST\n"
_LISTS: dict[str, str] = {
    "hls.m3u8": _HLS.format("TRAP/a.ts"),
    "hls.mp4": _HLS.format("TRAP/a.mp4"),
    "hls-passwd.m3u8": _HLS.format("file:///etc/passwd"),
    "hls-passwd.txt.m3u8": _HLS.format("/etc/passwd"),
    "hls-neighbour.m3u8": _HLS.format("secret.mp4"),
    "hls-concat.m3u8": _HLS.format("concat:TRAP/a.txt|file:///etc/passwd"),
    "hls-subfile.m3u8": _HLS.format("subfile,,start,0,end,100,,:/etc/passwd"),
    "hls-data.m3u8": _HLS.format("data:video/mp4;base64,AAAA"),
    "hls-key.m3u8": _HLS.format("secret.mp4").replace("#EXTINF", '#EXT-X-KEY:METHOD=AES-128,URI="TRAP/key"\n#EXTINF'),
    "hls-map.m3u8": _HLS.format("secret.mp4").replace("#EXTINF", '#EXT-X-MAP:URI="TRAP/init.mp4"\n#EXTINF'),
    "hls-master.m3u8": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nTRAP/b.m3u8\n",
    "playlist.m3u": "TRAP/a.mp4\n/etc/passwd\n",
    "concat.mp4": "ffconcat version 1.0\nfile secret.mp4\n",
    "concat-trap.txt": "ffconcat version 1.0\nfile TRAP/a.mp4\n",
    "concat-passwd.txt": "ffconcat version 1.0\nfile /etc/passwd\n",
    "concat-absolute.txt": "ffconcat version 1.0\nfile FOLDER/secret.mp4\n",
    "session.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    "dash.mpd": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT5S"><Period>'
    '<AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1"><BaseURL>TRAP/a.mp4</BaseURL></Representation>'
    "</AdaptationSet></Period></MPD>",
    "entities.mpd": '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><MPD xmlns="urn:mpeg:dash:schema:mpd:2011">'
    "<Period><BaseURL>&e;</BaseURL></Period></MPD>",
    "smooth.ism": '<SmoothStreamingMedia MajorVersion="2"><StreamIndex Type="video" Url="TRAP/a"/></SmoothStreamingMedia>',
    "metafile.asx": '<asx version="3.0"><entry><ref href="TRAP/a"/></entry></asx>',
    "metafile.ram": "rtsp://127.0.0.1/a.rm\n",
    "metafile.smil": '<smil><body><video src="TRAP/a.mp4"/></body></smil>',
    "script.avs": 'AVISource("FOLDER/secret.mp4")\n',
    "rtsptext.mp4": "RTSPtextTRAP/a.mov",
    "metadata.mp4": ";FFMETADATA1\ntitle=x\n",
    "movies.pls": "[playlist]\nFile1=TRAP/a.mp4\nNumberOfEntries=1\n",
    "picture-%03d.png": "x",
    "vobsub.idx": "# VobSub index file, v7\nsize: 720x576\nid: en, index: 0\ntimestamp: 00:00:00:000, filepos: 000000000\n",
}
_WRONG_SUFFIXES = (".m3u8", ".txt", ".jpg", ".png", ".sdp", ".mkv", ".avi", ".ts", ".h264", ".yuv", ".idx", ".mp3")


Lie = Callable[[dict[str, bytes], str], bytes]


def _in_mp4(box: str, change: Callable[[bytes], bytes]) -> Lie:
    return lambda good, _: _changed(good[".mp4"], box.split("/"), change)


def _changed(content: bytes, path: list[str], change: Callable[[bytes], bytes]) -> bytes:
    """An MP4 file of which the box at `path` holds what `change` makes of its content; the boxes around it grow with it."""
    made = b""
    done = False
    for kind, body in _boxes(content):
        if kind == path[0].encode() and not done:
            done = True
            # A table of entries has a version, flags and a number before them.
            skip = 8 if kind in (b"dref", b"stsd") else 0
            body = change(body) if len(path) == 1 else body[:skip] + _changed(body[skip:], path[1:], change)
        made += struct.pack(">I", len(body) + 8) + kind + body
    if not done:
        raise AssertionError(f"the file has no box {path[0]}")
    return made


def _boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + 8 <= len(content):
        size = struct.unpack(">I", content[at : at + 4])[0]
        yield content[at + 4 : at + 8], content[at + 8 : at + size]
        at += size


_MEDIA = "moov/trak/mdia"
_TABLES = f"{_MEDIA}/minf/stbl"


def _put(at: int, value: bytes) -> Callable[[bytes], bytes]:
    return lambda body: body[:at] + value + body[at + len(value) :]


def _elsewhere(kind: bytes, name: Callable[[str], bytes]) -> Lie:
    """An MP4 file whose pictures are said to lie in another file."""

    def lie(good: dict[str, bytes], trap: str) -> bytes:
        entry = b"\0\0\0\0" + name(trap)
        box = struct.pack(">I", len(entry) + 8) + kind + entry
        return _changed(good[".mp4"], f"{_MEDIA}/minf/dinf/dref".split("/"), lambda _: b"\0\0\0\0\0\0\0\1" + box)

    return lie


def _alias(path: bytes) -> bytes:
    """What QuickTime writes to name a file, as FFmpeg reads it: the volume, then tagged strings with the path."""
    fixed = bytearray(150)
    fixed[10] = 4
    fixed[11:15] = b"disk"
    fixed[50] = len(path)
    fixed[51 : 51 + min(len(path), 63)] = path[:63]
    tags = b"".join(struct.pack(">HH", tag, len(path)) + path + b"\0" * (len(path) % 2) for tag in (2, 18))
    return bytes(fixed) + tags + struct.pack(">hH", -1, 0)


def _y4m(width: int, height: int) -> bytes:
    return f"YUV4MPEG2 W{width} H{height} F25:1 C420jpeg\nFRAME\n".encode() + bytes(5000)


_LIES: dict[str, Lie] = {
    "elsewhere-url.mp4": _elsewhere(b"url ", lambda trap: f"{trap}/a.mp4".encode() + b"\0"),
    "elsewhere-file.mp4": _elsewhere(b"url ", lambda _: b"file:///etc/passwd\0"),
    "elsewhere-alias.mp4": _elsewhere(b"alis", lambda _: _alias(b"/etc/passwd")),
    "elsewhere-neighbour.mp4": _elsewhere(b"alis", lambda _: _alias(b"secret.mp4")),
    "lasts-for-ever.mp4": _in_mp4("moov/mvhd", _put(16, b"\xff\xff\xff\xfe")),
    "lasts-for-ever-in-its-track.mp4": _in_mp4(f"{_MEDIA}/mdhd", _put(16, b"\xff\xff\xff\xfe")),
    "no-timescale.mp4": _in_mp4(f"{_MEDIA}/mdhd", _put(12, bytes(4))),
    "fast-timescale.mp4": _in_mp4(f"{_MEDIA}/mdhd", _put(12, b"\xff\xff\xff\xff")),
    "huge-pictures.mp4": _in_mp4(f"{_TABLES}/stsd", _put(40, b"\xff\xff\xff\xff")),
    "many-samples.mp4": _in_mp4(f"{_TABLES}/stsz", lambda _: bytes(4) + struct.pack(">II", 1, 10_000_000)),
    "most-samples.mp4": _in_mp4(f"{_TABLES}/stsz", lambda _: bytes(4) + struct.pack(">II", 1, 0x3FFFFFFF)),
    "long-samples.mp4": _in_mp4(f"{_TABLES}/stts", lambda _: bytes(4) + struct.pack(">III", 1, 24, 0x7FFFFFFF)),
    "many-times.mp4": _in_mp4(f"{_TABLES}/stts", lambda _: bytes(4) + struct.pack(">III", 1, 0xFFFFFFFF, 1)),
    "no-chunks.mp4": _in_mp4(f"{_TABLES}/stco", lambda _: bytes(8)),
    "chunks-outside.mp4": _in_mp4(f"{_TABLES}/stco", lambda body: body[:8] + b"\xff" * (len(body) - 8)),
    "no-key-frames.mp4": _in_mp4(f"{_TABLES}/stss", lambda _: bytes(8)),
    "turned-by-nothing.mp4": _in_mp4("moov/trak/tkhd", _put(40, bytes(36))),
    "edits-for-ever.mp4": _in_mp4(
        "moov/trak/edts/elst", lambda _: bytes(4) + struct.pack(">I", 1000) + struct.pack(">IiI", 40, 0, 1 << 16) * 1000
    ),
    "huge.y4m": lambda *_: _y4m(60_000, 60_000),
    "wide.y4m": lambda *_: _y4m(2_000_000_000, 2),
    "flat.y4m": lambda *_: _y4m(0, 0),
    "boxes-in-boxes.mp4": lambda *_: b"".join(struct.pack(">I", 80_000 - 8 * n) + b"moov" for n in range(10_000)),
    "two-kinds.mp4": lambda good, _: good[".mp4"] + good[".mkv"],
    "list-before-video.mp4": lambda good, trap: _HLS.format(f"{trap}/a.ts").encode() + good[".mp4"],
}
