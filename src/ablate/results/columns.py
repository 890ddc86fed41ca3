"""The columns of the CSV files, in their order; results.csv gains one for every key that runs differ in."""

from dataclasses import dataclass
from typing import Literal

# The settings that have a column in every sweep.
SETTING_COLUMNS = (
    "model",
    "encoder",
    "encoder_frozen",
    "method",
    "loss",
    "data",
    "shots",
    "sessions",
    "rank",
    "top_k_heads",
    "sparsity",
)
COLUMNS = (
    "run_id",
    "ablation",
    "axis",
    "value",
    "seed",
    "status",
    "error",
    *SETTING_COLUMNS,
    "accuracy",
    "accuracy_before",
    "target_improvement",
    "control_change",
    "vision_stable_score",
    "text_stable_score",
    "n_items",
    "trainable_parameters",
    "effective_parameters",
    "peak_memory_bytes",
    "load_seconds",
    "importance_seconds",
    "train_seconds",
    "eval_seconds",
    "git_commit",
    "git_dirty",
    "ablate_version",
    "started_at",
    "finished_at",
    "device",
    "precision",
    "forgetting",
    "clip_effective_parameters",
    "vision_stable_stderr",
    "text_stable_stderr",
    "vision_stable_note",
    "text_stable_note",
    "config_id",
    "model_source",
    "threads",
    "trained_at",
    "quantization",
    "image_aspect",
    "protocol",
    "micro_batch",
    "eval_batch",
)


@dataclass(frozen=True)
class Metric:
    """What a numeric column means to a reader.

    Attributes:
        better: Which direction is better; None where neither is.
        unit: What it is counted in.
        is_exact: Whether it is a count that no seed and no clock moves: two values differ or they do not.
        has_items: Whether it is a weighted sum of means over items; the others are tested over seeds alone.
    """

    better: Literal["higher", "lower"] | None
    unit: Literal["fraction", "count", "bytes", "seconds"] = "fraction"
    is_exact: bool = False
    has_items: bool = False


# The numbers that a run is evaluated by: what an ablation may name as its metrics.
METRICS = {
    "accuracy": Metric("higher", has_items=True),
    "accuracy_before": Metric(None, has_items=True),
    "target_improvement": Metric("higher", has_items=True),
    "control_change": Metric("higher", has_items=True),
    "forgetting": Metric("lower"),
    "vision_stable_score": Metric("higher", has_items=True),
    "vision_stable_stderr": Metric(None),
    "text_stable_score": Metric("higher", has_items=True),
    "text_stable_stderr": Metric(None),
    "n_items": Metric(None, "count", is_exact=True),
    "trainable_parameters": Metric("lower", "count", is_exact=True),
    "effective_parameters": Metric("lower", "count", is_exact=True),
    "clip_effective_parameters": Metric("lower", "count", is_exact=True),
    "peak_memory_bytes": Metric("lower", "bytes"),
    "load_seconds": Metric("lower", "seconds"),
    "importance_seconds": Metric("lower", "seconds"),
    "train_seconds": Metric("lower", "seconds"),
    "eval_seconds": Metric("lower", "seconds"),
}
TASK_COLUMNS = (
    "run_id",
    "task",
    "kind",
    "metric",
    "value",
    "value_before",
    "chance",
    "n",
    "stderr",
)
STABLE_TASK_COLUMNS = (
    "ablation",
    "suite",
    "kind",
    "task",
    "metric",
    "choice",
    "stable",
    "reason",
    "n",
    "chance",
    "mean",
    "centred",
    "stderr",
    "seed_sd",
    "spread",
    "n_runs",
    "n_points",
)
SESSION_COLUMNS = ("run_id", "after_session", "session", "classes", "accuracy", "n")
SUMMARY_COLUMNS = (
    "ablation",
    "axis",
    "value",
    "is_baseline",
    "metric",
    "n_seeds",
    "n_common_seeds",
    "n_items",
    "mean",
    "sd",
    "difference",
    "ci95_low",
    "ci95_high",
    "p",
    "p_holm",
    "verdict",
    "smallest_shown",
    "margin",
    "needed_seeds",
    "needed_items",
    "n_clusters",
    "test",
    "sentence",
    "run_ids",
)
