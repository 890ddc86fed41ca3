"""The tiny world of coloured shapes and words: the tiny model's home, its adaptation targets and its tasks."""
