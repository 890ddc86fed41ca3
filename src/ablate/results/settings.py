"""In which keys the runs of a sweep differ: one column of results.csv for each."""

from collections.abc import Hashable, Iterable, Mapping, Sequence

from ablate.results.columns import COLUMNS
from ablate.results.record import Cell, RunRecord, same_value

FINGERPRINT = "fingerprint."
"""What the key of a content's hash begins with."""
# Keys whose value is in a column of another name, or is not a setting of a single run.
_ELSEWHERE = frozenset({"method.name", "model.name", "encoder.name", "data.name"})
_MISSING = "(missing)"


def setting_columns(records: Sequence[RunRecord]) -> dict[str, list[Cell]]:
    """Choose the keys that results.csv shows: those that were given, and those that differ.

    A key below a group, such as `method.rank`, counts as different only between runs that chose the
    same of that group; where they chose another, the group's own name says so. If two configurations
    cannot be distinguished by these, the hashes of their contents are shown too.

    Args:
        records: The runs of a sweep.

    Returns:
        Values by key, one for each record.
    """
    given = dict.fromkeys(key for record in records for key in record.overrides)
    described = [record for record in records if record.settings]
    contents = [key for key in _keys(described) if key.startswith(FINGERPRINT)]
    differing = [key for key in _keys(described) if key not in contents]
    groups = _groups(differing)
    names = {f"{group}.name": group for group in groups}
    differing = [names.get(key, key) for key in differing if _differs(key, described, groups)]
    shown = [
        key for key in dict.fromkeys([*given, *differing]) if key not in {*COLUMNS, *_ELSEWHERE}
    ]
    if not _tells_apart(shown, described, groups):
        shown += [key for key in contents if len({r.settings.get(key) for r in described}) > 1]
    return {key: [_cell(record, key, groups) for record in records] for key in shown}


def _keys(records: Iterable[RunRecord]) -> list[str]:
    return list(dict.fromkeys(key for record in records for key in record.settings))


def _groups(keys: Iterable[str]) -> list[str]:
    """Return the groups that are chosen as a whole, the innermost first."""
    named = {key.removesuffix(".name") for key in keys if key.endswith(".name")}
    return sorted([*named, "align"], key=len, reverse=True)


def _group_of(key: str, groups: Sequence[str]) -> str | None:
    return next((group for group in groups if key == group or key.startswith(f"{group}.")), None)


def _choice(settings: Mapping[str, Cell], group: str) -> Cell:
    """Return what was chosen of a group: its name, or whether it is there at all."""
    name = settings.get(f"{group}.name")
    if name is not None:
        return name
    return True if any(key.startswith(f"{group}.") for key in settings) else None


def _differs(key: str, records: Sequence[RunRecord], groups: Sequence[str]) -> bool:
    group = _group_of(key, groups)
    values: dict[Cell, set[Hashable]] = {}
    for record in records:
        choice = None if group is None else _choice(record.settings, group)
        value = record.settings.get(key, _MISSING)
        values.setdefault(choice, set()).add(same_value(value))
    if group is not None and key == f"{group}.name":
        return len(values) > 1
    return any(len(found) > 1 for found in values.values())


def _tells_apart(shown: Sequence[str], records: Sequence[RunRecord], groups: Sequence[str]) -> bool:
    """Tell whether no two configurations look the same in the columns that are shown."""
    looks: dict[tuple[str, ...], str | None] = {}
    standard = ("model", "model_source", "encoder", "method", "loss", "data", "shots", "sessions")
    for record in records:
        look = (
            *(repr(record.row.get(column)) for column in standard),
            *(repr(_cell(record, key, groups)) for key in shown),
        )
        if looks.setdefault(look, record.config_id) != record.config_id:
            return False
    return True


def _cell(record: RunRecord, key: str, groups: Sequence[str]) -> Cell:
    if key in record.overrides:
        return record.overrides[key]
    if key in record.settings:
        return record.settings[key]
    return _choice(record.settings, key) if key in groups else None
