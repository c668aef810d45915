"""An ONNX file, written by hand: no package that writes them is needed."""

from __future__ import annotations


def onnx_of_channel_means() -> bytes:
    """An ONNX file with one node, the mean of each channel: (N, 3, H, W) to (N, 3). Written by hand, as protobuf."""

    def number(field: int, value: int) -> bytes:
        return bytes([field << 3, value])

    def nested(field: int, content: bytes | str) -> bytes:
        content = content.encode() if isinstance(content, str) else content
        return bytes([field << 3 | 2, len(content)]) + content

    def tensor(name: str, *dims: int | str) -> bytes:
        shape = b"".join(nested(1, number(1, d) if isinstance(d, int) else nested(2, d)) for d in dims)
        return nested(1, name) + nested(2, nested(1, number(1, 1) + nested(2, shape)))

    axes = nested(1, "axes") + number(8, 2) + number(8, 3) + bytes([20 << 3 & 0x7F | 0x80, 1, 7])
    keep = nested(1, "keepdims") + number(3, 0) + bytes([20 << 3 & 0x7F | 0x80, 1, 2])
    node = nested(1, "x") + nested(2, "y") + nested(4, "ReduceMean") + nested(5, axes) + nested(5, keep)
    graph = nested(1, node) + nested(2, "g") + nested(11, tensor("x", "n", 3, 16, 16)) + nested(12, tensor("y", "n", 3))
    return number(1, 8) + nested(7, graph) + nested(8, nested(1, "") + number(2, 13))
