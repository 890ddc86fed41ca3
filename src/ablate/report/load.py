"""Reads the runs of one sweep folder, or merges those of several by run id."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path

from omegaconf import OmegaConf

from ablate.config.errors import ConfigError, nearest
from ablate.config.yaml_file import parse, read_text
from ablate.report.configurations import cell
from ablate.report.loaded import Loaded
from ablate.report.numbers import shown
from ablate.results.record import AblationRecord, Cell, RunRecord, same_value
from ablate.results.tables import read_runs, record_order, tables_of


class NoRunError(ConfigError):
    """No run has what was asked for; one that is not finished yet may."""


def load(folders: Sequence[Path]) -> Loaded:
    """Read every run below sweep folders; of a run that several have, the finished one counts, else the last.

    Args:
        folders: Sweep folders, `outputs/<name>`.

    Raises:
        ConfigError: If one is not a sweep folder.
    """
    found, damaged, notes = _merged(folders)
    places = {run_id: place for run_id, (_, place) in found.items()}
    kept, twice = _once([record for record, _ in found.values()], places)
    records = sorted(kept, key=record_order)
    ablations, disagreements = _ablations(records, places)
    tables = tables_of(records)
    return Loaded(
        tuple(folders),
        tuple(records),
        places,
        tables.results,
        tables.tasks,
        tables.sessions,
        tables.stable_tasks,
        ablations,
        {run_id: why for run_id, why in damaged.items() if run_id not in found},
        (*notes, *twice, *disagreements),
    )


def only(loaded: Loaded, where: Mapping[str, str]) -> Loaded:
    """Keep the runs whose columns of results.csv have these values; stable tasks stay as they were decided.

    Args:
        loaded: All runs.
        where: Value by column, as text.

    Raises:
        ConfigError: If there is no such column.
        NoRunError: If no run has such a value.
    """
    results = loaded.results
    for column, given in where.items():
        if column not in results:
            match = nearest(column, [str(name) for name in results])
            hint = f" Did you mean '{match}'?" if match else ""
            raise ConfigError(f"--where names '{column}', which is no column of results.csv.{hint}")
        kept = results[results[column].map(lambda value, given=given: _is(cell(value), given))]
        if kept.empty:
            there = ", ".join(dict.fromkeys(shown(cell(value)) for value in results[column]))
            raise NoRunError(
                f"--where asks for {column}={given}, which no run has. Available: {there}."
            )
        results = kept
    ids = set(results["run_id"])
    return replace(
        loaded,
        records=tuple(record for record in loaded.records if record.row["run_id"] in ids),
        results=results,
        tasks=loaded.tasks[loaded.tasks["run_id"].isin(ids)],
        sessions=loaded.sessions[loaded.sessions["run_id"].isin(ids)],
    )


def _is(cell: Cell, given: str) -> bool:
    """Compare a cell with what was typed: as text, numbers as numbers, and an empty one as what tables show of it."""
    if cell is None:
        return given in ("", shown(None))
    if isinstance(cell, bool):
        return str(cell).lower() == given.lower()
    if isinstance(cell, int | float):
        try:
            return float(cell) == float(given)
        except ValueError:
            return False
    return isinstance(cell, str) and cell == given


def _merged(
    folders: Sequence[Path],
) -> tuple[dict[str, tuple[RunRecord, Path]], dict[str, str], list[str]]:
    """Return every run and its folder by run id, why others cannot be read, and which differ between folders."""
    found: dict[str, tuple[RunRecord, Path]] = {}
    damaged: dict[str, str] = {}
    notes = []
    for folder in folders:
        if not (folder / "runs").is_dir():
            raise ConfigError(
                f"'{folder}' has no runs. Fix: give the folder of a sweep, such as outputs/rank."
            )
        runs = read_runs(folder)
        damaged |= runs.damaged
        for record in runs.records:
            run_id = str(record.row["run_id"])
            other = found[run_id][0] if run_id in found else None
            if other is not None and _differ(record, other):
                notes.append(
                    f"{run_id}: two folders have it with other answers; the last one counts"
                )
            if other is None or _rank(record) >= _rank(other):
                found[run_id] = record, folder / "runs" / run_id
    return found, damaged, notes


def _differ(one: RunRecord, other: RunRecord) -> bool:
    return one.status == other.status == "ok" and one.digest != other.digest


def _rank(record: RunRecord) -> tuple[bool, str]:
    return record.status == "ok", str(record.row.get("finished_at") or "")


def _once(
    records: Sequence[RunRecord], places: Mapping[str, Path]
) -> tuple[list[RunRecord], list[str]]:
    """Keep one successful run of each configuration and seed, which versions of ablate may name differently.

    Returns:
        The runs, and what was left out.
    """
    kept: dict[object, RunRecord] = {}
    notes = []
    for record in sorted(records, key=lambda one: _written(places[str(one.row["run_id"])])):
        row = record.row
        key: object = row["run_id"]
        if record.status == "ok" and record.config_id is not None:
            key = (row.get("ablation"), record.config_id, row["seed"])
        if key in kept:
            notes.append(f"{kept[key].row['run_id']} is {row['run_id']} again: the last one counts")
        kept[key] = record
    return list(kept.values()), notes


def _ablations(
    records: Iterable[RunRecord], places: Mapping[str, Path]
) -> tuple[dict[str, AblationRecord], list[str]]:
    """Return each ablation as the record that was written last knows it, with the values of all.

    A call with another baseline writes its runs' records again; their runs may have ended long before.

    Returns:
        The ablations by name, and where runs disagree.
    """
    known: dict[str, list[AblationRecord]] = {}
    for record in sorted(records, key=lambda one: _written(places[str(one.row["run_id"])])):
        name = record.row.get("ablation")
        if name is None:
            continue
        own = record.ablation
        if own is None and str(name) not in known:
            own = _from_config(places[str(record.row["run_id"])] / "config.yaml")
        if own is not None:
            known.setdefault(str(name), []).append(own)
    ablations, notes = {}, []
    for name, versions in known.items():
        latest = versions[-1]
        values = {same_value(value): value for one in (latest, *versions) for value in one.values}
        ablations[name] = replace(latest, name=name, values=list(values.values()))
        if len({same_value(one.baseline) for one in versions}) > 1:
            notes.append(
                f"runs of {name} name several baselines; that of the record written last counts"
            )
    return ablations, notes


def _written(run_folder: Path) -> int:
    try:
        return (run_folder / "result.json").stat().st_mtime_ns
    except OSError:
        return 0


def _from_config(path: Path) -> AblationRecord | None:
    """Read the ablation from a run's configuration: what records of older versions do not hold."""
    try:
        values = OmegaConf.to_container(parse(read_text(path), path))
        given = values["ablation"] if isinstance(values, dict) else None
        return AblationRecord(**{f.name: given[f.name] for f in fields(AblationRecord)})  # type: ignore[index]
    except (ConfigError, KeyError, TypeError, ValueError):
        return None
