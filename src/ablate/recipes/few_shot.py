"""Few-shot continual learning: the classes come in sessions, each of which is a stage (LoRSU, arXiv 2502.04098)."""

from collections.abc import Callable, Sequence

import torch
from PIL import Image
from torch import Tensor

from ablate.config.schema import FewShotData, LossName, RunConfig
from ablate.data.few_shot import class_sessions, decode, session_indices
from ablate.data.multiple_choice import asked, asked_openly, questions_about
from ablate.data.types import ImageClassification, ImageQuestions, LabelledImages
from ablate.evaluation.verbs.zero_shot import (
    class_embeddings,
    prompt_embeddings,
    text_embeddings,
)
from ablate.methods.base import Method
from ablate.methods.build import build_method
from ablate.methods.joint import Joint
from ablate.models.encoders.preprocessing import image_side
from ablate.models.vlm import VisionLanguageModel
from ablate.training.audit import Probes
from ablate.training.augmentation import AugmentedImages
from ablate.training.losses import AnswerLoss, ContrastiveLoss, Loss
from ablate.training.stage import Examples, Stage


def stages(config: RunConfig, data: FewShotData, target: ImageClassification | None) -> list[Stage]:
    """Return one stage for every session; offline there is one.

    Args:
        config: The run.
        data: Its data's configuration.
        target: The data set; None where stages are only replayed.
    """
    # One method lives through all sessions: some remember earlier ones.
    method = _method(config)
    n = data.sessions
    return [
        Stage(
            label="train",
            method=method,
            train=config.train,
            examples=_Session(config, data, target, number).examples,
            prefix=f"session{number}." if n > 1 else "",
            starts_from_base=number == 0,
        )
        for number in range(n)
    ]


def _method(config: RunConfig) -> Method:
    """Return what is trained: the run's method, and the projector's beside it where there is one."""
    method = build_method(config.method, config.loss)
    if config.projector is None:
        return method
    part = "language_model" if "language_model" in method.parts() else "encoder"
    return Joint({part: method, "projector": build_method(config.projector, config.loss)})


def session_rows(target: ImageClassification, data: FewShotData, seed: int) -> list[list[int]]:
    """Draw the training items of every session.

    Args:
        target: The data set.
        data: How many, and how they are divided.
        seed: Seed of the draw.

    Returns:
        Positions in the training part, by session.

    Raises:
        ConfigError: If there are too few.
    """
    parts = target.session_parts
    sessions = class_sessions(parts.names, data.sessions, data.session_classes)
    return [
        session_indices(parts, session, number, data.shots, data.shots_per, seed)
        for number, session in enumerate(sessions)
    ]


class _Session:
    """The training images of one session's classes."""

    def __init__(
        self, config: RunConfig, data: FewShotData, target: ImageClassification | None, number: int
    ) -> None:
        self._config, self._data, self._target, self._number = config, data, target, number

    def examples(self, vlm: VisionLanguageModel) -> Examples:
        """Draw and decode the session's few shots."""
        target, data = self._target, self._data
        if target is None:
            raise ValueError("a stage that is only replayed has no examples")
        drawn = session_rows(target, data, self._config.seed)[self._number]
        images = decode(target.train, drawn, vlm.resize)
        loss = self._loss(target, vlm, images, drawn, self._config.loss)
        return Examples(loss, self._probes(target, vlm, images, drawn))

    def _loss(
        self,
        target: ImageClassification,
        vlm: VisionLanguageModel,
        images: LabelledImages,
        rows: Sequence[int],
        name: LossName,
    ) -> Loss:
        """Return a loss over images; `rows` are their positions in the data set's training part."""
        if name == "lm":
            return AnswerLoss(vlm, images, self._asked(target, rows))
        return ContrastiveLoss(
            vlm, self._pixels(target, vlm, images, rows), self._texts(target, vlm, images, rows)
        )

    def _asked(self, target: ImageClassification, rows: Sequence[int]) -> list[tuple[str, str]]:
        """Return a question with its answer for every image."""
        config, data = self._config, self._data
        items = questions_about(target, rows, False, config.eval.n_options, config.seed)
        open_question = config.train.open_question
        if open_question is not None:
            return [asked_openly(item, open_question, data.sentence) for item in items]
        return [asked(item, data.scoring) for item in items]

    def _pixels(
        self,
        target: ImageClassification,
        vlm: VisionLanguageModel,
        images: LabelledImages,
        rows: Sequence[int],
    ) -> Callable[[Tensor], Tensor]:
        augment = self._config.train.augment
        if augment is None:
            return images.pixels.__getitem__

        def read(indices: Sequence[int]) -> list[Image.Image]:
            return target.train.images([rows[index] for index in indices])

        return AugmentedImages(read, augment, image_side(vlm.image_processor))

    def _texts(
        self,
        target: ImageClassification,
        vlm: VisionLanguageModel,
        images: LabelledImages,
        rows: Sequence[int],
    ) -> Tensor:
        """Embed the texts that every image may be matched with, `[images, choices, width]`."""
        if self._config.train.clip_text == "mean" and not isinstance(target, ImageQuestions):
            mean = class_embeddings(vlm, target.class_names, target.templates)
            return mean[images.labels, None]
        if target.captions is not None:
            return text_embeddings(vlm, [target.captions[row] for row in rows])[:, None]
        return prompt_embeddings(vlm, target.class_names, target.templates)[images.labels]

    def _probes(
        self,
        target: ImageClassification,
        vlm: VisionLanguageModel,
        images: LabelledImages,
        rows: Sequence[int],
    ) -> Probes:
        """Return every loss that the model has over the first image of two classes."""
        labels = images.labels.tolist()
        first = {int(label): row for row, label in reversed(list(enumerate(labels)))}
        chosen = torch.tensor(list(first.values())[-2:])
        few = LabelledImages(
            images.pixels[chosen],
            images.labels[chosen],
            tuple(images.ids[row] for row in chosen.tolist()),
        )
        own = [rows[row] for row in chosen.tolist()]
        contrastive = None if vlm.clip is None else self._loss(target, vlm, few, own, "clip")
        return Probes(self._loss(target, vlm, few, own, "lm"), contrastive)
