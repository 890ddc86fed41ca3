"""A procedural world of coloured shapes: the tiny model's home and its adaptation targets."""

from ablate.data.shapes.source import load_shapes

__all__ = ["load_shapes"]
