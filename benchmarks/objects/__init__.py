"""How well objects are found and followed, on drawn scenes whose every box is known."""
