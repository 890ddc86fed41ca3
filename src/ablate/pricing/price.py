"""What every run of a plan takes, the work that runs share counted once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from ablate.config.errors import one_line
from ablate.config.schema import RunConfig
from ablate.data.blank import without_images
from ablate.evaluation.task import Task
from ablate.models.compute import Compute
from ablate.models.skeleton import vlm_skeleton, without_content
from ablate.models.vlm import VisionLanguageModel
from ablate.pricing.dry import DryModel
from ablate.pricing.evaluation import TaskPrice, price_task
from ablate.pricing.given import Given
from ablate.pricing.pieces import (
    Kind,
    Piece,
    State,
    evaluation_pieces,
    state_of,
    training_pieces,
)
from ablate.pricing.planned import PlannedRun
from ablate.pricing.thin import thinned
from ablate.pricing.training import StagePrice, price_stage
from ablate.recipes.build import stages_of
from ablate.training.stage import Stage
from ablate.training.trainer import steps_per_epoch

# What changes neither a run's shapes nor how many there are.
_NO_MATTER: dict[str, Any] = {
    "ablation": None,
    "seed": 0,
    "seeds": None,
    "name": "",
    "output_dir": "",
    "force": False,
}
# What says how a stage trains its examples, not which they are.
_METHODS = ("method", "language", "projector")
_QUANTISED = "what quantised weights take is up to bitsandbytes"
# What a method or a model raises that needs more than shapes.
_NOT_PRICED = (NotImplementedError, RuntimeError, TypeError)


@dataclass(frozen=True)
class RunPrice:
    """What one run takes.

    Attributes:
        run: The run.
        state: How far it has come.
        parameters: Parameters of the model, without an adapter; CLIP's own parts among them.
        stages: Its stages of training, in order; empty where they cannot be priced.
        pieces: All that it consists of.
        shared: Positions in `pieces` of results that an earlier run of the plan brings.
        why_not_priced: Why there are no `stages`; None where there are.
    """

    run: PlannedRun
    state: State
    parameters: int
    stages: tuple[StagePrice, ...]
    pieces: tuple[Piece, ...]
    shared: frozenset[int]
    why_not_priced: str | None

    @property
    def left(self) -> list[Piece]:
        """What this run still has to do."""
        return [
            piece
            for position, piece in enumerate(self.pieces)
            if not piece.is_kept and position not in self.shared
        ]

    @property
    def has_any(self) -> bool:
        """Whether anything of what is left has a price, or nothing is left."""
        return not self.not_priced or any(piece.flops is not None for piece in self.left)

    @property
    def _lacks_training(self) -> bool:
        return self.why_not_priced is not None and self.state not in ("done", "trained")

    @property
    def not_priced(self) -> list[str]:
        """What is left and missing in the sums, and why."""
        reasons = [f"training: {self.why_not_priced}"] if self._lacks_training else []
        return reasons + [f"{p.label}: {p.why_not_priced}" for p in self.left if p.flops is None]

    @property
    def peak_bytes(self) -> int | None:
        """The most that what is left and has a price holds at once; None if no piece says."""
        return max((p.peak_bytes for p in self.left if p.peak_bytes is not None), default=None)

    def flops(self, kind: Kind) -> int | None:
        """Add up what is left of one kind, as far as it is known; None if nothing of it is."""
        if kind != "evaluation" and self._lacks_training:
            return None
        flops = [piece.flops for piece in self.left if piece.kind == kind]
        known = [one for one in flops if one is not None]
        return sum(known) if known or not flops else None


class Pricer:
    """Prices runs; what several have in common is computed once."""

    def __init__(self, compute: Compute) -> None:
        """Plan with a device.

        Args:
            compute: Device and precision that the runs would be made with.
        """
        self._planned = compute
        # Hollow tensors take the part of the CPU's; no device is looked for.
        self._compute = Compute(torch.device("cpu"), compute.precision)
        self._stages: dict[str, list[StagePrice] | str] = {}
        self._tasks: dict[str, TaskPrice | str] = {}
        self._givens: dict[str, Given] = {}
        self._thin: dict[VisionLanguageModel, VisionLanguageModel] = {}

    def all(self, runs: Sequence[PlannedRun]) -> list[RunPrice]:
        """Price runs in the order in which they would be made."""
        brought: set[str] = set()
        return [self._one(run, brought) for run in runs]

    def training_peak(self, run: PlannedRun) -> int | None:
        """Return the most bytes that a run holds at once until it is trained; None if that has no price."""
        stages = self.stages(run)
        return max((b for s in stages for b in (s.peak_bytes, s.importance_bytes)), default=None)

    def stages(self, run: PlannedRun) -> list[StagePrice]:
        """Return the price of every stage of a run; none if they have no price."""
        found = self._stages_of(run, self._skeleton(run.config))
        return [] if isinstance(found, str) else found

    def evaluation_peak(self, run: PlannedRun) -> int | None:
        """Return the most bytes that a run holds at once when it is evaluated; None if a task has no price."""
        skeleton = self._skeleton(run.config)
        prices = [self._task(task, run.config, skeleton) for task in run.tasks]
        peaks = [price.peak_bytes for price in prices if not isinstance(price, str)]
        return max(peaks) if peaks and len(peaks) == len(prices) else None

    def _one(self, run: PlannedRun, brought: set[str]) -> RunPrice:
        state = state_of(run, self._planned)
        skeleton = self._skeleton(run.config)
        found = self._stages_of(run, skeleton)
        stages, why = ([], found) if isinstance(found, str) else (found, None)
        trains = why is not None or any(stage.trained for stage in stages)
        methods = stages_of(run.config, None)
        trains_language = trains and any("language_model" in s.method.parts() for s in methods)
        n_sessions = sum(stage.prefix is not None for stage in methods)
        prices = {task.name: self._task(task, run.config, skeleton) for task in run.tasks}
        pieces = [
            *training_pieces(run, stages, state, self._planned),
            *evaluation_pieces(
                run, n_sessions, (trains, trains_language), prices, state, self._planned
            ),
        ]
        shared = set()
        for position, piece in enumerate(pieces):
            if piece.key is not None and not piece.is_kept:
                if piece.key in brought:
                    shared.add(position)
                brought.add(piece.key)
        return RunPrice(
            run,
            state,
            sum(parameter.numel() for parameter in skeleton.parameters()),
            tuple(stages),
            tuple(pieces),
            frozenset(shared),
            why,
        )

    def _skeleton(self, config: RunConfig) -> VisionLanguageModel:
        return vlm_skeleton(config.model, config.encoder, self._compute.frozen_dtype)

    def _thinned(self, skeleton: VisionLanguageModel) -> VisionLanguageModel:
        if skeleton not in self._thin:
            self._thin[skeleton] = thinned(skeleton)
        return self._thin[skeleton]

    def _stages_of(self, run: PlannedRun, skeleton: VisionLanguageModel) -> list[StagePrice] | str:
        """Price the stages of a run once for all that differ in nothing but the seed; or say why there is no price."""
        if run.config.model.quantization is not None:
            return _QUANTISED
        key = repr(replace(run.config, **_NO_MATTER))
        if key not in self._stages:
            try:
                self._stages[key] = self._priced_stages(run, skeleton)
            except _NOT_PRICED as error:
                self._stages[key] = _reason(error)
        return self._stages[key]

    def _priced_stages(self, run: PlannedRun, skeleton: VisionLanguageModel) -> list[StagePrice]:
        """Price the stages of a run; those of one label differ in their number of examples alone."""
        found: list[StagePrice] = []
        texts: DryModel | None = None
        for stage in stages_of(run.config, without_images(run.data.training)):
            if not found or found[-1].label != stage.label:
                is_frozen = "language_model" not in stage.method.parts()
                model = self._thinned(skeleton) if is_frozen else skeleton
                given = self._given(stage, run.config, model)
                seed = run.config.seed
                found.append(price_stage(stage, model, self._compute, seed, given))
                continue
            texts = texts or DryModel(without_content(skeleton))
            n = stage.examples(texts.vlm).loss.n
            n_steps = stage.train.epochs * steps_per_epoch(n, stage.train)
            found.append(found[-1].of(n, n_steps if found[-1].n_steps else 0))
        return found

    def _given(self, stage: Stage, config: RunConfig, model: VisionLanguageModel) -> Given:
        """Return what stages of several methods have in common."""
        no_matter = {*_NO_MATTER, *_METHODS}
        matters = {key: value for key, value in vars(config).items() if key not in no_matter}
        key = repr((stage.label, id(model), matters))
        if key not in self._givens:
            self._givens[key] = Given(stage, model, self._compute, config.seed)
        return self._givens[key]

    def _task(
        self, task: Task, config: RunConfig, skeleton: VisionLanguageModel
    ) -> TaskPrice | str:
        if config.model.quantization is not None:
            return _QUANTISED
        key = repr((config.model, config.encoder, config.eval, task.name, task.fingerprint))
        if key not in self._tasks:
            try:
                thin = self._thinned(skeleton)
                self._tasks[key] = price_task(task, thin, config.eval, self._compute)
            except _NOT_PRICED as error:
                self._tasks[key] = _reason(error)
        return self._tasks[key]


def _reason(error: Exception) -> str:
    return one_line(str(error) or type(error).__name__)
