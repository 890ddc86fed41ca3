"""Prompts as a batch of embeddings that the language model can read."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ablate.evaluation.verbs.pixels import ReadPixels
from ablate.models.vlm import VisionLanguageModel

OnPooled = Callable[[Sequence[int], Tensor], None]


@dataclass(frozen=True)
class Prompt:
    """One encoded prompt.

    Attributes:
        ids: Token ids, one image token for every patch.
        image: Row of the image; None where the prompt holds no image tokens.
    """

    ids: list[int]
    image: int | None


@dataclass(frozen=True)
class PromptBatch:
    """Prompts of different lengths, padded on the left so that all end in the last column.

    Attributes:
        embeddings: `[batch, longest, width]`.
        mask: int64 `[batch, longest]`, 1 where a token is real.
    """

    embeddings: Tensor
    mask: Tensor

    @property
    def lengths(self) -> Tensor:
        """Real tokens of every prompt, `[batch]`."""
        return self.mask.sum(dim=1)

    @property
    def positions(self) -> Tensor:
        """Position of every token in its own prompt, `[batch, longest]`."""
        return (self.mask.cumsum(dim=1) - 1).clamp(min=0)


class ImageTokens:
    """Image tokens, computed once per image when prompts on one image stand side by side."""

    def __init__(
        self, vlm: VisionLanguageModel, read: ReadPixels | None, on_pooled: OnPooled | None = None
    ) -> None:
        """Read images by `read`.

        Args:
            vlm: The model.
            read: Reads the images of some rows; None if no prompt has one.
            on_pooled: Called with the rows of every pass of the image encoder and its pooled output
                `[rows, width]`: what CLIP classifies by comes from the same pass.
        """
        self._vlm = vlm
        self._read = read
        self._on_pooled = on_pooled
        self._held: dict[int, Tensor] = {}

    def of(self, images: Sequence[int]) -> Tensor:
        """Return the tokens of `images`, one after the other, `[tokens, width]`.

        Only the images of one batch are held: all images of LLaVA-1.5 at once would take 4.7 MB
        each.
        """
        if self._read is None:
            raise ValueError("prompts with images need images")
        missing = [image for image in dict.fromkeys(images) if image not in self._held]
        held = {image: self._held[image] for image in images if image in self._held}
        if missing:
            encoded = self._vlm.encode_images(self._vlm.normalise(self._read(missing)))
            if self._on_pooled is not None and encoded.pooled is not None:
                self._on_pooled(missing, encoded.pooled)
            held.update(zip(missing, encoded.tokens, strict=True))
        self._held = held
        return torch.cat([held[image] for image in images])


def images_read(batches: Iterable[Sequence[Prompt]]) -> list[Sequence[int]]:
    """List the images that `ImageTokens` reads for each batch in turn: those of a batch that the last had not."""
    reads: list[Sequence[int]] = []
    held: set[int] = set()
    for batch in batches:
        images = [prompt.image for prompt in batch if prompt.image is not None]
        missing = [image for image in dict.fromkeys(images) if image not in held]
        held = set(images) or held
        if missing:
            reads.append(missing)
    return reads


def embed(
    vlm: VisionLanguageModel, prompts: Sequence[Prompt], image_tokens: ImageTokens
) -> PromptBatch:
    """Embed prompts and put the image tokens in their places."""
    longest = max(len(prompt.ids) for prompt in prompts)
    # Any id does for padding: the mask hides it.
    ids = torch.zeros(len(prompts), longest, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        start = longest - len(prompt.ids)
        ids[row, start:] = torch.tensor(prompt.ids)
        mask[row, start:] = 1
    ids, mask = ids.to(vlm.device), mask.to(vlm.device)
    embeddings = vlm.llava.get_input_embeddings()(ids)
    images = [prompt.image for prompt in prompts if prompt.image is not None]
    if images:
        places = (ids == vlm.llava.config.image_token_id) & mask.bool()
        embeddings[places] = image_tokens.of(images).to(embeddings.dtype)
    return PromptBatch(embeddings, mask)
