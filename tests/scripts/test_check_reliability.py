"""Kills at chosen moments and damage to every kind of file: one more call, and the rows are as if nothing had been."""

import shutil
import signal
import sys
from importlib import import_module
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "scripts"))
script = import_module("check_reliability")

_PER_CALL = 4
_GONE = {"record gone", "folder gone"}
_GROUPS = [
    script.DAMAGES[start : start + _PER_CALL] for start in range(0, len(script.DAMAGES), _PER_CALL)
]


def call(outputs: Path, *words: str) -> str:
    code, output = script.run_in_child([*script.SWEEP, *words, f"output_dir={outputs}"])
    assert code == 0, output
    assert "Traceback" not in output
    return output


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of four runs that nothing has happened to."""
    outputs = tmp_path_factory.mktemp("calm") / "outputs"
    call(outputs)
    return outputs


@pytest.fixture
def rough(calm: Path, tmp_path: Path) -> Path:
    """A copy of it, to be damaged."""
    shutil.copytree(calm, tmp_path / "outputs")
    return tmp_path / "outputs"


def runs_of(outputs: Path) -> list[Path]:
    return sorted((outputs / "rank" / "runs").glob("*/"))


def assert_as_calm(calm: Path, rough: Path) -> None:
    assert script.same_numbers(calm / "rank", rough / "rank") == []
    assert script.left_over(rough) == []


@pytest.mark.parametrize("group", _GROUPS, ids=lambda group: ", ".join(what for what, *_ in group))
def test_a_damaged_run_is_named_set_aside_and_made_again(calm, rough, group):
    for (_, name, act), folder in zip(group, runs_of(rough), strict=False):
        act(folder / name)
    names = [folder.name for folder in runs_of(calm)]
    output = call(rough)
    for (what, *_), run_id in zip(group, names, strict=False):
        told = [line for line in output.splitlines() if run_id in line and "set aside" in line]
        assert len(told) == (what not in _GONE), what
        kept = list((rough / "rank" / "damaged").glob(f"{run_id}-*"))
        assert len(kept) == (what not in _GONE), what
    assert f"{len(group)} to run" in output
    assert_as_calm(calm, rough)
    assert "0 to run" in call(rough)


@pytest.mark.parametrize(
    ("what", "place", "act"), script.SWEEP_DAMAGES, ids=[what for what, *_ in script.SWEEP_DAMAGES]
)
def test_damage_to_the_files_of_a_whole_sweep(calm, rough, what, place, act):
    act(rough / place)
    output = call(rough)
    assert ("set aside" in output) == ("folder" in what or what.endswith("a file"))
    assert_as_calm(calm, rough)


def test_a_stray_run_is_named_once_and_left_alone(calm, rough):
    stray = rough / "rank" / "runs" / "rank-8-seed7-0123456789"
    stray.mkdir()
    (stray / "result.json").write_text("{")
    output = call(rough)
    assert output.count("rank-8-seed7-0123456789") == 1
    assert "left alone" in output
    assert (stray / "result.json").read_text() == "{"
    assert_as_calm(calm, rough)


def test_what_kills_leave_half_written_is_cleared_and_nothing_else(calm, rough):
    folder = runs_of(rough)[0]
    half_written = [
        rough / "rank" / ".results.csv.a1b2c3d4.tmp",
        folder / ".items.parquet.a1b2c3d4.tmp",
        folder / ".config.yaml.a1b2c3d4.tmp",
        rough / ".cache" / ".importance-1.safetensors.a1b2c3d4.tmp",
    ]
    for path in half_written:
        path.write_text("half")
    (folder / "notes.txt").write_text("mine")
    (rough / "rank" / ".gitignore").write_text("*")
    call(rough)
    assert not any(path.exists() for path in half_written)
    assert (folder / "notes.txt").exists()
    assert (rough / "rank" / ".gitignore").exists()
    assert_as_calm(calm, rough)


def test_kills_at_any_moment_lose_nothing(calm, tmp_path):
    rough = tmp_path / "outputs"
    words = [*script.SWEEP, f"output_dir={rough}"]
    # Early: the folder is being made; then ever later, in the middle of every kind of file.
    for moment in (1, 3, 7, 12, 18, 25, 33, 42, 44, 46, 48, 50):
        code, output = script.run_in_child(words, kill_at=moment)
        assert code in (-signal.SIGKILL, 0), output
    call(rough)
    assert_as_calm(calm, rough)
