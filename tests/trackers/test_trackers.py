"""Real trackers, offline: what they hold is what results.csv holds, and none of them can harm a run."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from tests.report.sweeps import finished, right, task
from tests.trackers.readers import HERE, runs_in, wandb_records

from ablate.cli.main import dispatch
from ablate.config.schema.trackers import (
    MlflowTracker,
    TensorboardTracker,
    TrackerConfig,
    TrackioTracker,
    WandbTracker,
)
from ablate.results.columns import METRICS
from ablate.trackers.tracking import send, tracked

# Their libraries warn of each other; a run has that in its log.
pytestmark = pytest.mark.filterwarnings("default")
ALL = f"tracker=[{','.join(HERE)}]"
VARYING = ("_seconds", "_at", "_bytes")


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """MLflow takes seconds to make a database, and trackio has one folder for a whole process."""
    return tmp_path_factory.mktemp("trackers")


@pytest.fixture
def words(shared):
    places = {"mlflow": f"tracking_uri=sqlite:///{shared}/mlflow.db", "trackio": f"folder={shared}"}
    return [ALL, *(f"tracker.{name}.{place}" for name, place in places.items() if name in HERE)]


def row_of(sweep):
    return pd.read_csv(sweep / "results.csv").iloc[0]


def test_every_tracker_is_here():
    """CI installs all but trackio, which takes no Pillow 13; a machine without one tests the others."""
    missing = {"wandb", "mlflow", "trackio", "tensorboard"} - set(HERE)
    if missing:
        pytest.skip(f"not installed: {', '.join(sorted(missing))}")


def test_a_run_is_in_every_tracker_and_its_row_is_the_same(ablate_run, words, shared, capfd):
    code, outputs = ablate_run("name=with", "train.epochs=3", *words)
    assert code == 0
    shown = capfd.readouterr()
    assert "wandb" not in shown.out + shown.err
    assert "mlflow" not in shown.err
    assert ablate_run("name=without", "train.epochs=3")[0] == 0
    row, plain = row_of(outputs / "with"), row_of(outputs / "without")
    same = [column for column in row.index if not column.endswith(VARYING)]
    pd.testing.assert_series_equal(row[same], plain[same], check_names=False)
    (run,) = (outputs / "with" / "runs").iterdir()
    (other,) = (outputs / "without" / "runs").iterdir()
    assert run.name == other.name
    record = json.loads((run / "result.json").read_text())
    assert record["digest"] == json.loads((other / "result.json").read_text())["digest"]
    log = (run / "log.txt").read_text()
    by_epoch = [float(loss) for loss in re.findall(r"loss ([\d.]+)$", log, re.MULTILINE)]
    tasks = pd.read_csv(outputs / "with" / "tasks.csv")
    for name in HERE:
        (seen,) = runs_in(name, outputs, shared, "with")
        assert seen.name == run.name
        assert np.reshape(seen.losses, (3, -1)).mean(axis=1) == pytest.approx(by_epoch, abs=1e-5)
        assert len(seen.rates) == len(seen.losses)
        assert float(seen.values["train.learning_rate"]) == pytest.approx(max(seen.rates))
        assert (seen.values["method"], float(seen.values["seed"])) == (row["method"], 0)
        assert seen.group.endswith(row["config_id"])
        assert (seen.outcome["status"], seen.outcome["error"]) == ("ok", None)
        for metric in METRICS:
            if pd.notna(row[metric]):
                assert seen.outcome[metric] == pytest.approx(row[metric], rel=1e-6), metric
        for one in tasks.itertuples():
            key = f"tasks/{one.kind}/{one.task}/{one.metric}"
            assert seen.outcome[key] == pytest.approx(one.value)
            assert seen.outcome[f"{key}/before"] == pytest.approx(one.value_before)


@pytest.mark.skipif("wandb" not in HERE, reason="wandb is not installed")
def test_wandb_gets_neither_code_nor_facts_of_the_machine(tmp_path, shared):
    folder = hostile_run(tmp_path)
    send(trackers(tmp_path, shared, "wandb"), folder)
    (file,) = (tmp_path / tmp_path.name).rglob("*.wandb")
    kinds = set()
    for record in wandb_records(file.read_bytes()):
        kinds.add(record.WhichOneof("record_type"))
        assert not record.run.host
        assert not record.run.HasField("git")
    assert kinds <= {"header", "run", "telemetry", "summary", "history", "exit", "final", "footer"}
    assert not [path for path in file.parent.rglob("files/**/*") if path.is_file()]


HOSTILE = "=1+1 <script>alert(1)</script> \x1b[31m\u202e\0 中 $x$ {} [bold]\n" + "x" * 300


def trackers(place, shared, *names):
    """The trackers of these names."""
    every = {
        "wandb": WandbTracker("ablate", None, "offline", str(place / place.name)),
        "mlflow": MlflowTracker(place.name, f"sqlite:///{shared}/mlflow.db"),
        "trackio": TrackioTracker(place.name, str(shared)),
        "tensorboard": TensorboardTracker(str(place / place.name / "tensorboard")),
    }
    return TrackerConfig(**{name: one if name in names else None for name, one in every.items()})


def hostile_run(place):
    tasks = [task("t/é?*", "target", right(0.5, 0), right(0.4, 1))]
    values = {"method.rank": 8, f"controls.{HOSTILE[:20]}": HOSTILE}
    folder = finished(
        place / place.name, 8, tasks=tasks, error=HOSTILE, config="a b/c", overrides=values
    )
    record = folder.read()
    record.settings = {**values, "data.path": None}
    folder.rewrite(record)
    return folder


def test_what_is_done_is_sent_once_and_texts_pass_unharmed(tmp_path, shared):
    folder = hostile_run(tmp_path)
    config = trackers(tmp_path, shared, *HERE)
    send(config, folder)
    send(config, folder)
    for name in HERE:
        (seen,) = runs_in(name, tmp_path, shared, tmp_path.name)
        assert seen.outcome["error"] == HOSTILE
        assert seen.losses == []
        assert HOSTILE in seen.values.values()
        numbers = [value for key, value in seen.outcome.items() if key.startswith("tasks/")]
        assert pytest.approx(folder.read().tasks[0].value) in numbers


def test_a_tracker_that_fails_is_left_out_and_the_others_have_everything(tmp_path, shared):
    folder = hostile_run(tmp_path)
    config = trackers(tmp_path, shared, "mlflow", "tensorboard")
    broken = TrackerConfig(
        **{**vars(config), "mlflow": MlflowTracker("x", "sqlite:////proc/nowhere/x.db")}
    )
    before = folder.read()
    with tracked(broken, folder, before) as on_step:
        for step in (4, 5, 0, 1, 0):
            on_step("train", step, 1.0 / (step + 1), 0.1)
    assert folder.read() == before
    (seen,) = runs_in("tensorboard", tmp_path, shared, tmp_path.name)
    assert seen.losses == pytest.approx([1 / 5, 1 / 6, 1.0, 0.5, 1.0])
    # The first stage was begun by another process; two more follow.
    assert seen.steps == [4, 5, 6, 7, 8]
    assert json.loads(folder.tracked_path.read_text()).keys() == {"tensorboard"}
    send(config, folder)
    assert json.loads(folder.tracked_path.read_text()).keys() == {"tensorboard", "mlflow"}


def test_a_missing_package_is_one_line_before_anything_is_loaded(ablate_run, monkeypatch, capsys):
    monkeypatch.setattr("ablate.trackers.build.find_spec", lambda _: None)
    code, outputs = ablate_run("tracker=mlflow")
    assert code == 2
    shown = capsys.readouterr()
    assert shown.err.count("\n") == 1
    assert "Fix: pip install 'ablate-vlm[mlflow]'" in shown.err
    assert not outputs.exists()


def test_trackio_does_not_send_numbers_away(ablate_run, monkeypatch, capsys):
    monkeypatch.setattr("ablate.trackers.build.find_spec", lambda _: True)
    monkeypatch.setenv("TRACKIO_SPACE_ID", "somebody/place")
    assert ablate_run("tracker=trackio")[0] == 2
    assert "unset TRACKIO_SPACE_ID" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("file", "key"),
    [
        ("wandb: {project: x, entity: them, mode: online, folder: x}", "tracker.wandb.mode=online"),
        ("mlflow: {experiment: x, tracking_uri: 'http://x'}", "tracker.mlflow.tracking_uri=http"),
    ],
)
def test_a_configuration_file_cannot_send_numbers_away(ablate_run, tmp_path, capsys, file, key):
    (tmp_path / "my" / "tracker").mkdir(parents=True)
    (tmp_path / "my" / "tracker" / "theirs.yaml").write_text(f"{file}\n")
    code, outputs = ablate_run("--config-dir", str(tmp_path / "my"), "tracker=theirs")
    assert code == 2
    assert f"Fix: write {key}" in capsys.readouterr().err
    assert not outputs.exists()


def test_an_address_without_a_password(ablate_run, capsys):
    words = ["tracker=mlflow", "tracker.mlflow.tracking_uri='http://me:secret@x'"]
    assert ablate_run(*words)[0] == 2
    assert "tracker.mlflow.tracking_uri is" in capsys.readouterr().err


def test_trackers_are_listed(capsys):
    assert dispatch(["list", "trackers"]) == 0
    shown = capsys.readouterr().out
    assert "wandb" in shown
    assert "@package" not in shown
