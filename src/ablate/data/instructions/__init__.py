"""Conversations that a vision-language model is trained on: the shapes world's own, or LLaVA-Instruct files."""

from ablate.data.instructions.load import load_instructions

__all__ = ["load_instructions"]
