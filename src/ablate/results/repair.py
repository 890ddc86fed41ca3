"""A sweep's folder put in order before anything runs: files in the place of ours, and what killed processes left."""

from collections.abc import Collection, Iterator
from pathlib import Path

from ablate.results.files import set_aside
from ablate.results.run_folder import DAMAGED, RunFolder
from ablate.results.tables import TABLES, read_runs

_LOCK = ".lock"


def repair(sweep_folder: Path, run_ids: Collection[str]) -> Iterator[str]:
    """Set aside what stands where a sweep wants to write, and remove what killed processes left half written.

    Args:
        sweep_folder: `outputs/<name>`; it exists.
        run_ids: The requested runs; others are left as they are.

    Yields:
        One line for everything that was set aside, and for every other run that cannot be read.
    """
    for name in (*TABLES, _LOCK):
        if (sweep_folder / name).is_dir():
            yield _moved(sweep_folder / name, sweep_folder, "is a folder, not a file")
    runs = sweep_folder / "runs"
    if runs.exists() and not runs.is_dir():
        yield _moved(runs, sweep_folder, "is a file, not a folder")
    for run_id in run_ids:
        path = runs / run_id
        if path.exists() and not path.is_dir():
            yield _moved(path, sweep_folder, "is a file, not a folder")
        elif (path / _LOCK).is_dir():
            yield _moved(path / _LOCK, sweep_folder, "is a folder, not a file")
    for run_id, reason in read_runs(sweep_folder).damaged.items():
        if run_id not in run_ids:
            yield f"{run_id} is damaged ({reason}): left alone, and not in the tables"
    for path in runs.glob("*/"):
        RunFolder(sweep_folder, path.name).tidy()


def _moved(path: Path, sweep_folder: Path, what: str) -> str:
    place = set_aside(path, sweep_folder / DAMAGED)
    return f"{path} {what}: set aside in {place}"
