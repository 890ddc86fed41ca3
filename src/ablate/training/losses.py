"""What an update is trained on: the language model's answer, or CLIP's match of image and class prompt."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from ablate.config.schema import LossName
from ablate.data.types import LabelledImages
from ablate.models.vlm import VisionLanguageModel

IGNORED = -100


class Loss(ABC):
    """A training loss over a fixed few-shot set.

    Attributes:
        name: What it is called in a configuration.
        n: Size of the training set.
    """

    name: ClassVar[LossName]
    n: int

    @property
    @abstractmethod
    def lengths(self) -> Tensor:
        """Tokens of every example, int64 `[n]`: a batch is as long as its longest."""

    @abstractmethod
    def __call__(self, model: nn.Module, indices: Tensor) -> Tensor:
        """Return the mean loss of a model over training examples.

        Args:
            model: A `VisionLanguageModel`, or what wraps one and has its `forward`.
            indices: int64 `[batch]`, the examples.

        Returns:
            A scalar.
        """

    @abstractmethod
    def n_terms(self, indices: Tensor) -> int:
        """Count what the mean at `indices` is taken over: several batches of one step are weighted by it."""

    def n_images(self, indices: Tensor) -> int:
        """Count the images that are shown at `indices`: one of each example."""
        return len(indices)

    def parts(self, model: nn.Module, indices: Tensor, size: int) -> Iterator[Tensor]:
        """Split the loss of a batch that does not fit into memory; a part is computed when it is asked for.

        Args:
            model: As above.
            indices: int64 `[batch]`, the examples.
            size: Most examples in a forward pass whose activations are kept.

        Yields:
            Scalars that add up to the loss, and their gradients to its gradient. Batch normalisation, where there is
            any, sees one part at a time.
        """
        for part in indices.split(size):
            whole = len(part) == len(indices)
            share = 1.0 if whole else self.n_terms(part) / self.n_terms(indices)
            yield self(model, part) * share


class AnswerLoss(Loss):
    """`lm`: next-token loss on the answer and its end token, given image and question.

    The mean is over the answer tokens of the batch (LoRSU, perplexity variant).
    """

    name = "lm"

    def __init__(
        self,
        vlm: VisionLanguageModel,
        images: LabelledImages,
        asked: Sequence[tuple[str, str]],
    ) -> None:
        """Tokenise every training example once.

        Args:
            vlm: The model.
            images: The training images.
            asked: One question with its answer per image, in the same order.
        """
        self.n = len(asked)
        self._pixels = images.pixels
        rows = [_example(vlm, question, answer) for question, answer in asked]
        self._input_ids = pad_sequence(
            [ids for ids, _ in rows],
            batch_first=True,
            padding_value=vlm.tokenizer.pad_token_id or 0,
        )
        self._targets = pad_sequence(
            [targets for _, targets in rows], batch_first=True, padding_value=IGNORED
        )
        self._lengths = torch.tensor([len(ids) for ids, _ in rows])

    @property
    def lengths(self) -> Tensor:
        """Tokens of every prompt and its answer."""
        return self._lengths

    def __call__(self, model: nn.Module, indices: Tensor) -> Tensor:
        """Return the mean next-token loss over the answer tokens of the examples at `indices`."""
        length = int(self._lengths[indices].max())
        return next_token_loss(
            model,
            self._input_ids[indices, :length],
            self._targets[indices, :length],
            self._lengths[indices],
            self._pixels[indices],
        )

    def n_terms(self, indices: Tensor) -> int:
        """Count the answer tokens, end tokens included, of the examples at `indices`."""
        return int((self._targets[indices] != IGNORED).sum())


def next_token_loss(
    model: nn.Module,
    input_ids: Tensor,
    targets: Tensor,
    lengths: Tensor,
    pixels: Tensor | None,
) -> Tensor:
    """Return the mean loss over all targets of a batch that is padded on the right.

    Args:
        model: A `VisionLanguageModel`, or what wraps one.
        input_ids: `[batch, longest]`.
        targets: `[batch, longest]` the token each position has to predict, or `IGNORED`.
        lengths: `[batch]` real tokens of every row.
        pixels: uint8 `[images, 3, height, width]`, one for each row with image tokens, in the order
            of the rows; None if no row has any.
    """
    device = next(model.parameters()).device
    input_ids, targets = input_ids.to(device), targets.to(device)
    present = torch.arange(input_ids.shape[1]) < lengths[:, None]
    is_wanted = targets != IGNORED
    logits = model(input_ids, present.long().to(device), is_wanted, pixels)
    return functional.cross_entropy(_at_least_float32(logits), targets[is_wanted])


class ContrastiveLoss(Loss):
    """`clip`: symmetric InfoNCE between the images of a batch and a text about each.

    The text tower and the logit scale are frozen, so each text is embedded once. What is drawn is
    drawn from torch's generator, whose state the trainer keeps.
    """

    name = "clip"

    def __init__(
        self, vlm: VisionLanguageModel, pixels: Callable[[Tensor], Tensor], texts: Tensor
    ) -> None:
        """Match images with texts.

        Args:
            vlm: The model.
            pixels: Returns the images at int64 indices `[batch]`: uint8 `[batch, 3, height, width]`.
            texts: `[images, choices, width]` unit vectors: the texts of every image, of which each pass takes one.
        """
        self.n, self._n_choices, _ = texts.shape
        self._pixels, self._texts = pixels, texts
        self._scale = vlm.clip_scale

    @property
    def lengths(self) -> Tensor:
        """None of any image: no tokens are read."""
        return torch.zeros(self.n, dtype=torch.int64)

    def __call__(self, model: nn.Module, indices: Tensor) -> Tensor:
        """Return the InfoNCE loss of the batch at `indices`."""
        text, pixels = self._drawn(indices)
        return self._of(_embedded(model, pixels), text)

    def parts(self, model: nn.Module, indices: Tensor, size: int) -> Iterator[Tensor]:
        """Split the loss although each image is contrasted with all others (gradient caching, arXiv 2101.06983).

        A first pass without gradients embeds all images; the loss of these gives the gradient of each embedding, which
        a second pass, part by part, takes on to the parameters.
        """
        if len(indices) <= size:
            yield self(model, indices)
            return
        text, pixels = self._drawn(indices)
        parts = pixels.split(size)
        device = next(model.parameters()).device
        # What the model draws, as for dropout, it draws again in the second pass.
        with (
            torch.random.fork_rng([device] if device.type == "cuda" else []),
            torch.no_grad(),
        ):
            embedded = torch.cat([_embedded(model, part) for part in parts])
        loss = self._of(embedded.requires_grad_(), text)
        (gradient,) = torch.autograd.grad(loss, embedded)
        for part, towards in zip(parts, gradient.split(size), strict=True):
            surrogate = (_embedded(model, part) * towards).sum()
            # Its gradient is wanted, and the loss's value.
            yield surrogate - surrogate.detach() + loss.detach() * (len(part) / len(indices))

    def _drawn(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Draw a text of every image, `[batch, width]`, and the images as they are shown."""
        choice = torch.zeros_like(indices)
        if self._n_choices > 1:
            choice = torch.randint(self._n_choices, indices.shape)
        where = indices.to(self._texts.device), choice.to(self._texts.device)
        return self._texts[where], self._pixels(indices)

    def _of(self, image: Tensor, text: Tensor) -> Tensor:
        text = text.to(image)
        logits = self._scale * image @ text.T
        target = torch.arange(len(image), device=logits.device)
        by_image = functional.cross_entropy(logits, target)
        by_text = functional.cross_entropy(logits.T, target)
        return (by_image + by_text) / 2

    def n_terms(self, indices: Tensor) -> int:
        """Count the images; yet batches do not add up to one: each image is contrasted with its own batch only."""
        return len(indices)


def _embedded(model: nn.Module, pixels: Tensor) -> Tensor:
    return _at_least_float32(model(pixels=pixels))


def _at_least_float32(values: Tensor) -> Tensor:
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _example(vlm: VisionLanguageModel, question: str, answer: str) -> tuple[Tensor, Tensor]:
    """Encode one question with its answer.

    Returns:
        Input ids `[length]` and the token each position has to predict, `IGNORED` before the answer.
    """
    prompt = vlm.prompt_ids(question)
    tokens = [*vlm.answer_ids(question, answer), int(vlm.tokenizer.eos_token_id)]
    input_ids = torch.tensor([*prompt, *tokens[:-1]])
    targets = torch.full_like(input_ids, IGNORED)
    targets[len(prompt) - 1 :] = torch.tensor(tokens)
    return input_ids, targets
