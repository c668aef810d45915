"""An ONNX file of a detector, written by hand: no package that writes them is needed."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np


def onnx_of_boxes(boxes: Sequence[Sequence[float]], scores: Sequence[Sequence[float]], size: int) -> bytes:
    """(n, 3, size, size) to the same (1, k, 4) `boxes` for every picture, and (1, k, L) `scores`, times the picture's mean."""

    def key(field: int, wire: int) -> bytes:
        return varint(field << 3 | wire)

    def varint(value: int) -> bytes:
        out = b""
        while value > 127:
            out, value = out + bytes([value & 127 | 128]), value >> 7
        return out + bytes([value])

    def number(field: int, value: int) -> bytes:
        return key(field, 0) + varint(value)

    def nested(field: int, content: bytes | str) -> bytes:
        content = content.encode() if isinstance(content, str) else content
        return key(field, 2) + varint(len(content)) + content

    def constant(name: str, values: Sequence[Sequence[float]]) -> bytes:
        array = np.asarray(values, np.float32)[None]
        raw = struct.pack(f"<{array.size}f", *array.ravel().tolist())
        return b"".join(number(1, each) for each in array.shape) + number(2, 1) + nested(8, name) + nested(9, raw)

    def shape(name: str, *dims: int | str) -> bytes:
        each = b"".join(nested(1, number(1, d) if isinstance(d, int) else nested(2, d)) for d in dims)
        return nested(1, name) + nested(2, nested(1, number(1, 1) + nested(2, each)))

    def node(kind: str, inputs: Sequence[str], output: str, *attributes: bytes) -> bytes:
        said = b"".join(nested(1, each) for each in inputs) + nested(2, output) + nested(4, kind)
        return said + b"".join(nested(5, each) for each in attributes)

    keep = nested(1, "keepdims") + number(3, 0) + number(20, 2)
    graph = (
        nested(1, node("Identity", ["fixed"], "boxes"))
        + nested(1, node("ReduceMean", ["x"], "mean", keep))
        + nested(1, node("Mul", ["sure", "mean"], "scores"))
        + nested(2, "g")
        + nested(5, constant("fixed", boxes))
        + nested(5, constant("sure", scores))
        + nested(11, shape("x", 1, 3, size, size))
        + nested(12, shape("boxes", 1, len(boxes), 4))
        + nested(12, shape("scores", 1, len(scores), len(scores[0])))
    )
    return number(1, 8) + nested(7, graph) + nested(8, nested(1, "") + number(2, 13))
