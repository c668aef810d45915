"""Suggested frames as images in a project of their own, and the answers to them."""
