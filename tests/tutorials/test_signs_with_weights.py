"""What the page about signing says of whole clips with trained weights, which the other tests do without."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ml_backend.demo.signing import SCRIPTS, SIGNS, make_signs
from ml_backend.features.backbones import load_backbone
from ml_backend.features.embedding import video_features
from ml_backend.features.store import FeatureStore
from ml_backend.learning.frame_labels import NO, YES
from ml_backend.learning.whole_video import LabelledWhole, fit_whole


def test_six_clips_of_two_people_teach_what_a_third_one_signs(real_data: Path, tmp_path: Path) -> None:
    weights = real_data / "weights" / "squeezenet1_0-imagenet-deepcompression.pth"
    backbone = load_backbone("squeezenet1_0", str(weights), "cpu", tmp_path)
    store = FeatureStore(tmp_path / "features", 10**9)
    features = [video_features(clip.path, backbone, store, clip.path.name) for clip in make_signs(tmp_path / "clips")]
    taught = []
    for task, script in enumerate(SCRIPTS[:6]):
        values = np.where([sign == script.sign for sign in SIGNS], YES, NO).astype(np.int8)
        taught.append(LabelledWhole(task, features[task], values, 1.0, True))
    head = fit_whole(taught, SIGNS, True)
    found = [SIGNS[int(head.probabilities(each).argmax())] for each in features[6:]]
    assert found == [script.sign for script in SCRIPTS[6:]]
