"""What one run leaves behind, and the columns it is written in."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Status = Literal["ok", "failed", "nan", "oom", "interrupted"]

COLUMNS = (
    "run_id",
    "ablation",
    "axis",
    "value",
    "seed",
    "status",
    "error",
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
)
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


@dataclass(frozen=True)
class TaskResult:
    """One metric of one task, before and after adaptation.

    Attributes:
        task: Name of the task.
        kind: What the task is for.
        metric: Name of the metric.
        value: The metric after adaptation, a fraction.
        value_before: The same of the untouched model.
        chance: What guessing scores.
        n: Number of items.
        stderr: Standard error of `value` over items.
    """

    task: str
    kind: Literal["target", "control", "vision", "text"]
    metric: str
    value: float | None
    value_before: float | None
    chance: float | None
    n: int
    stderr: float | None


@dataclass
class RunRecord:
    """One row of results.csv and the rows of tasks.csv that belong to it.

    Attributes:
        row: Value by column; a column that is absent was not measured.
        tasks: The run's tasks.
    """

    row: dict[str, Any]
    tasks: list[TaskResult] = field(default_factory=list)

    @property
    def status(self) -> str:
        """How the run ended."""
        return str(self.row["status"])

    def to_json(self) -> dict[str, Any]:
        """Return the record as it stands in result.json."""
        return {"row": self.row, "tasks": [asdict(task) for task in self.tasks]}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "RunRecord":
        """Read what `to_json` wrote."""
        return cls(content["row"], [TaskResult(**task) for task in content["tasks"]])
