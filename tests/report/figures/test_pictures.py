"""Which pictures are drawn, and that they are what they should be."""

import re

import numpy as np
from matplotlib.text import Text
from PIL import Image
from tests.report.hostile import hostile_sweep
from tests.report.sweeps import RANK, finished, right, task

from ablate.report.compare import report_of
from ablate.report.figures import write_figures
from ablate.report.figures.metric import draw_metric
from ablate.report.figures.sessions import draw_sessions, session_curves
from ablate.report.figures.style import style
from ablate.report.load import load
from ablate.results.record import AblationRecord, SessionResult


def sweep_of(sweep, values, ablation=RANK, seeds=(0, 1), **columns):
    for value in values:
        for seed in seeds:
            tasks = [
                task("barred", "target", right(0.5, seed + 2 * value), right(0.3, 9)),
                task("filled", "control", right(0.9, seed + value), right(1.0, 9)),
            ]
            finished(sweep, value, seed, tasks, ablation, **columns)
    return report_of(load([sweep]))


def names(files):
    return {file.name for file in files}


def test_every_picture_is_a_png_and_a_pdf_one_column_wide(tmp_path):
    """Those of an earlier report do not stay, and the same report gives the same bytes."""
    report = sweep_of(tmp_path / "s", [8, 16, 64])
    (tmp_path / "figures").mkdir()
    for name in ("old.png", "old.pdf", "notes.txt"):
        (tmp_path / "figures" / name).write_text("")
    files = write_figures(report, tmp_path)
    stems = {"accuracy", "control_change", "target_improvement_control_change", "tasks"}
    assert names(files) == {f"{stem}{suffix}" for stem in stems for suffix in (".png", ".pdf")}
    assert names((tmp_path / "figures").iterdir()) == names(files) | {"notes.txt"}
    for file in files:
        if file.suffix == ".png":
            with Image.open(file) as image:
                width, height = image.size
            assert width == 990
            assert 300 < height < 1400
        else:
            content = file.read_bytes()
            assert content.startswith(b"%PDF")
            assert b"/Type3" not in content
    before = [file.read_bytes() for file in files]
    assert before == [file.read_bytes() for file in write_figures(report, tmp_path)]


def test_what_has_nothing_to_show_is_not_drawn(tmp_path):
    files = write_figures(sweep_of(tmp_path / "s", [8]), tmp_path)
    assert not files
    finished(tmp_path / "equal", 8, 0, trainable_parameters=7, accuracy=0.5)
    finished(tmp_path / "equal", 16, 0, trainable_parameters=7, accuracy=0.5)
    assert not write_figures(report_of(load([tmp_path / "equal"])), tmp_path)


def test_no_run_that_has_finished_gives_no_picture(tmp_path):
    (tmp_path / "s" / "runs").mkdir(parents=True)
    assert write_figures(report_of(load([tmp_path / "s"])), tmp_path) == []


def test_two_axes_are_a_heat_map(tmp_path):
    for method in ("lora", "lorsu"):
        for rank in (8, 16):
            accuracy = rank / 100 + (method == "lora") / 10
            finished(
                tmp_path / "s",
                None,
                0,
                ablation=None,
                config=f"{method}{rank}",
                method=method,
                rank=rank,
                accuracy=accuracy,
            )
    files = write_figures(report_of(load([tmp_path / "s"])), tmp_path)
    assert {"accuracy.png", "accuracy_grid.png"} <= names(files)


def test_names_are_text_and_lead_nowhere(tmp_path):
    """A formula that does not parse, or a file's name that leads out, would be an error here."""
    hostile_sweep(tmp_path / "s")
    other = AblationRecord("../x", "Else?", "data.shots", ["$y$", "z"], "z", ["accuracy"], "")
    for value in other.values:
        finished(tmp_path / "s", value, 0, ablation=other, accuracy=len(value) / 10)
    report = report_of(load([tmp_path / "s"]))
    files = write_figures(report, tmp_path / "out")
    assert {file.parent for file in files} == {tmp_path / "out" / "figures"}
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+\.(png|pdf)", file.name) for file in files)
    assert (
        len({file.name.split("-accuracy")[0] for file in files if "-accuracy." in file.name}) == 2
    )
    assert sorted(file.name for file in tmp_path.iterdir()) == ["out", "s"]
    with style():
        own = next(one for one in report.ablations if one.name == "../x")
        figure = draw_metric(own, "accuracy")
        figure.draw_without_rendering()
    assert any(text.get_text() == "$y$" for text in figure.findobj(Text))
    assert not any(text.get_parse_math() for text in figure.findobj(Text))


def test_sessions_are_curves(tmp_path):
    ablation = AblationRecord("s", "?", "data.sessions", [1, 2], 1, ["accuracy"], "")
    folder = finished(tmp_path / "s", 1, 0, ablation=ablation, accuracy=0.9)
    folder = finished(tmp_path / "s", 2, 0, ablation=ablation, accuracy=0.5)
    record = folder.read()
    record.sessions = [
        SessionResult(after, session, "a, b", accuracy, n)
        for after, session, accuracy, n in [
            (0, 1, 0.2, 30),
            (0, 2, 0.4, 10),
            (1, 1, 0.9, 30),
            (1, 2, 0.1, 10),
            (2, 1, 0.3, 30),
            (2, 2, None, 10),
        ]
    ]
    folder.rewrite(record)
    report = report_of(load([tmp_path / "s"]))
    (curve,) = session_curves(report.ablations[0], report.loaded.sessions)
    np.testing.assert_allclose(curve.accuracy[0], [0.2, 0.9, 0.3])
    np.testing.assert_allclose(curve.overall, [0.25, 0.7, np.nan])
    with style():
        assert draw_sessions([curve], "sessions") is not None
