# Compare sampling strategies on a video of yours, cell by cell: open it in an editor that knows `# %%` (VS Code, Spyder, PyCharm),
# or run it whole: python examples/compare_sampling.py film.mp4 8 chosen.png

# %% What is needed: the pictures come from PyAV, the choice from `sampling`, which wants arrays only.
import sys

import av
import cv2
import imagehash
import numpy as np
from PIL import Image

from sampling import Candidates, auto, good, quality, telling, thin, uniform, unique

VIDEO, COUNT, SHEET = sys.argv[1], int(sys.argv[2]), sys.argv[3]
EVERY = 5  # look at each fifth frame

# %% Look at the video once: thumbnails to show, hashes and coarse colors to compare.
frames, thumbnails, hashes, colors, sharpness, brightness = [], [], [], [], [], []
with av.open(VIDEO) as container:
    for index, frame in enumerate(container.decode(video=0)):
        if index % EVERY == 0:
            small = frame.to_ndarray(width=160, height=90, format="rgb24")
            gray = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
            frames.append(index)
            thumbnails.append(small)
            hashes.append(imagehash.phash(Image.fromarray(gray)))
            colors.append(cv2.resize(small, (8, 8), interpolation=cv2.INTER_AREA).ravel())
            sharpness.append(cv2.Laplacian(gray, cv2.CV_32F).var())
            brightness.append(gray.mean())
frames = np.array(frames)
embeddings = np.array(colors, np.float32)
embeddings -= embeddings.mean(axis=0)  # what all frames have in common says nothing
print(f"looked at {len(frames)} frames")

# %% Which pictures are too bad to ask a person about?
candidates = Candidates(
    frames,
    hashes=hashes,
    embeddings=embeddings,
    sharpness=np.array(sharpness),
    brightness=np.array(brightness),
)
for reason, lost in quality(candidates).dropped.items():
    print(f"left out: {lost} {reason}")
usable = good(candidates)

# %% Choose with four strategies.
chosen = {
    "uniform": frames[uniform(len(frames), COUNT)],
    "unique": thin(unique(frames, hashes, 4), COUNT),
    "telling": telling(embeddings, COUNT, frames=frames),
    "auto": auto(usable, COUNT),
}
for name, picked in chosen.items():
    print(f"{name}: {' '.join(map(str, picked.tolist()))}")

# %% See them: one row a strategy. The one whose row shows the most different things is yours.
place = {frame: position for position, frame in enumerate(frames.tolist())}
blank = np.full((90, 160, 3), 255, np.uint8)
rows = [
    np.hstack(([thumbnails[place[f]] for f in picked.tolist()] + [blank] * COUNT)[:COUNT]) for picked in chosen.values()
]
Image.fromarray(np.vstack(rows)).save(SHEET)
