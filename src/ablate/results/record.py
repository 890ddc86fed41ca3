"""What one run leaves behind: the content of its result.json."""

from collections.abc import Hashable
from dataclasses import asdict, field
from typing import Any, Literal, get_args

from pydantic import ConfigDict, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass

Status = Literal["ok", "failed", "diverged", "oom", "interrupted"]
Cell = bool | int | float | str | None

_CLOSED = ConfigDict(extra="forbid", strict=True)


def same_value(value: object) -> Hashable:
    """Return what two cells share if they are one value: 1 is 1.0, and neither is true or the text '1'."""
    return isinstance(value, bool), value


class DamagedRecordError(ValueError):
    """A file of a run does not hold what ablate writes there."""


@dataclass(frozen=True, config=_CLOSED)
class TaskResult:
    """One metric of one task, before and after adaptation.

    Attributes:
        task: Name of the task.
        kind: What the task is for.
        metric: Name of the metric.
        value: The metric after adaptation, a fraction.
        value_before: The same of the base model.
        chance: What guessing scores.
        n: Number of items.
        stderr: Standard error of `value` over clusters of items.
    """

    task: str
    kind: Literal["target", "control", "vision", "text"]
    metric: str
    value: float | None
    value_before: float | None
    chance: float | None
    n: int
    stderr: float | None


@dataclass(frozen=True, config=_CLOSED)
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


@dataclass(frozen=True, config=_CLOSED)
class StableRules:
    """When `auto` calls a task stable; docs/stable_scores.md spells it out.

    Attributes:
        noise_multiple: Its mean is above chance by more than this many standard errors over items.
        negligible_noise: Seed noise of up to this many standard errors over items counts as none.
        largest_noise_share: Else seed noise is below this share of the spread between configurations.
    """

    noise_multiple: float
    negligible_noise: float
    largest_noise_share: float


@dataclass(frozen=True, config=_CLOSED)
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


@dataclass(frozen=True, config=_CLOSED)
class AblationRecord:
    """The ablation that a run is a value of: its question, and what answers it.

    Attributes:
        name: Name of the ablation.
        question: The question, in words.
        key: The configuration key or group that is varied.
        values: The requested values.
        baseline: The value that the others are compared with.
        metrics: Columns of results.csv that answer the question.
        source: Where the question comes from.
    """

    name: str
    question: str
    key: str
    values: list[Cell]
    baseline: Cell
    metrics: list[str]
    source: str


@dataclass(config=_CLOSED)
class RunRecord:
    """One row of results.csv and the rows of tasks.csv that belong to it.

    Attributes:
        row: Value by column; a column that is absent was not measured.
        tasks: The run's tasks.
        sessions: The target after every session; empty in the offline setting.
        digest: Hash of the trained update and every answer; None where there is no outcome.
        suite: The suite of vision and text tasks, if the run was evaluated on one.
        ablation: The ablation, if the run is part of one.
        settings: Everything that determines the run's numbers but the seed, by dotted key.
        overrides: The keys that were given for this run, with their values.
        files: SHA-256 of the run's other files, by name: what has to be there for the run to count as done.
        composed_from: The words that the run was composed from, its value and seed last; none in older records.
    """

    row: dict[str, Cell]
    tasks: list[TaskResult] = field(default_factory=list)
    sessions: list[SessionResult] = field(default_factory=list)
    digest: str | None = None
    suite: SuiteRecord | None = None
    ablation: AblationRecord | None = None
    settings: dict[str, Cell] = field(default_factory=dict)
    overrides: dict[str, Cell] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    composed_from: list[str] = field(default_factory=list)

    @model_validator(mode="before")
    @classmethod
    def _of_version_0_1(cls, content: Any) -> Any:  # noqa: ANN401  # any content of a file
        """Read records from before a configuration had an id in its row and `nan` was called `diverged`."""
        if not isinstance(content, dict) or "point" not in content:
            return content
        content = dict(content)
        point, row = content.pop("point"), content.get("row")
        if isinstance(row, dict):
            status = "diverged" if row.get("status") == "nan" else row.get("status")
            content["row"] = {"config_id": point, **row, "status": status}
        return content

    @property
    def status(self) -> Status:
        """How the run ended."""
        status: Status = self.row["status"]  # type: ignore[assignment]  # checked where it is read
        return status

    @property
    def config_id(self) -> str | None:
        """What the runs of one configuration share, whatever their seed."""
        config_id = self.row.get("config_id")
        return None if config_id is None else str(config_id)

    def to_json(self) -> dict[str, Any]:
        """Return the record as it is in result.json."""
        return asdict(self)


_RECORD = TypeAdapter(RunRecord)


def read_record(content: bytes, run_id: str) -> RunRecord:
    """Read the JSON text of what `RunRecord.to_json` returned.

    Args:
        content: What was read from the file.
        run_id: Name of the folder it was read from.

    Raises:
        DamagedRecordError: If it is anything else, or the record of another run.
    """
    try:
        record = _RECORD.validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise DamagedRecordError(f"{place or 'content'}: {first['msg']}") from error
    _check_row(record.row, run_id)
    return record


def _check_row(row: dict[str, Cell], run_id: str) -> None:
    if row.get("run_id") != run_id:
        raise DamagedRecordError(f"row.run_id is {row.get('run_id')!r}, not the folder's name")
    if row.get("status") not in get_args(Status):
        raise DamagedRecordError(f"row.status is {row.get('status')!r}")
    seed = row.get("seed")
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise DamagedRecordError(f"row.seed is {seed!r}")
