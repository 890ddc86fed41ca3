"""Task files that would run code are refused before any of it is imported."""

import json
import logging
from pathlib import Path

import pytest
from tests.evaluation.tasks.suites import outcome_of, read_task

from ablate.config.errors import ConfigError
from ablate.evaluation.tasks.load import load_task

pytest.importorskip("lm_eval")

LETTERS = ("a", "b", "c")
PLAIN = """
task: own
dataset_path: json
dataset_kwargs:
  data_files: {{test: {data}}}
test_split: test
output_type: multiple_choice
doc_to_text: "Q: {{{{question}}}} A:"
doc_to_choice: choices
doc_to_target: label
metric_list:
  - metric: acc
"""
CODE = """
import pathlib
pathlib.Path(r"{mark}").write_text("ran")
def text(doc):
    return "Q: " + doc["question"]
"""
ESCAPE = "{{ ''.__class__.__mro__[1].__subclasses__() | length }}"


@pytest.fixture
def folder(tmp_path):
    """Task files, their data, and code that leaves a mark if it is run."""
    own = tmp_path / "tasks"
    own.mkdir()
    rows = [{"question": f"{n}", "choices": LETTERS, "label": n % 3} for n in range(6)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    code = CODE.format(mark=tmp_path / "mark")
    (own / "code.py").write_text(code)
    (tmp_path / "elsewhere.py").write_text(code)
    return own


def write(folder: Path, extra: str = "", base: str = PLAIN) -> Path:
    file = folder / "own.yaml"
    file.write_text(base.format(data=folder.parent / "rows.jsonl") + extra)
    return file


def own(folder: Path, **changes: object):
    values = {"task": "own", "metric": "acc", "shots": 0, "chance": 0.3333}
    return load_task("one", read_task("lm-eval", **values, include_path=str(folder), **changes))


def outside(folder: Path) -> None:
    (folder.parent / "base").write_text("doc_to_text: !function elsewhere.text\n")
    write(folder, f"include: [plain, {folder.parent / 'base'}]\n")
    (folder / "plain").write_text("repeats: 1\n")


CASES = {
    "function": lambda f: write(f, "doc_to_text: !function code.text\n"),
    "function of an importable module": lambda f: write(f, "process_docs: !function os.listdir\n"),
    "function in a list": lambda f: write(
        f,
        "filter_list: [{name: x, filter: [{function: custom, filter_fn: !function code.text}]}]\n",
    ),
    "function under another handle": lambda f: (
        write(f),
        (f / "own.yaml").write_text(
            "%TAG !f! !func\n---"
            + (f / "own.yaml").read_text()
            + "doc_to_text: !f!tion code.text\n"
        ),
    ),
    "function in a file that is included from outside": outside,
    "class": lambda f: write(f, "class: !function code.text\n"),
    "class without a tag": lambda f: write(f, "class: code.Task\n"),
    "metric of the hub": lambda f: write(f, base=PLAIN.replace("acc", "someone/metric")),
    "metric of the hub by name": lambda f: write(
        f, base=PLAIN.replace("metric: acc", "metric: acc\n    hf_evaluate: true")
    ),
    "loading script": lambda f: write(f, f"dataset_path: {f.parent / 'elsewhere.py'}\n"),
    "trusted remote code": lambda f: write(f, "dataset_kwargs: {trust_remote_code: true}\n"),
    "data from a function": lambda f: write(f, "custom_dataset: !function code.text\n"),
}


@pytest.mark.parametrize("case", CASES)
def test_code_is_refused_before_it_is_run(case, folder):
    CASES[case](folder)
    with pytest.raises(ConfigError) as caught:
        own(folder)
    text = str(caught.value)
    assert "lm-eval task 'own' would run code: " in text
    assert "tasks.tasks.one.allow_task_code=true" in text
    assert "\n" not in text
    assert not (folder.parent / "mark").exists()


def test_code_that_is_allowed_is_run_and_logged(folder, tiny_random_vlm, caplog):
    # The command sets the root logger to errors only.
    caplog.set_level(logging.WARNING, logger="ablate")
    write(folder, "doc_to_text: !function code.text\n")
    task = own(folder, allow_task_code=True)
    assert (folder.parent / "mark").exists()
    outcome_of(task, tiny_random_vlm)
    assert f"task one runs code of {folder}" in caplog.text


def test_other_tasks_of_the_folder_do_not_matter(folder, tiny_random_vlm, caplog):
    write(folder)
    (folder / "coded.yaml").write_text("task: coded\ndoc_to_text: !function code.text\n")
    task = own(folder)
    outcome_of(task, tiny_random_vlm)
    assert not (folder.parent / "mark").exists()
    assert "runs code" not in caplog.text


def test_functions_of_lm_evals_own_files_may_be_included(folder):
    import lm_eval.tasks

    shipped = Path(lm_eval.tasks.__file__).parent
    included = next(
        file
        for file in sorted(shipped.glob("arc_mt/*.yaml")) + sorted(shipped.rglob("*.yaml"))
        if "!function" in file.read_text(encoding="utf-8")
        and "include" not in file.read_text(encoding="utf-8")
        and "class" not in file.read_text(encoding="utf-8")
    )
    write(folder, f"include: {included}\nprocess_docs: null\nprocess_results: null\n")
    from lm_eval.tasks import TaskManager

    from ablate.evaluation.tasks.task_code import code_in

    entry = TaskManager(include_path=str(folder), include_defaults=False).task_index["own"]
    assert code_in(entry.yaml_path, entry.cfg) is None


@pytest.mark.parametrize("key", ["doc_to_text", "doc_to_choice", "doc_to_target"])
def test_a_template_cannot_reach_into_python(folder, key):
    import lm_eval.utils

    plain = lm_eval.utils.env
    write(folder, f'{key}: "{ESCAPE}"\n')
    with pytest.raises(ConfigError, match=r"A template of lm-eval task 'own' .*SecurityError"):
        own(folder)
    assert lm_eval.utils.env is plain
