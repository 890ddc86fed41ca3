"""Data sets: images decoded once, drawn by seed, turned into questions."""
