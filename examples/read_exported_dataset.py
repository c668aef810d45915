# Read a dataset that `coldblitz export` has written, cell by cell: open it in an editor that knows `# %%` (VS Code, Spyder, PyCharm), or
# run it whole. It begins with this command, which keeps all frames of a video in one part:
#
#     coldblitz export 1 -o set --as huggingface --every 5 --split 0.6,0.2,0.2
#     python examples/read_exported_dataset.py set

# %% What is needed: nothing of Coldblitz. `datasets.load_dataset("imagefolder", data_dir="set")` reads the same folder.
import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import classification_report
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

FOLDER = Path(sys.argv[1])

# %% What is it made of? `dataset.json` says so: the project, its videos, who labeled them, and what was asked of the export.
card = json.loads((FOLDER / "dataset.json").read_text(encoding="utf-8"))
pictures = sum(sum(labels.values()) for labels in card["counts"].values())
print(f"{card['title']}: {pictures} pictures of {len(card['tasks'])} videos")

# %% The rows: each part has a `metadata.jsonl` with a line a picture, and its label, video, frame, and confidence.
rows = [
    {**json.loads(line), "part": listing.parent.name, "path": listing.parent / json.loads(line)["file_name"]}
    for listing in sorted(FOLDER.glob("*/metadata.jsonl"))
    for line in listing.read_text(encoding="utf-8").splitlines()
]
print(f"a row has {', '.join(rows[0])}")

# %% How many pictures of each label are in each part, and are they a person's or the model's?
for part, count in Counter(row["part"] for row in rows).items():
    labels = Counter(row["label"] for row in rows if row["part"] == part)
    print(f"{part}: {count} pictures, " + ", ".join(f"{each} {label}" for label, each in sorted(labels.items())))
print(
    "said by "
    + ", ".join(f"{source}: {count}" for source, count in sorted(Counter(row["source"] for row in rows).items()))
)

# %% No video may be in two parts, or the test would be of what was learned by heart.
parts_of: dict[str, set[str]] = {}
for row in rows:
    parts_of.setdefault(row["video"], set()).add(row["part"])
assert all(len(parts) == 1 for parts in parts_of.values())


# %% Describe each picture by its colors in a coarse grid. Any network's embedding does better; this needs none.
def described(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB").resize((16, 9)), np.float32).ravel()


described_rows = np.stack([described(row["path"]) for row in rows])
labels = np.array([row["label"] for row in rows])
learned = np.array([row["part"] == "train" for row in rows])

# %% Train a small head, and ask it about the videos that it has not seen. Count the rare labels as much as the frequent ones.
head = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, class_weight="balanced", max_iter=1000))
head.fit(described_rows[learned], labels[learned])
found = head.predict(described_rows[~learned])
print(classification_report(labels[~learned], found, zero_division=0))
print(f"right: {np.mean(found == labels[~learned]):.3f}")
