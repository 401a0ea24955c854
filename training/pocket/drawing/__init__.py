"""The drawing behind training.pocket.scenes: a canvas, the things on it, and modules of places."""
