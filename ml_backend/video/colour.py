"""What the numbers of a picture mean as colors, where a file says so and where it does not."""

from __future__ import annotations

from typing import Literal

from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace

Transfer = Literal["HLG", "PQ"]
# As in ITU-T H.273.
_TRANSFERS: dict[int, Transfer] = {16: "PQ", 18: "HLG"}
_UNSPECIFIED = 2
_HD = 720


def transfer(color_trc: int) -> Transfer | None:
    """How an HDR video writes light, from its `color_trc`; None for an ordinary one."""
    return _TRANSFERS.get(int(color_trc))


def matrix(frame: VideoFrame) -> Colorspace | None:
    """What turns a frame into RGB where its file does not say so, as browsers take it: BT.709 from 720 lines on. None leaves
    it to what the file says, and to BT.601 below."""
    unsaid = int(frame.colorspace) == _UNSPECIFIED and frame.format.name.startswith(("yuv", "nv", "p0"))
    return Colorspace.ITU709 if unsaid and frame.height >= _HD else None
