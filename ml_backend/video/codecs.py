"""Which of the codecs that a browser plays can be decoded here."""

from __future__ import annotations

import av

# Any of its decoders serves; FFmpeg's own for AV1 needs a GPU.
_DECODERS = {"H.264": {"h264"}, "HEVC": {"hevc"}, "AV1": {"libdav1d", "libaom-av1"}, "VP9": {"vp9", "libvpx-vp9"}}


def missing_codecs() -> list[str]:
    """Those of H.264, HEVC, AV1 and VP9 that the installed FFmpeg cannot decode."""
    return [name for name, decoders in _DECODERS.items() if not decoders & av.codecs_available]


def ffmpeg_version() -> str:
    """That of the libavcodec that PyAV brings, for example `62.28.102`."""
    return ".".join(map(str, av.library_versions["libavcodec"]))
