"""`ablate report` from its words to its exit code."""

import io
import sys

import numpy as np
import pandas as pd
import pytest
from tests.report.sweeps import RANK, N, finished, right, task

from ablate.cli.main import dispatch


@pytest.fixture
def rank(tmp_path):
    for value in (8, 16):
        for seed in (0, 1):
            score = (np.arange(N) % 7 < value / 4 + seed).astype(float)
            tasks = [task("t", "target", score, np.zeros(N))]
            finished(tmp_path / "outputs" / "rank", value, seed, tasks, RANK, method="lora")
    return tmp_path / "outputs" / "rank"


def call(*words) -> int:
    return dispatch(["report", *(str(word) for word in words)])


def test_a_folder_gets_its_table_its_summary_its_pictures_and_its_page(rank, capsys):
    assert call(rank) == 0
    assert (rank / "report.html").is_file()
    assert {".png", ".pdf"} <= {path.suffix for path in (rank / "figures").iterdir()}
    assert list(pd.read_csv(rank / "summary.csv")["value"]) == [8, 16]
    out = capsys.readouterr().out
    assert "accuracy against method.rank=8" in out
    assert str(rank / "report.html") in out


def test_without_a_folder_it_is_every_sweep_below_outputs(rank, capsys, monkeypatch):
    monkeypatch.chdir(rank.parents[1])
    assert call("--format", "terminal") == 0
    assert "rank: Which rank?" in capsys.readouterr().out
    monkeypatch.chdir(rank)
    assert call() == 2
    assert "No sweep below 'outputs'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("format_", "beginning"),
    [
        ("markdown", "**rank**"),
        ("latex", "% \\usepackage{booktabs}"),
        ("csv", "ablation,"),
    ],
)
def test_other_formats_are_printed_and_nothing_is_written(rank, capsys, format_, beginning):
    (finished(rank, 64, 0).path / "result.json").write_text("{")
    assert call(rank, "--format", format_) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith(beginning)
    assert "damaged" not in shown.out
    assert "run-64-seed0 is damaged" in shown.err
    assert {path.name for path in rank.iterdir()} == {"runs"}


def test_a_part_of_the_runs_does_not_take_the_place_of_the_whole(rank, capsys, tmp_path):
    assert call(rank, "--where", "seed=0") == 0
    assert "--output FOLDER" in capsys.readouterr().out
    assert not (rank / "summary.csv").exists()
    assert call(rank, "--where", "seed=0", "--output", tmp_path / "part") == 0
    assert list(pd.read_csv(tmp_path / "part" / "summary.csv")["n_seeds"]) == [1, 1]
    assert (tmp_path / "part" / "report.html").is_file()
    assert not (rank / "summary.csv").exists()


def test_a_sweep_without_a_finished_run_is_reported_as_that(tmp_path, capsys):
    (tmp_path / "rank" / "runs").mkdir(parents=True)
    assert call(tmp_path / "rank") == 0
    assert "no run has succeeded" in capsys.readouterr().out


def test_every_sweep_below_outputs_is_one_table_of_csv_and_needs_a_folder_of_its_own(
    tmp_path, monkeypatch, capsys
):
    for name in ("one", "two"):
        finished(tmp_path / "outputs" / name, 8, 0, [task("t", "target", right(0.5, 0))])
    monkeypatch.chdir(tmp_path)
    assert call("--format", "csv") == 0
    assert list(pd.read_csv(io.StringIO(capsys.readouterr().out))["folder"]) == ["one", "two"]
    assert call("--output", "files") == 2
    assert "there are 2 sweeps" in capsys.readouterr().err
    assert not (tmp_path / "files").exists()
    monkeypatch.chdir(tmp_path / "outputs" / "one")
    assert call(".", "../two", "--compare", "--format", "csv") == 0
    assert list(pd.read_csv(io.StringIO(capsys.readouterr().out))["folder"]) == ["one", "two"]


def test_folders_are_compared(rank, capsys):
    assert call("--compare", rank, rank) == 0
    assert "folder" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--fromat", "csv"], "Did you mean '--format'"),
        (["--format", "cvs"], "Did you mean 'csv'"),
        (["--where", "method"], "Fix: --where KEY=VALUE"),
        (["--where", "methd=lora"], "Did you mean 'method'"),
        (["--where", "method=lora", "--where", "method=lorsu"], "names 'method' twice"),
        (["--where"], "expected one argument"),
        (["--margin", "much"], "a number above 0"),
        (["--margin", "0"], "a number above 0"),
        (["--margin", "acuracy=0.1"], "Did you mean 'accuracy'"),
        (["--compare"], "needs several folders"),
        (["--output", "x", "--format", "csv"], "leave one of them out"),
        (["--format", "html", "--where", "method=lorsu"], "Fix: --output FOLDER"),
        (["--watch"], "needs a terminal"),
        (["--watch", "--compare"], "needs several folders"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(rank, capsys, words, said):
    assert call(rank, *words) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert said in shown.err
    assert shown.err.startswith("ablate report: ")
    assert len(shown.err.splitlines()) == 1


def test_a_place_that_cannot_be_written_is_one_line_and_exit_code_2(rank, capsys):
    (rank / "summary.csv").mkdir()
    assert call(rank) == 2
    shown = capsys.readouterr().err
    assert "Fix: --output FOLDER" in shown
    assert len(shown.splitlines()) == 1


def test_help_names_every_flag(capsys):
    from ablate.cli.report import _parser

    assert call("--help") == 0
    shown = capsys.readouterr().out
    assert all(f"  {flag} " in shown for flag in _parser().flags())


def test_a_model_is_never_loaded(rank):
    """The report is made from files alone: it works where there is no torch."""
    import subprocess

    code = (
        "import sys; from ablate.cli.main import dispatch; "
        f"code = dispatch(['report', {str(rank)!r}, '--format', 'csv']); "
        "assert 'torch' not in sys.modules; sys.exit(code)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
