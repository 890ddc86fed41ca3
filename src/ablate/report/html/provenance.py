"""Where each row comes from, and the command that makes it again."""

import shlex
from dataclasses import dataclass

from ablate.report.loaded import Loaded
from ablate.results.record import Cell, RunRecord

# The sweep folder of runs that are made again.
_FOLDER = "reproduced"


@dataclass(frozen=True)
class Origin:
    """What is recorded of how a run came about.

    Attributes:
        run_id: The run.
        value: The ablation's value.
        seed: Its seed.
        commit: Commit of the working folder, marked where files differed from it; None outside a repository.
        version: Version of ablate.
        machine: Device type, precision and number of threads.
        started: When it began, UTC.
        finished: When it ended.
        command: Words that make it again in a shell; None in records of older versions.
    """

    run_id: str
    value: Cell
    seed: Cell
    commit: str | None
    version: Cell
    machine: str
    started: Cell
    finished: Cell
    command: str | None


def origins(loaded: Loaded) -> list[Origin]:
    """Return the origin of every run, in the order of the tables."""
    return [_origin(record) for record in loaded.records]


def _origin(record: RunRecord) -> Origin:
    row = record.row
    commit = row.get("git_commit")
    parts = [row.get("device"), row.get("precision")]
    machine = [str(part) for part in parts if part is not None]
    if row.get("threads") is not None:
        machine.append(f"{row['threads']} threads")
    return Origin(
        str(row["run_id"]),
        row.get("value"),
        row.get("seed"),
        None
        if commit is None
        else f"{str(commit)[:12]}{' (changed)' if row.get('git_dirty') else ''}",
        row.get("ablate_version"),
        ", ".join(machine),
        row.get("started_at"),
        row.get("finished_at"),
        command_of(record),
    )


def command_of(record: RunRecord) -> str | None:
    """Write the command that makes one run again, under the same run id.

    A run of an ablation becomes an ablation of one value, since a value cannot be given beside the
    values that it is one of. It has a folder of its own: in the sweep's it would count as done, and its value
    would become the baseline of all. Files outside the package that the configuration came from are still
    needed (`--config-dir`).

    Returns:
        None where the words it was composed from were not recorded.
    """
    words = list(record.composed_from)
    if not words:
        return None
    if record.ablation is not None:
        key = record.ablation.key
        value = _last(words, key)
        if value is None:
            return None
        gone = (key, "ablation.value", "ablation.values", "ablation.baseline")
        words = [word for word in words if _key(word) not in gone]
        words += [f"ablation.values=[{value}]", f"ablation.baseline={value}"]
    if any(_key(word) == "seed" for word in words):
        seed = _last(words, "seed")
        words = [word for word in words if _key(word) not in ("seed", "seeds")]
        words.append(f"seeds=[{seed}]")
    words = [*(word for word in words if _key(word) != "name"), f"name={_FOLDER}"]
    return "ablate run " + " ".join(shlex.quote(word) for word in words)


def shared_settings(loaded: Loaded) -> tuple[dict[str, Cell], list[str]]:
    """Return the settings that all runs share, and the keys in which they differ."""
    described = [record.settings for record in loaded.records if record.settings]
    keys = dict.fromkeys(key for settings in described for key in settings)
    looks = {key: {repr(settings.get(key, KeyError)) for settings in described} for key in keys}
    shared = {key: described[0].get(key) for key in keys if len(looks[key]) == 1}
    return shared, [key for key in keys if key not in shared]


def _key(word: str) -> str:
    return word.partition("=")[0].lstrip("+")


def _last(words: list[str], key: str) -> str | None:
    found = [word.partition("=")[2] for word in words if _key(word) == key]
    return found[-1] if found else None
