"""The same report as tables: on the terminal, in Markdown, LaTeX and CSV, whatever its texts try."""

import dataclasses
import io
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from tests.report.sweeps import RANK, N, finished, task

from ablate.report.compare import report_of
from ablate.report.load import load
from ablate.report.publish import about, summarise
from ablate.report.summary import summary_table
from ablate.report.tables import latex, markdown
from ablate.report.tables.show import missing, printed, show, show_side_by_side
from ablate.results.columns import SUMMARY_COLUMNS
from ablate.results.record import AblationRecord

HOSTILE = (
    r"\input{x}",
    "a|b & 50%_#$^~",
    "[bold]red[/]",
    "<script>",
    "=1+1",
    "null",
    "中\x1b[31m\n",
)
EASE = np.random.default_rng(0).random(N)


def sweep(folder, gains, ablation=RANK, seeds=(0, 1, 2)):
    for value, gain in gains.items():
        for seed in seeds:
            noise = np.random.default_rng([seed, round(100 * gain)]).normal(0, 0.1, N)
            score = (EASE + gain + noise > 0.5).astype(float)
            finished(folder, value, seed, [task("t", "target", score)], ablation)
    return folder


@pytest.fixture
def rank(tmp_path):
    return sweep(tmp_path / "rank", {8: 0.0, 16: 0.4, 64: 0.01})


def hostile(folder):
    names = list(HOSTILE)
    ablation = AblationRecord(names[0], names[1], names[2], names, names[0], ["accuracy"], "")
    return sweep(folder, {name: n / 20 for n, name in enumerate(names)}, ablation)


def test_the_terminal_shows_every_row_under_its_metric(rank, capsys):
    show(report_of(load([rank])))
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "rank: Which rank?"
    header = "method.rank seeds mean ± sd difference 95 % interval p (Holm) verdict"
    assert lines[2].split() == header.split()
    start = lines.index("accuracy")
    assert [line.split()[0] for line in lines[start + 1 : start + 4]] == ["8", "16", "64"]
    assert lines[start + 1].endswith("baseline")
    assert lines[start + 2].endswith("better")
    assert any(line.startswith("accuracy against method.rank=8 is better: 16") for line in lines)


def test_bold_is_where_a_difference_holds_and_nowhere_else(rank):
    report = report_of(load([rank]))
    (better,) = [one for one in report.ablations[0].comparisons if one.holds]
    text = printed([(None, report)], "latex")
    assert re.findall(r"\\textbf\{(.*?)\}", text) == [f"+{better.difference:.3f}"]
    text = printed([(None, report)], "markdown")
    assert f"| **+{better.difference:.3f}** |" in text


def test_latex_escapes_every_character_that_means_something(tmp_path):
    text = printed([(None, report_of(load([hostile(tmp_path)])))], "latex")
    assert r"\textbackslash{}input\{x\}" in text
    assert r"a\textbar{}b \& 50\%\_\#\$\textasciicircum{}\textasciitilde{}" in text
    # Outside of commands nothing is left that TeX would read as one, and nothing that its fonts lack.
    assert all(character.isascii() or character in latex._LETTERS for character in text)
    commands = set(re.findall(r"\\([A-Za-z]+)", text.split("\n", 1)[1]))
    assert commands <= {
        *("begin", "end", "centering", "caption", "label", "toprule", "midrule", "bottomrule"),
        *("multicolumn", "emph", "textbf", "medskip", "pm"),
        *(re.match(r"\\([a-z]*)", code)[1] for code in latex._SPECIAL.values() if code[0] == "\\"),
    }
    for line in text.splitlines():
        if line.endswith(r"\\") and "multicolumn" not in line:
            assert len(re.findall(r"(?<!\\)&", line)) == 6


def test_a_run_of_dashes_stays_what_it_is():
    assert latex.escape("a--b") == "a-{}-b"
    assert latex.escape("low-rank") == "low-rank"


def test_markdown_escapes_cells(tmp_path):
    text = printed([(None, report_of(load([hostile(tmp_path)])))], "markdown")
    assert "<script>" not in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {9}
    assert markdown.escape("[a](http://x)") == r"\[a\](http://x)"


def test_the_terminal_shows_markup_and_control_characters_as_text(tmp_path, capsys):
    show(report_of(load([hostile(tmp_path)])))
    out = capsys.readouterr().out
    assert "[bold]red[/]" in out
    assert "\x1b" not in out
    assert r"中\x1b[31m\n" in out


def test_a_long_value_is_cut_in_tables_and_whole_in_csv(tmp_path, capsys):
    long = "n" * 5000
    ablation = dataclasses.replace(RANK, values=[long, "m"], baseline="m")
    for value in (long, "m"):
        finished(tmp_path, value, 0, [task("t", "target", EASE > 0.5)], ablation, config=value[:1])
    report = report_of(load([tmp_path]))
    show(report)
    for text in (capsys.readouterr().out, printed([(None, report)], "latex")):
        assert max(map(len, text.splitlines())) < 500
    assert long in printed([(None, report)], "csv")


def test_csv_is_what_summary_csv_holds(rank):
    report = summarise(rank)
    stored = (rank / "summary.csv").read_text()
    assert printed([(None, report)], "csv") == stored
    table = pd.read_csv(io.StringIO(stored))
    assert list(table.columns) == list(SUMMARY_COLUMNS)
    assert list(table["value"]) == [8, 16, 64]
    assert list(table["metric"]) == ["accuracy"] * 3
    first = table.iloc[0]
    assert first["is_baseline"]
    assert first[["difference", "ci95_low", "p", "p_holm", "test"]].isna().all()
    assert first["n_items"] == N
    found = next(one for one in report.ablations[0].comparisons if one.value == 16)
    second = table.iloc[1]
    for column, value in (
        ("mean", found.mean),
        ("sd", found.sd),
        ("ci95_low", found.low),
        ("ci95_high", found.high),
        ("p_holm", found.p_holm),
    ):
        assert second[column] == pytest.approx(value)
    assert second["run_ids"] == "run-16-seed0 run-16-seed1 run-16-seed2"


def test_no_text_in_summary_csv_is_lost_or_becomes_a_formula(tmp_path):
    folder = hostile(tmp_path)
    summarise(folder)
    table = pd.read_csv(folder / "summary.csv")
    assert not table["value"].isna().any()
    assert {"'=1+1", "'null"} <= set(table["value"])


def test_folders_side_by_side_share_a_table(rank, tmp_path, capsys):
    other = sweep(tmp_path / "other", {8: 0.0, 16: 0.3}, seeds=(0,))
    reports = [(name, report_of(load([folder]))) for name, folder in (("a", rank), ("b", other))]
    show_side_by_side(reports)
    out = capsys.readouterr().out
    rows = [line.split()[:2] for line in out.splitlines() if re.match(r"\d+ ", line)]
    assert rows == [["8", "a"], ["8", "b"], ["16", "a"], ["16", "b"], ["64", "a"]]
    assert "b: accuracy against method.rank=8" in out
    table = pd.read_csv(io.StringIO(printed(reports, "csv")))
    assert list(table["folder"]) == ["a"] * 3 + ["b"] * 2


def test_what_is_missing_is_listed(rank):
    failed = finished(rank, 32)
    record = failed.read()
    record.row |= {"status": "oom", "error": "too\nlarge"}
    failed.rewrite(record)
    (finished(rank, 128).path / "result.json").write_text("")
    one, two = missing(load([rank]))
    assert one == r"run-32-seed0 is not in the tables: oom: too\nlarge"
    assert two.startswith("run-128-seed0 is damaged, and not in the tables")


def test_a_value_without_a_finished_run_has_a_row_and_is_in_the_verdict(rank, capsys):
    for seed, status in ((0, "oom"), (1, "diverged"), (2, "oom")):
        failed = finished(rank, 32, seed)
        record = failed.read()
        record.row |= {"status": status, "error": "too large", "accuracy": None}
        failed.rewrite(record)
    report = report_of(load([rank]))
    said = "none of its 3 runs has finished: 2 oom, 1 diverged"
    rows = summary_table(report.ablations)
    row = rows[(rows["value"] == 32) & (rows["metric"] == "accuracy")].iloc[0]
    assert (row["n_seeds"], row["verdict"], row["run_ids"]) == (0, "untested", "")
    assert pd.isna(row["mean"])
    assert said in row["sentence"]
    assert f"not tested: 32 ({said})" in report.ablations[0].answer[0]
    show(report)
    assert re.search(r"^32 +0 +untested", capsys.readouterr().out, re.MULTILINE)
    # Where others of the value finished it has its row already.
    finished(rank, 32, 3, [task("t", "target", np.ones(N))])
    assert not report_of(load([rank])).ablations[0].unfinished


def test_seeds_that_not_both_have_are_seen_in_the_table(rank, capsys):
    shutil.rmtree(rank / "runs" / "run-16-seed1")
    report = report_of(load([rank]))
    show(report)
    assert re.search(r"^16 +2 \(2 in both\) ", capsys.readouterr().out, re.MULTILINE)
    rows = summary_table(report.ablations)
    assert rows[rows["value"] == 16][["n_seeds", "n_common_seeds"]].iloc[0].tolist() == [2, 2]


def test_single_runs_have_a_column_for_each_metric(tmp_path, capsys):
    for config, rate in (("a", 0.001), ("b", 0.003)):
        tasks = [task("t", "target", (EASE > 0.5).astype(float), np.zeros(N))]
        overrides = {"train.learning_rate": rate}
        finished(tmp_path, None, 0, tasks, None, config=config, overrides=overrides)
    report = report_of(load([tmp_path]))
    show(report)
    lines = capsys.readouterr().out.splitlines()
    assert "train.learning_rate" in lines[1]
    assert "target_improvement" in lines[1]
    assert len([line for line in lines if line.startswith("0.00")]) == 2
    (kept,) = about(report, ["run-b-seed0"]).ablations
    assert [one.run_ids for one in kept.configurations] == [("run-b-seed0",)]


def test_an_ablation_is_kept_whole_or_not_at_all(rank):
    report = report_of(load([rank]))
    assert about(report, ["run-16-seed0"]).ablations == report.ablations
    assert about(report, ["another"]).ablations == ()


def test_units_are_shown(tmp_path, capsys):
    ablation = dataclasses.replace(RANK, metrics=["peak_memory_bytes", "trainable_parameters"])
    for value in (8, 16):
        for seed in (0, 1):
            columns = {"peak_memory_bytes": (value + seed) * 2**20}
            columns["trainable_parameters"] = 1000 * value
            finished(tmp_path, value, seed, ablation=ablation, **columns)
    show(report_of(load([tmp_path])))
    out = capsys.readouterr().out
    assert "16.5 MiB ± 0.7 MiB" in out
    assert "+8,000" in out
