"""Suites as configuration: what composes, and in which words a mistake is told."""

import pytest
from tests.evaluation.tasks.suites import PLACES, read_suite, read_task

from ablate.config.errors import ConfigError
from ablate.config.folder import config_folder, group_files
from ablate.config.schema.tasks import LmEvalTask, TaskConfig
from ablate.evaluation.tasks.load import load_suite

SUITES = sorted(group_files("tasks", [config_folder()]))
TASKS = sorted(group_files("task", [config_folder()]))


def read_any(suite: str):
    return read_suite(f"tasks={suite}", *(PLACES if suite in ("vision", "full") else ()))


@pytest.mark.parametrize("suite", SUITES)
def test_every_shipped_suite_composes_and_names_its_own_tasks(suite):
    config = read_any(suite)
    assert config.name == suite
    for kind in ("vision", "text"):
        named = getattr(config.stable, kind)
        if named != "auto":
            assert set(named) <= {n for n, task in config.tasks.items() if task.kind == kind}


@pytest.mark.parametrize("name", sorted(set(TASKS) - {"lm-eval"}))
def test_every_shipped_task_says_where_it_comes_from(name):
    changes = {"vsr": {"data": {"image_folder": "images"}}}
    changes["ocid-ref"] = {"data": {"image_folder": "images", "path": "val_expressions.json"}}
    changes["choices"] = {"data": {"path": "rows.parquet"}}
    task: TaskConfig = read_task(name, **changes.get(name, {}))
    # None: that of the questions' options.
    assert task.chance is None or 0 <= task.chance < 1
    opening = (config_folder() / "task" / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    assert opening[0].startswith("# ")


def test_the_tiny_suite_has_five_tasks_of_a_kind_with_300_items():
    tasks = load_suite(read_suite("tasks=tiny"))
    for kind in ("vision", "text"):
        assert sum(task.kind == kind for task in tasks.values()) >= 5
    assert all(task.n >= 300 for task in tasks.values())
    assert len({task.fingerprint for task in tasks.values()}) == len(tasks)


def test_the_core_suite_is_the_published_list_by_lm_evals_names():
    tasks = read_suite("tasks=core").tasks.values()
    names = {task.task for task in tasks if isinstance(task, LmEvalTask)}
    assert len(tasks) == 21
    assert {"arc_easy", "hellaswag", "piqa", "boolq", "lambada_openai", "wsc273"} <= names


def test_a_task_is_added_and_left_out_on_the_command_line():
    tasks = read_suite("tasks=tiny", "+task@tasks.tasks.gqa=gqa", "~task@tasks.tasks.count").tasks
    assert "gqa" in tasks
    assert "count" not in tasks


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["~tasks.tasks.shape.chance"], ["tasks.tasks.shape.chance is missing. Fix:"]),
        (["tasks.tasks.shape.chance=1"], ["tasks.tasks.shape.chance is 1", "less than 1"]),
        (["tasks.tasks.shape.chance=-0.1"], ["tasks.tasks.shape.chance is -0.1"]),
        (["~tasks.tasks.shape.source"], ["tasks.tasks.shape.source is missing"]),
        (["tasks.tasks.shape.source=shaeps"], ["Did you mean 'shapes'?"]),
        (["tasks.tasks.shape.question=shaep"], ["Did you mean 'shape'?"]),
        (["tasks.tasks.shape.kind=text"], ["tasks.tasks.shape.kind is 'text'", "'vision'"]),
        (["tasks.stable.vision=aut"], ["tasks.stable.vision is 'aut'", "Did you mean 'auto'?"]),
        (["tasks.stable.vision=[]"], ["tasks.stable.vision is []", "at least one item"]),
        (["tasks.tasks.shape.objects=[5]"], ["tasks.tasks.shape.objects.0 is 5"]),
        (["+tasks.tasks.shape.chanse=0.1"], ["Unknown key", "tasks.tasks.shape.chanse"]),
    ],
)
def test_a_mistake_in_a_suite_is_one_line_that_names_it(overrides, words):
    with pytest.raises(ConfigError) as caught:
        read_suite("tasks=tiny", *overrides)
    text = str(caught.value)
    assert "\n" not in text
    for word in words:
        assert word in text, text


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["tasks.stable.vision=[shaep]"], ["Unknown task", "Did you mean 'shape'?"]),
        (["tasks.stable.text=[shape]"], ["'shape', which is a vision task", "tasks.stable.vision"]),
        (["tasks.tasks.shape.chance=0.2"], ["chance: 0.2", "8 options", "Fix: chance: 0.125"]),
        (["tasks.tasks.shape.style=fild"], ["Did you mean 'filled'?"]),
        (["tasks.tasks.shape.objects=[1,2]"], ["only object", "Fix: objects: [1]"]),
        (["tasks.tasks.shape.items=null"], ["unlimited number of scenes"]),
        (["tasks.tasks.words-odd.topic=od"], ["Unknown word topic 'od'", "Did you mean 'odd'?"]),
        (["tasks.tasks.words-odd.items=100000"], ["100000 items", "Fix: items:"]),
    ],
)
def test_a_task_that_cannot_be_is_named_before_any_model_is_loaded(overrides, words):
    config = read_suite("tasks=tiny", *overrides)
    with pytest.raises(ConfigError) as caught:
        load_suite(config)
    text = str(caught.value)
    assert "\n" not in text
    for word in words:
        assert word in text, text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["tasks=tinny"], "Unknown tasks 'tinny'. Did you mean 'tiny'?"),
        (["tasks=tiny", "+task@tasks.tasks.x=vrs"], "Unknown task 'vrs'. Did you mean 'vsr'?"),
        (["tasks=tiny", "~tasks.tasks.shape.chance"], "tasks.tasks.shape.chance is missing. Fix:"),
        (["tasks=tiny", "tasks.tasks.shap.items=3"], "Did you mean 'tasks.tasks.shape"),
        (["tasks=vision"], "tasks.tasks.vsr.data.image_folder has no value"),
    ],
)
def test_a_mistake_on_the_command_line_ends_with_exit_code_2(ablate_run, capsys, words, message):
    code, outputs = ablate_run(*words)
    shown = capsys.readouterr()
    assert code == 2
    assert message in shown.err, shown.err
    assert shown.err.count("\n") == 1
    assert not outputs.exists()


def test_an_unknown_task_in_a_suite_file_is_named_with_its_nearest(ablate_run, capsys, tmp_path):
    folder = tmp_path / "configs" / "tasks"
    folder.mkdir(parents=True)
    text = (config_folder() / "tasks" / "tiny.yaml").read_text(encoding="utf-8")
    (folder / "mine.yaml").write_text(text.replace(": shapes-shape", ": shapes-shaep"))
    code, _ = ablate_run("tasks=mine", "--config-dir", str(folder.parent))
    shown = capsys.readouterr().err
    assert code == 2
    assert "Unknown task 'shapes-shaep'. Did you mean 'shapes-shape'?" in shown
    assert shown.count("\n") == 1
