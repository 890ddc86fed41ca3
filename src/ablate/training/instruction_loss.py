"""`lm` on conversations: what the language model learns from every answer, with an image or without."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ablate.config.errors import ConfigError
from ablate.data.types import Conversation, InstructionData
from ablate.models.vlm import VisionLanguageModel
from ablate.training.losses import IGNORED, Loss, next_token_loss

_NO_IMAGE = -1


@dataclass(frozen=True)
class _Tokens:
    """One conversation as the model reads it.

    Attributes:
        ids: int32 `[length]`, one id for every image token.
        is_answer: bool `[length]`: true for answers and the end token behind each.
    """

    ids: Tensor
    is_answer: Tensor


class InstructionLoss(Loss):
    """Next-token loss on every answer of a conversation and its end token (LLaVA, arXiv 2304.08485).

    The mean is over the answer tokens of the batch. Conversations with and without an image stand
    in one batch. Text alone moves neither projector nor encoder: to train only these, take
    `InstructionData.with_images_only()`.

    Attributes:
        n: Conversations with at least one answer token among their first `max_tokens` tokens.
        n_left_out: Conversations without; they are not trained on.
    """

    name = "lm"
    n_left_out: int

    def __init__(
        self, vlm: VisionLanguageModel, data: InstructionData, max_tokens: int, turn: str
    ) -> None:
        """Tokenise every conversation once; images stay where they are.

        Memory: 5 bytes per token.

        Args:
            vlm: The model.
            data: The conversations and their images.
            max_tokens: Conversations are cut after this many tokens, image tokens included.
            turn: How a later question follows the answer before it; holds `{question}`.

        Raises:
            ConfigError: If a text holds the model's image token, or `max_tokens` leaves no answer.
        """
        self._vlm, self._images = vlm, data.images
        tokenised: dict[object, _Tokens] = {}
        examples, images = [], []
        for item in data.conversations:
            key = item.turns, item.image is None
            if key not in tokenised:
                tokenised[key] = _tokenise(vlm, item, max_tokens, turn)
            if tokenised[key].is_answer.any():
                examples.append(tokenised[key])
                images.append(_NO_IMAGE if item.image is None else item.image)
        self.n = len(examples)
        self.n_left_out = len(data.conversations) - self.n
        if not examples:
            raise ConfigError(
                f"No conversation of '{data.name}' has an answer within data.max_tokens={max_tokens}"
                f" tokens, of which an image takes {vlm.n_image_tokens}. Raise data.max_tokens."
            )
        # All conversations end to end: a padded table of them would be as wide as the longest.
        self._ids = torch.cat([example.ids for example in examples])
        self._is_answer = torch.cat([example.is_answer for example in examples])
        self._lengths = torch.tensor([len(example.ids) for example in examples])
        self._n_answer_tokens = torch.tensor([int(example.is_answer.sum()) for example in examples])
        self._starts = self._lengths.cumsum(0) - self._lengths
        self._rows = torch.tensor(images)

    @property
    def lengths(self) -> Tensor:
        """Tokens of every conversation."""
        return self._lengths

    def __call__(self, model: nn.Module, indices: Tensor) -> Tensor:
        """Return the mean next-token loss over the answer tokens of the conversations at `indices`."""
        # The last token predicts nothing.
        lengths = self._lengths[indices] - 1
        offsets = torch.arange(int(lengths.max()))
        present = offsets < lengths[:, None]
        places = torch.where(present, self._starts[indices, None] + offsets, 0)
        input_ids = self._ids[places].masked_fill(~present, self._vlm.tokenizer.pad_token_id or 0)
        following = places + 1
        is_target = present & self._is_answer[following]
        targets = self._ids[following].masked_fill(~is_target, IGNORED)
        loss = next_token_loss(
            model, input_ids.long(), targets.long(), lengths, self._pixels(indices)
        )
        # A batch of text under a frozen language model depends on nothing that is trained; backward()
        # has to do nothing then, not fail.
        return loss if loss.requires_grad or not torch.is_grad_enabled() else loss.requires_grad_()

    def n_terms(self, indices: Tensor) -> int:
        """Count the answer tokens of the conversations at `indices`."""
        return int(self._n_answer_tokens[indices].sum())

    def n_images(self, indices: Tensor) -> int:
        """Count the conversations at `indices` that are about an image."""
        return int((self._rows[indices] != _NO_IMAGE).sum())

    def _pixels(self, indices: Tensor) -> Tensor | None:
        rows = self._rows[indices]
        shown = rows[rows != _NO_IMAGE].tolist()
        return self._vlm.resize(self._images.images(shown)) if shown else None


def _tokenise(vlm: VisionLanguageModel, item: Conversation, max_tokens: int, turn: str) -> _Tokens:
    """Encode a conversation: its prompt, then every answer with an end token and the next question."""
    has_image = item.image is not None
    ids: list[int] = []
    is_answer: list[bool] = []
    for number, (question, answer) in enumerate(item.turns):
        if number == 0:
            question_ids = vlm.prompt_ids(question, has_image)
            answer_ids = vlm.answer_ids(question, answer, has_image)
        else:
            question_ids, answer_ids = _later_turn(
                vlm, turn.replace("{question}", question), answer
            )
        ids += [*question_ids, *answer_ids, int(vlm.tokenizer.eos_token_id)]
        is_answer += [False] * len(question_ids) + [True] * (len(answer_ids) + 1)
    image_token = int(vlm.llava.config.image_token_id)
    if ids.count(image_token) != has_image * vlm.n_image_tokens:
        name = vlm.tokenizer.convert_ids_to_tokens(image_token)
        raise ConfigError(
            f"The text of conversation '{item.id}' holds '{name}', which stands for an image."
            " Fix: rephrase it."
        )
    return _Tokens(
        torch.tensor(ids[:max_tokens], dtype=torch.int32), torch.tensor(is_answer[:max_tokens])
    )


def _later_turn(vlm: VisionLanguageModel, text: str, answer: str) -> tuple[list[int], list[int]]:
    """Encode a question inside a conversation, and its answer as it continues it."""
    question_ids = list(vlm.tokenizer(text, add_special_tokens=False)["input_ids"])
    whole = list(vlm.tokenizer(f"{text} {answer}", add_special_tokens=False)["input_ids"])
    return question_ids, whole[len(question_ids) :]
