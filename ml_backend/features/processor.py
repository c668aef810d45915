"""What this machine's processor can calculate with: it decides how fast a network runs."""

from __future__ import annotations

import contextlib
import platform
from functools import lru_cache

# As Linux calls them.
_FEATURES = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "avx_vnni", "amx_int8", "amx_bf16")


@lru_cache(maxsize=1)
def processor_features() -> tuple[str, ...]:
    """Those of the processor that decide how fast it computes; none where Linux does not say."""
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as file:
        flags = next((line.split() for line in file if line.startswith("flags")), [])
        return tuple(each for each in _FEATURES if each in flags)
    return ()


def processor_key() -> str:
    """The same on processors that run networks alike; may stand in the name of a file."""
    return "+".join((platform.machine().lower() or "unknown", *processor_features()))
