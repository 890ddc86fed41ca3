"""A run's training, stage by stage, from the beginning or from where an earlier process was."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd
from safetensors.torch import save_file
from torch import Tensor

from ablate.models.compute import Compute
from ablate.models.vlm import VisionLanguageModel
from ablate.results.checkpoint import Checkpoint, write_checkpoint
from ablate.results.files import replacing
from ablate.results.record import Cell
from ablate.results.training import FinishedTraining, keep_training
from ablate.runner.identity import checkpoint_identity, importance_key
from ablate.runner.prepare import PreparedRun
from ablate.telemetry.cost import Stopwatch, peak_memory_bytes
from ablate.telemetry.interruption import SafePoints
from ablate.trackers.tracking import OnStep
from ablate.training.audit import totals
from ablate.training.importance import ImportanceCache
from ablate.training.saving import Saving
from ablate.training.stage import Stage, replay_stage, run_stage

Update = dict[str, Tensor]


def train(
    prepared: PreparedRun,
    stages: Sequence[Stage],
    vlm: VisionLanguageModel,
    compute: Compute,
    watch: Stopwatch,
    safe_points: SafePoints,
    earlier: Checkpoint | None,
    after_stage: Callable[[Update], None],
    on_step: OnStep,
) -> FinishedTraining:
    """Run every stage; its update is in the run's folder before `after_stage` is called.

    Args:
        prepared: The run.
        stages: Of its recipe.
        vlm: Its base model, frozen; it is changed in place.
        compute: Device and precision.
        watch: Adds up the seconds of each stage.
        safe_points: When the state is kept for another process.
        earlier: Where an earlier process was; None to begin.
        after_stage: Called with a stage's update once it is merged, but for stages that only prepare another.
        on_step: Takes the numbers of each training step.

    Raises:
        NonFiniteLossError: If the training loss became NaN or infinite.
    """
    config, folder = prepared.config, prepared.folder
    importance = ImportanceCache(
        prepared.cache_folder,
        lambda names: importance_key(config, prepared.fingerprints, compute, names),
    )
    columns: dict[str, Cell] = dict(earlier.columns) if earlier else {}
    updates: list[Update] = []
    of = checkpoint_identity(folder.run_id, compute)

    def write_audit(table: pd.DataFrame) -> None:
        with replacing(folder.audit_path) as temporary:
            table.to_csv(temporary, index=False)
        columns.update(totals(table))

    def spent() -> tuple[dict[str, float], int]:
        seconds = {stage: watch.so_far(stage) for stage in ("importance", "train")}
        peak = peak_memory_bytes(compute.device)
        return seconds, max(peak, earlier.peak_memory_bytes if earlier else 0)

    def save(state: dict[str, Any]) -> None:
        write_checkpoint(folder, Checkpoint(updates, state, columns, *spent()), of)

    for number, stage in enumerate(stages):
        if earlier is not None and number < len(earlier.updates):
            updates.append(earlier.updates[number])
            replay_stage(stage, vlm, updates[number], config.seed)
        else:
            goes_on = earlier is not None and number == len(earlier.updates)
            saving = Saving(
                safe_points,
                save,
                earlier.state if earlier is not None and goes_on else None,
                at_end=stage is not stages[-1],
            )
            trained = run_stage(
                stage,
                vlm,
                compute,
                config.seed,
                watch,
                importance,
                write_audit,
                saving,
                on_step,
            )
            updates.append(trained.update)
            micro_batches = [columns.get("micro_batch"), trained.micro_batch]
            columns["micro_batch"] = min((n for n in micro_batches if n is not None), default=None)
        adapter = _named(stages, updates)
        if adapter:
            with replacing(folder.adapter_path) as temporary:
                save_file(adapter, temporary)
        if stage is stages[-1]:
            # From here on a failed evaluation costs no second training.
            training = keep_training(
                folder, columns, *spent(), (compute.device.type, compute.precision)
            )
            folder.checkpoint_path.unlink(missing_ok=True)
        if stage.prefix is not None:
            after_stage(updates[number])
    return training


def _named(stages: Sequence[Stage], updates: Sequence[Mapping[str, Tensor]]) -> Update:
    """Name the tensors of finished stages as adapter.safetensors does."""
    return {
        f"{stage.prefix}{name}": tensor.contiguous()
        for stage, update in zip(stages, updates, strict=False)
        if stage.prefix is not None
        for name, tensor in update.items()
    }
