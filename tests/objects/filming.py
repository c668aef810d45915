"""What the fixture `filming` gives to tests."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.objects.scenes import Filmed, Scene

Filming = Callable[[Scene], Filmed]
