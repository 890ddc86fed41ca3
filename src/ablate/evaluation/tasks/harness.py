"""Text tasks of lm-evaluation-harness (github.com/EleutherAI/lm-evaluation-harness), in process."""

import contextlib
import copy
import importlib
import io
import logging
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from datasets.exceptions import DatasetsError
from jinja2 import TemplateError

from ablate.config.errors import ConfigError, nearest, unknown
from ablate.config.schema import EvalConfig
from ablate.config.schema.tasks import LmEvalTask
from ablate.config.text import printable
from ablate.data.tables.rows import drawn
from ablate.evaluation.progress import Progress
from ablate.evaluation.task import Metric, Task, fingerprint_of
from ablate.evaluation.tasks.language_model import causal_language_model
from ablate.evaluation.tasks.task_code import code_in, sandboxed
from ablate.evaluation.verbs.inference import inference
from ablate.models.vlm import VisionLanguageModel
from ablate.results.items import ItemResult

if TYPE_CHECKING:
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.tasks import TaskManager

log = logging.getLogger(__name__)

# The same solved examples in every prompt of every run.
_SHOTS_SEED = 1234
_LENGTH_NORMALISED = "acc_norm"


class HarnessTask(Task):
    """A task of lm-evaluation-harness, evaluated on the VLM's language model."""

    def __init__(self, name: str, config: LmEvalTask) -> None:
        """Load the task's data.

        Raises:
            ConfigError: If lm-eval is not installed, the task, its data or its metric is not there, or it
                would run code that is not allowed.
        """
        self.name, self.kind, self._config = name, config.kind, config
        self.metrics = (Metric(config.metric, config.chance),)
        manager = _manager_with(name, config)
        self._runs_code = _runs_code(name, config, manager)
        try:
            with _quiet(), sandboxed(not self._runs_code):
                self._task = _load(name, config, manager)
                docs = self._task.eval_docs
                self._chosen = drawn([str(index) for index in range(len(docs))], config.items)
                self.n = len(self._chosen)
                self.fingerprint = self._fingerprint([docs[index] for index in self._chosen])
        except TemplateError as error:
            raise ConfigError(
                f"A template of lm-eval task '{config.task}' cannot be filled in"
                f" ({type(error).__name__}: {printable(str(error))}). Fix: correct it."
            ) from error

    def evaluate(self, vlm: VisionLanguageModel, config: EvalConfig, progress: Progress) -> None:
        """Hand the language model to lm-eval, which makes batches of its own: all items are one step of progress."""
        from lm_eval.evaluator import evaluate
        from lm_eval.models.huggingface import HFLM

        if self._runs_code:
            log.warning("task %s runs code of %s", self.name, self._config.include_path)
        device = vlm.device.type
        with inference(vlm), _quiet(), sandboxed(not self._runs_code):
            model = HFLM(
                pretrained=causal_language_model(vlm),
                tokenizer=copy.deepcopy(vlm.tokenizer),
                batch_size=config.batch_size,
                # It leaves an autocast around it unless it opens one of its own.
                mixed_precision_dtype=torch.get_autocast_dtype(device)
                if torch.is_autocast_enabled(device)
                else None,
            )
            self._task.set_fewshot_seed(seed=_SHOTS_SEED)
            found = evaluate(
                lm=model,
                task_dict={"tasks": {self.name: self._task}, "groups": {}},
                samples={self.name: self._chosen},
                bootstrap_iters=0,
            )
        samples = [s for s in found["samples"][self.name] if s["filter"] == self._config.filter]
        results = [self._answered(sample) for sample in samples]
        progress.keep({self._config.metric: dict(enumerate(results))})

    def _answered(self, sample: dict[str, Any]) -> ItemResult:
        score = sample[self._config.metric]
        if not isinstance(score, bool | int | float) or not 0 <= score <= 1:
            raise ConfigError(
                f"Metric '{self._config.metric}' of task '{self.name}' is not a number in 0..1 for an item, "
                f"but {score!r}. Fix: tasks.tasks.{self.name}.metric."
            )
        answer, prediction, text = str(sample["target"]), None, None
        likelihoods: list[float] = []
        if self._task.OUTPUT_TYPE == "multiple_choice":
            options = self._task.doc_to_choice(sample["doc"])
            likelihoods = [float(response[0]) for response in sample["filtered_resps"]]
            ranked = likelihoods
            if self._config.metric == _LENGTH_NORMALISED:
                ranked = [v / len(o) for v, o in zip(likelihoods, options, strict=True)]
            prediction = options[ranked.index(max(ranked))]
            if isinstance(sample["target"], int):
                answer = options[sample["target"]]
        elif self._task.OUTPUT_TYPE == "generate_until":
            prediction = str(sample["filtered_resps"][0])
            text = str(sample["resps"][0][0])
        item_id = str(sample["doc_id"])
        return ItemResult(
            item_id, item_id, answer, prediction, float(score), text, tuple(likelihoods)
        )

    def _fingerprint(self, docs: Sequence[dict[str, Any]]) -> str:
        task, config = self._task, self._config
        prompts = [
            (
                task.doc_to_text(doc),
                task.doc_to_target(doc),
                task.doc_to_choice(doc) if task.OUTPUT_TYPE == "multiple_choice" else None,
            )
            for doc in docs
        ]
        solved = list(task.fewshot_docs()) if task.config.num_fewshot else []
        return fingerprint_of(
            config.task,
            str(task.VERSION),
            config.metric,
            config.filter,
            task.config.num_fewshot,
            prompts,
            solved,
        )


def _runs_code(name: str, config: LmEvalTask, manager: "TaskManager") -> bool:
    """Tell whether a task runs code of the user's; lm-eval's own tasks are part of lm-eval.

    Raises:
        ConfigError: If it does, but is not allowed to.
    """
    entry = manager.task_index[config.task]
    if manager.include_path is None or entry.yaml_path is None:
        return False
    code = code_in(entry.yaml_path, entry.cfg or {})
    if code is not None and not config.allow_task_code:
        raise ConfigError(
            f"lm-eval task '{config.task}' would run code: {code}. Fix: read that code, then set"
            f" tasks.tasks.{name}.allow_task_code=true, or take it out."
        )
    return code is not None


def _load(name: str, config: LmEvalTask, manager: "TaskManager") -> "ConfigurableTask":
    """Load a task's functions and data, and set its number of solved examples."""
    try:
        (task,) = manager.load([config.task])["tasks"].values()
    except ImportError as error:
        raise ConfigError(
            f"lm-eval task '{config.task}' cannot be loaded with the packages installed here "
            f"({type(error).__name__}: {printable(str(error))}). Fix: {_without(name, config)}."
        ) from error
    except (DatasetsError, OSError, RuntimeError, ValueError, KeyError) as error:
        reason = next(iter(str(error).strip().splitlines()), "").rstrip(".")
        raise ConfigError(
            f"The data of lm-eval task '{config.task}' cannot be loaded "
            f"({type(error).__name__}: {reason}). Fix: make them available, or {_without(name, config)}."
        ) from error
    if config.metric not in task.aggregation():
        raise unknown(f"metric of lm-eval task '{config.task}'", config.metric, task.aggregation())
    filters = [part["name"] for part in task.config.filter_list or ()] or ["none"]
    if config.filter not in filters:
        raise unknown(f"filter of lm-eval task '{config.task}'", config.filter, filters)
    if task.config.num_fewshot != 0:
        task.set_config(key="num_fewshot", value=config.shots)
    return task


def _without(name: str, config: LmEvalTask) -> str:
    """Say how to leave a task out of its suite."""
    return (
        f"leave task '{name}' out of the suite with ~task@tasks.tasks.{name}, and out of tasks.stable.{config.kind} "
        "if it is named there"
    )


def _manager_with(name: str, config: LmEvalTask) -> "TaskManager":
    """Return the index that has the task: of the user's folder if it is there, else of lm-eval's own."""
    try:
        importlib.import_module("lm_eval")
    except ImportError as error:
        raise ConfigError(
            f"Task '{name}' needs lm-evaluation-harness, which is not installed."
            " Run: pip install 'ablate-vlm[lm-eval]'"
        ) from error
    names: list[str] = []
    if config.include_path is not None:
        folder = Path(config.include_path).expanduser()
        if not folder.is_dir():
            raise ConfigError(
                f"tasks.tasks.{name}.include_path is '{config.include_path}', which is not a folder. "
                f"Fix: give the folder that your task files are in."
            )
        own = _manager(str(folder))
        if config.task in own.all_subtasks:
            return own
        names += own.all_subtasks
    shipped = _manager(None)
    if config.task in shipped.all_subtasks:
        return shipped
    if config.task in shipped.all_tasks:
        raise ConfigError(
            f"lm-eval's '{config.task}' is a group of tasks. Fix: name one of its tasks in "
            f"tasks.tasks.{name}.task; `lm-eval ls subtasks` lists them."
        )
    match = nearest(config.task, [*names, *shipped.all_subtasks])
    hint = f" Did you mean '{match}'?" if match else ""
    raise ConfigError(
        f"Unknown lm-eval task '{config.task}' in tasks.tasks.{name}.task.{hint}"
        " Fix: `lm-eval ls subtasks` lists all of them."
    )


@lru_cache
def _manager(folder: str | None) -> "TaskManager":
    from lm_eval.tasks import TaskManager

    return TaskManager(include_path=folder, include_defaults=folder is None)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep lm-eval's own bars and notes from the terminal: the run has one bar for all tasks."""
    logger = logging.getLogger("lm_eval")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)
