"""Few-shot continual learning: the classes come in sessions, each of which is a stage (LoRSU, arXiv 2502.04098)."""

import torch

from ablate.config.schema import FewShotData, LossName, RunConfig
from ablate.data.few_shot import class_sessions, decode, few_shot_indices
from ablate.data.multiple_choice import multiple_choice_items
from ablate.data.types import ImageClassification, LabelledImages
from ablate.methods.build import build_method
from ablate.models.vlm import VisionLanguageModel
from ablate.training.audit import Probes
from ablate.training.losses import Loss, build_loss
from ablate.training.stage import Examples, Stage


def stages(config: RunConfig, data: FewShotData, target: ImageClassification | None) -> list[Stage]:
    """Return one stage for every session; offline there is one.

    Args:
        config: The run.
        data: Its data's configuration.
        target: The data set; None where stages are only replayed.
    """
    # One method lives through all sessions: some remember earlier ones.
    method = build_method(config.method, config.loss)
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


class _Session:
    """The training images of one session's classes."""

    def __init__(
        self, config: RunConfig, data: FewShotData, target: ImageClassification | None, number: int
    ) -> None:
        self._config, self._data, self._target, self._number = config, data, target, number

    def examples(self, vlm: VisionLanguageModel) -> Examples:
        """Draw and decode the session's few shots."""
        target = self._target
        if target is None:
            raise ValueError("a stage that is only replayed has no examples")
        labels = target.train.labels
        classes = class_sessions(len(target.class_names), self._data.sessions)[self._number]
        drawn = few_shot_indices(labels, self._data.shots, self._config.seed)
        own = [index for index in drawn if int(labels[index]) in classes]
        images = decode(target.train, own, vlm.resize)
        loss = self._loss(target, vlm, images, self._config.loss)
        return Examples(loss, self._probes(target, vlm, images))

    def _loss(
        self,
        target: ImageClassification,
        vlm: VisionLanguageModel,
        images: LabelledImages,
        name: LossName,
    ) -> Loss:
        config = self._config
        items = multiple_choice_items(
            images.ids,
            images.labels.tolist(),
            target.class_names,
            target.question,
            config.eval.n_options,
            config.seed,
        )
        letters = self._data.scoring != "answers"
        return build_loss(name, vlm, images, items, target.class_names, target.templates, letters)

    def _probes(
        self, target: ImageClassification, vlm: VisionLanguageModel, images: LabelledImages
    ) -> Probes:
        """Return every loss that the model has over the first image of two classes."""
        labels = images.labels.tolist()
        first = {int(label): row for row, label in reversed(list(enumerate(labels)))}
        rows = torch.tensor(list(first.values())[-2:])
        few = LabelledImages(
            images.pixels[rows],
            images.labels[rows],
            tuple(images.ids[row] for row in rows.tolist()),
        )
        contrastive = None if vlm.clip is None else self._loss(target, vlm, few, "clip")
        return Probes(self._loss(target, vlm, few, "lm"), contrastive)
