"""What the tiny language model reads: word questions, written scenes, and scenes as rows of slots."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedTokenizerFast

from ablate.world.questions import ONE_OBJECT_QUESTIONS, QUESTIONS, Question, describe
from ablate.world.scenes import (
    COLOURS,
    QUADRANTS,
    SHAPES,
    SIZES,
    TEXTURES,
    Scenes,
    sample_scenes,
)
from ablate.world.topics import THINGS
from ablate.world.words import word_conversations
from tiny.config import BuildConfig
from tiny.text import BOS_ID, EOS_ID, IMAGE_ID, PAD_ID

# What a slot without an object says.
_EMPTY = "zero"
_GRID = 4
# Question and answer in a conversation, turn after turn.
_Turns = list[tuple[str, str]]


@dataclass(frozen=True)
class TextBatch:
    """Conversations as tokens; a slot's token is `<image>`, and what it says stands beside it.

    Attributes:
        ids: `[batch, tokens]`, padded on the right.
        labels: `[batch, tokens]`, -100 everywhere but on the answers and their ends.
        slot_words: `[rows with slots, 16, words]` ids of a slot's words.
        slot_weights: `[rows with slots, 16, words]` share of each word in its slot.
    """

    ids: Tensor
    labels: Tensor
    slot_words: Tensor
    slot_weights: Tensor


class TextWorld:
    """Draws the batches of the language model's training."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, config: BuildConfig) -> None:
        """Look up the words that slots are made of."""
        self._tokenizer, self._config, self._stage = tokenizer, config, config.language_model
        self._random = np.random.default_rng(config.seed)
        self._names = [self._word_ids(names) for names in (SHAPES, COLOURS, SIZES, TEXTURES)]
        self._empty = self._word_ids((_EMPTY,))[0]

    def _word_ids(self, names: tuple[str, ...]) -> NDArray[np.int64]:
        ids = [self._tokenizer(f" {name}", add_special_tokens=False)["input_ids"] for name in names]
        return np.array([word for (word,) in ids])

    def batches(self, step: int) -> tuple[TextBatch, TextBatch]:
        """Draw a step's texts: scenes in slots and, apart to save padding, all others."""
        size, shares = self._stage.optimiser.batch_size, self._stage.shares
        n_slots, n_scenes = round(shares["slots"] * size), round(shares["scenes"] * size)
        indices = np.arange(n_slots + n_scenes) + step * size
        n_objects = self._random.choice(self._stage.objects, len(indices))
        scenes = sample_scenes(f"language-{self._config.seed}", indices, n_objects)
        items = [self._ask(scenes, scene) for scene in range(len(scenes))]
        slots = [self._slot_text(item) for item in items[:n_slots]]
        written: list[_Turns] = [
            [(self.prompt(f"{self._write(scenes, i)}\n{items[i].text}"), items[i].answer)]
            for i in range(n_slots, len(scenes))
        ]
        written += [self._list() for _ in range(round(shares["lists"] * size))]
        written += self._words(step, size - n_slots - len(written))
        words, weights = self._slots(scenes, n_slots)
        return (
            TextBatch(*self._encode(slots), words, weights),
            TextBatch(*self._encode(written), words[:0], weights[:0]),
        )

    def _list(self) -> _Turns:
        """Make a list of words to say again: copying is what recall grows from."""
        words = self._random.permutation([*THINGS, *COLOURS])[: self._random.integers(4, 9)]
        told = " ".join(words)
        return [(self.prompt(f"in a row: {told}\nsay it again."), told)]

    def _words(self, step: int, n: int) -> list[_Turns]:
        """Ask every question about the same words: more to learn from than one answer."""
        weights = self._stage.topics
        shares = np.array(list(weights.values())) / sum(weights.values())
        topics = self._random.choice(list(weights), size=n, p=shares)
        texts = []
        for topic in weights:
            rows = np.flatnonzero(topics == topic) + step * n
            for first, *others in word_conversations(topic, rows.tolist()):
                turns = [(self.prompt(first.text), first.answer)]
                for i in self._random.permutation(len(others)):
                    turns.append((f"\n{self.prompt(others[i].text)}", others[i].answer))
                texts.append(turns)
        return texts

    def prompt(self, question: str) -> str:
        """Fill the prompt for a question without an image."""
        return self._config.prompt.replace("<image>\n", "").format(question=question)

    def _slot_text(self, item: Question) -> _Turns:
        slots = "<image>" * self._config.n_image_tokens
        prompt = self._config.prompt.replace("<image>", slots)
        return [(prompt.format(question=item.text), item.answer)]

    def _ask(self, scenes: Scenes, scene: int) -> Question:
        single = len(scenes.objects(scene)) == 1
        weights = {
            kind: weight
            for kind, weight in self._stage.questions.items()
            if single or kind not in ONE_OBJECT_QUESTIONS
        }
        shares = np.array(list(weights.values())) / sum(weights.values())
        kind = list(weights)[self._random.choice(len(weights), p=shares)]
        return QUESTIONS[kind](scenes, scene)

    def _write(self, scenes: Scenes, scene: int) -> str:
        """Describe a scene with sizes and textures, which the world's own captions leave out."""
        if self._random.random() < 0.5 and len(scenes.objects(scene)) > 1:
            return describe(scenes, scene, places=True)
        parts = []
        for quadrant in scenes.objects(scene):
            size, texture = SIZES[scenes.size[scene, quadrant]], scenes.texture[scene, quadrant]
            colour = COLOURS[scenes.colour[scene, quadrant]]
            shape = SHAPES[scenes.shape[scene, quadrant]]
            parts.append(
                f"a {size} {TEXTURES[texture]} {colour} {shape} in the {QUADRANTS[quadrant]}"
            )
        return " and ".join(parts)

    def _slots(self, scenes: Scenes, n_scenes: int) -> tuple[Tensor, Tensor]:
        """Say a scene in 16 slots in reading order, each a weighted mean of its object's words.

        A quadrant's four slots weigh the words of its object at random, and some say nothing, as
        an image encoder's patches each know a part.
        """
        values = (scenes.shape, scenes.colour, scenes.size, scenes.texture)
        words = np.stack([n[v[:n_scenes]] for n, v in zip(self._names, values, strict=True)], -1)
        row, column = np.divmod(np.arange(_GRID**2), _GRID)
        quadrant = row // 2 * 2 + column // 2
        words = words[:, quadrant]
        weights = self._random.random(words.shape) ** 2 + 1e-3
        told = self._random.random(words.shape[:2]) >= self._stage.silent_share
        present = scenes.present[:n_scenes][:, quadrant] & told
        words = np.where(present[..., None], words, self._empty)
        weights /= weights.sum(-1, keepdims=True)
        return torch.from_numpy(words), torch.from_numpy(weights).float()

    def _encode(self, texts: list[_Turns]) -> tuple[Tensor, Tensor]:
        """Tokenize; only answers, and the end after the last, are learned."""
        pieces = [
            piece
            for turns in texts
            for question, answer in turns
            for piece in (question, f" {answer}")
        ]
        tokens = iter(self._tokenizer(pieces, add_special_tokens=False)["input_ids"])
        rows, marks = [], []
        for turns in texts:
            row, mark = [BOS_ID], [-100]
            for _ in turns:
                question, answer = next(tokens), next(tokens)
                row += [*question, *answer]
                mark += [*([-100] * len(question)), *answer]
            rows.append(torch.tensor([*row, EOS_ID]))
            marks.append(torch.tensor([*mark, EOS_ID]))
        return (
            pad_sequence(rows, batch_first=True, padding_value=PAD_ID),
            pad_sequence(marks, batch_first=True, padding_value=-100),
        )


def embed(embedding: torch.nn.Module, batch: TextBatch) -> Tensor:
    """Look up a batch's words: `[batch, tokens, width]`, slots filled with the mean of theirs."""
    embeds: Tensor = embedding(batch.ids)
    slots = (embedding(batch.slot_words) * batch.slot_weights.unsqueeze(-1)).sum(dim=2)
    return embeds.masked_scatter((batch.ids == IMAGE_ID).unsqueeze(-1), slots)
