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
    "vision_stable_stderr",
    "text_stable_stderr",
    "vision_stable_note",
    "text_stable_note",
)
# The numbers that a run is measured by: what an ablation may name as its metrics.
METRIC_COLUMNS = (
    "accuracy",
    "accuracy_before",
    "target_improvement",
    "control_change",
    "forgetting",
    "vision_stable_score",
    "vision_stable_stderr",
    "text_stable_score",
    "text_stable_stderr",
    "n_items",
    "trainable_parameters",
    "effective_parameters",
    "clip_effective_parameters",
    "peak_memory_bytes",
    "load_seconds",
    "importance_seconds",
    "train_seconds",
    "eval_seconds",
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


@dataclass(frozen=True)
class StableRules:
    """When `auto` calls a task stable; docs/stable_scores.md spells it out.

    Attributes:
        noise_multiple: Its mean is above chance by more than this many standard errors over items.
        negligible_noise: Seed noise of up to this many standard errors over items counts as none.
        largest_noise_share: Else seed noise is below this share of the spread between points.
    """

    noise_multiple: float
    negligible_noise: float
    largest_noise_share: float


@dataclass(frozen=True)
class SuiteRecord:
    """The suite a run was evaluated on, and how its stable tasks are chosen.

    Attributes:
        name: Name of the suite.
        expected: Names of the suite's tasks by kind, `vision` and `text`.
        stable: By kind, the names of the stable tasks, or `auto` to decide from the runs.
        rules: What `auto` decides by.
    """

    name: str
    expected: dict[str, list[str]]
    stable: dict[str, Literal["auto"] | list[str]]
    rules: StableRules

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "SuiteRecord":
        """Read what `dataclasses.asdict` made of it."""
        return cls(**{**content, "rules": StableRules(**content["rules"])})


@dataclass
class RunRecord:
    """One row of results.csv and the rows of tasks.csv that belong to it.

    Attributes:
        row: Value by column; a column that is absent was not measured.
        tasks: The run's tasks.
        sessions: The target after every session; empty in the offline setting.
        digest: Hash of the trained update and every answer; None where there is no outcome.
        suite: The suite of vision and text tasks, if the run was evaluated on one.
        point: Hash of all that determines the run's numbers but its seed; None where it was not kept.
    """

    row: dict[str, Any]
    tasks: list[TaskResult] = field(default_factory=list)
    sessions: list[SessionResult] = field(default_factory=list)
    digest: str | None = None
    suite: SuiteRecord | None = None
    point: str | None = None

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
            "suite": None if self.suite is None else asdict(self.suite),
            "point": self.point,
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "RunRecord":
        """Read what `to_json` wrote; a record from before there were suites has none."""
        suite = content.get("suite")
        return cls(
            content["row"],
            [TaskResult(**task) for task in content["tasks"]],
            [SessionResult(**session) for session in content["sessions"]],
            content["digest"],
            None if suite is None else SuiteRecord.from_json(suite),
            content.get("point"),
        )
