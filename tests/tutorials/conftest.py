"""The browser of those tests that open Label Studio."""

from __future__ import annotations

from real_browser import page

__all__ = ["page"]
