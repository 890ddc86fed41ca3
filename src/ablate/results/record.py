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
    "forgetting",
    "clip_effective_parameters",
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
SESSION_COLUMNS = ("run_id", "after_session", "session", "classes", "accuracy", "n")


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


@dataclass(frozen=True)
class SessionResult:
    """The target's accuracy on the classes of one continual-learning session.

    Attributes:
        after_session: Sessions trained so far; 0 is before any training.
        session: Session that the classes belong to, from 1.
        classes: Names of those classes.
        accuracy: VQA accuracy, a fraction.
        n: Number of items.
    """

    after_session: int
    session: int
    classes: str
    accuracy: float | None
    n: int


@dataclass
class RunRecord:
    """One row of results.csv and the rows of tasks.csv that belong to it.

    Attributes:
        row: Value by column; a column that is absent was not measured.
        tasks: The run's tasks.
        sessions: The target after every session; empty in the offline setting.
        digest: Hash of the trained update and every answer; None where there is no outcome.
    """

    row: dict[str, Any]
    tasks: list[TaskResult] = field(default_factory=list)
    sessions: list[SessionResult] = field(default_factory=list)
    digest: str | None = None

    @property
    def status(self) -> str:
        """How the run ended."""
        return str(self.row["status"])

    def to_json(self) -> dict[str, Any]:
        """Return the record as it stands in result.json."""
        return {
            "row": self.row,
            "tasks": [asdict(task) for task in self.tasks],
            "sessions": [asdict(session) for session in self.sessions],
            "digest": self.digest,
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "RunRecord":
        """Read what `to_json` wrote."""
        return cls(
            content["row"],
            [TaskResult(**task) for task in content["tasks"]],
            [SessionResult(**session) for session in content["sessions"]],
            content["digest"],
        )
