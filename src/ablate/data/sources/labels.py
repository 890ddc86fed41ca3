"""From a column of labels to class names and class indices."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from datasets import ClassLabel
from numpy.typing import NDArray

from ablate.config.errors import ConfigError
from ablate.config.schema import HubData
from ablate.config.text import printable
from ablate.data.class_names import readable_names
from ablate.data.tables.read import Owner
from ablate.data.tables.rows import Rows

Labels = NDArray[np.int32]


def class_labels(
    owner: Owner, tables: Sequence[Rows], config: HubData
) -> tuple[tuple[str, ...], list[Labels]]:
    """Name the classes of a data set, and number the labels of its tables.

    A `ClassLabel` has its names in its own order. Numbers are class indices where all names are given
    as a list, and names of classes otherwise; texts are names of classes, in alphabetical order. Where
    all names are numbers (`0, 1, 10, 11, 2`, sorted as texts), a list of names is by number, not by position.

    Args:
        owner: Whose they are.
        tables: The tables.
        config: The column, and the names that are given.

    Returns:
        One readable name per class index, and the class index of every row, for every table.

    Raises:
        ConfigError: If a row has no label, the names do not fit the labels, or two are the same.
    """
    column = config.columns.label
    feature = tables[0].features[column]
    found = [table.values(column) for table in tables]
    keys = class_names_of(feature)
    for values in found:
        _check_labelled(owner, column, values, keys)
    for table in tables[1:]:
        check_same_names(owner, column, keys, table.features[column])
    if keys is None:
        keys = _keys(found)
        found = [[str(value) for value in values] for values in found]
    names, order = name_classes(owner, column, keys, config, isinstance(feature, ClassLabel))
    index_of: dict[Any, int] = {key: index for index, key in enumerate(order)}
    if isinstance(feature, ClassLabel):
        index_of = {place: index_of[key] for place, key in enumerate(keys)}
    return names, [
        np.fromiter((index_of[value] for value in values), dtype=np.int32, count=len(values))
        for values in found
    ]


def name_classes(
    owner: Owner, column: str, keys: Sequence[str], config: HubData, is_class_label: bool
) -> tuple[tuple[str, ...], list[str]]:
    """Name the classes that the data call `keys`.

    Returns:
        One readable name per class index, and the key of every class index.

    Raises:
        ConfigError: If the names do not fit the keys, or two are the same.
    """
    given, what = config.class_names or {}, f"class of {owner.name}"
    numbers = all(key.isdecimal() for key in keys)
    if isinstance(given, dict):
        unnamed = [key for key in keys if key not in given]
        if numbers and unnamed:
            raise ConfigError(
                f"Column '{column}' of {owner.name} holds numbers, such as {unnamed[0]}, and says no names; a model"
                f" cannot answer with them. Fix: {owner.key}.class_names=[<the names in the order of the numbers>]."
            )
        order = sorted(keys, key=int) if numbers else list(keys)
        return readable_names(order, given, what), order
    if numbers:
        largest = max(map(int, keys))
        if largest >= len(given):
            raise ConfigError(
                f"Column '{column}' of {owner.name} holds class {largest}, but {owner.key}.class_names has"
                f" {len(given)} names, for classes 0 to {len(given) - 1}. Fix: name every class."
            )
        # As the data write it, such as 00014; where no row has it, plainly.
        written = {int(key): key for key in keys}
        if len(written) < len(keys):
            twice = next(key for key in keys if written[int(key)] != key)
            raise ConfigError(
                f"Column '{column}' of {owner.name} holds '{twice}' and '{written[int(twice)]}', which are one number."
                f" Fix: {owner.key}.class_names={{'{twice}': <its name>, ...}}."
            )
        order = [written.get(number, str(number)) for number in range(len(given))]
    elif is_class_label:
        if len(keys) != len(given):
            raise ConfigError(
                f"Column '{column}' of {owner.name} has {len(keys)} classes, but {owner.key}.class_names has"
                f" {len(given)} names. Fix: name every class, or none."
            )
        order = list(keys)
        if set(keys) == set(given) and order != list(given):
            raise ConfigError(
                f"{owner.key}.class_names lists the classes of {owner.name} in another order than column '{column}' has"
                f" them. Fix: {owner.key}.class_names=null."
            )
    else:
        raise ConfigError(
            f"Column '{column}' of {owner.name} holds names, such as '{printable(keys[0])}', which a list of names"
            f" has no order for. Fix: {owner.key}.class_names={{'{printable(keys[0])}': <its name>, ...}}, or null."
        )
    return readable_names(order, dict(zip(order, given, strict=True)), what), order


def class_names_of(feature: object) -> list[str] | None:
    """Return the names that a column says its numbers mean; None where it says nothing."""
    return list(feature.names) if isinstance(feature, ClassLabel) else None


def check_same_names(owner: Owner, column: str, names: list[str] | None, feature: object) -> None:
    """Raise a ConfigError if the labels of two parts do not mean the same."""
    others = class_names_of(feature)
    if others != names:
        said = "no names" if others is None else str(others)
        raise ConfigError(
            f"Column '{column}' has other classes in one part of {owner.name} than in another"
            f" ({printable(said):.60}). Fix: {owner.key}.parts=<parts of one set>."
        )


def _keys(found: Sequence[Sequence[Any]]) -> list[str]:
    return sorted({str(value) for values in found for value in values})


def _check_labelled(
    owner: Owner, column: str, values: Sequence[Any], names: Sequence[str] | None
) -> None:
    for row, value in enumerate(values):
        if value is None or (isinstance(value, int) and value < 0) or str(value).strip() == "":
            raise ConfigError(
                f"Row {row} of {owner.name} has no label in '{column}' ({value!r}). Fix: another part"
                f" in {owner.key}.parts, or {owner.key}.where=<the rows that have one>."
            )
        if not isinstance(value, int | str):
            raise ConfigError(
                f"Column '{column}' of {owner.name} holds {printable(repr(value)):.60}, which is not a class."
                f" Fix: {owner.key}.columns.label=<the column of classes>."
            )
        if names is not None and int(value) >= len(names):
            raise ConfigError(
                f"Row {row} of {owner.name} has class {value} in '{column}', whose {len(names)} names are for 0 to"
                f" {len(names) - 1}. Fix: {owner.key}.where=<the rows that have one of these>."
            )
