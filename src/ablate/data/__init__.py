"""Data sets: images decoded once, drawn by seed, asked as questions."""
