"""Boxes: tracks of objects found in videos, and of what a person has boxed once."""
