"""Small encoded clips, and a backbone that needs no weights."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from drawn import Encode, Pictures
from footage import film

from ml_backend.features.backbones import Backbone, load_backbone
from ml_backend.features.store import FeatureStore

__all__ = ["film"]


@pytest.fixture(scope="session")
def weights_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("weights")


@pytest.fixture(scope="session")
def backbone(weights_cache: Path) -> Backbone:
    return load_backbone("mobilenet_v2", "none", "cpu", weights_cache)


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "features", 10**9)


@pytest.fixture
def encode(tmp_path: Path) -> Encode:
    """Encodes (h, w, 3) uint8 pictures as H.264."""

    def encode(pictures: Pictures, name: str = "clip.mp4", rate: int = 25, gop: int = 50) -> Path:
        path = tmp_path / name
        height, width = pictures[0].shape[:2]
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=rate, options={"crf": "12", "preset": "veryfast"})
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.codec_context.gop_size = gop
            for picture in pictures:
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return path

    return encode
