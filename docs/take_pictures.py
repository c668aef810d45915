"""Takes what the tests have seen in a browser into docs/images, small enough for a page: `make pictures`, after the tests have run.

Pictures whose test has not run lately stay as they are.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
_SEEN, _SHOWN = ROOT / ".artifacts", ROOT / "docs" / "images"
_WIDEST = 1200
_LARGEST = 150_000
# By what each is called in the documentation.
PICTURES = {
    "tracks": "object-demo",
    "paths": "object-demo-paths",
    **{
        f"tutorials/{name}": f"tutorials/{name}"
        for name in (
            "mice-predicted",
            "mice-video",
            "mice-bouts",
            "sign-language-predicted",
            "sign-language-video",
            "traffic-predicted",
            "traffic-paths",
            "film-predicted",
            "film-video",
        )
    },
}


def take(seen: Path, shown: Path) -> int:
    """Writes `seen` as a WebP, as good as its size allows; returns its bytes."""
    with Image.open(seen) as opened:
        picture = opened.convert("RGB")
    if picture.width > _WIDEST:
        picture = picture.resize((_WIDEST, round(picture.height * _WIDEST / picture.width)), Image.Resampling.LANCZOS)
    shown.parent.mkdir(parents=True, exist_ok=True)
    for quality in (88, 80, 70, 60):
        picture.save(shown, quality=quality, method=6)
        if shown.stat().st_size <= _LARGEST:
            break
    return shown.stat().st_size


def main() -> None:
    for name, seen in PICTURES.items():
        path = _SEEN / f"{seen}.png"
        if path.exists():
            shown = _SHOWN / f"{name}.webp"
            print(f"{take(path, shown):7} bytes: {shown.relative_to(ROOT)}")
        else:
            print(f"not seen yet: {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
