"""Draws the videos of a tutorial into a folder: python examples/tutorial_clips.py mice clips"""

import sys
from pathlib import Path

from ml_backend.demo.tutorials import MAKERS


def main(name: str, folder: str) -> None:
    if name not in MAKERS:
        sys.exit(f"There is no tutorial called {name}. Give one of {', '.join(MAKERS)}.")
    for clip in MAKERS[name](Path(folder)):
        print(clip.path)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("Say which tutorial, and where to put its videos: python examples/tutorial_clips.py mice clips")
    main(*sys.argv[1:])
