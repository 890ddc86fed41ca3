"""Text-only questions of the tiny world: what its language model knows without an image."""

from ablate.data.words.items import DRAWS, N_ITEMS, word_conversations, word_items
from ablate.data.words.topics import TOPICS

__all__ = ["DRAWS", "N_ITEMS", "TOPICS", "word_conversations", "word_items"]
