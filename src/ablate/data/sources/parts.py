"""Parts of a data set in tables: what is trained on and what is evaluated have nothing in common."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ablate.config.errors import ConfigError
from ablate.config.schema.data import TableData
from ablate.config.schema.tables import Part
from ablate.config.text import printable
from ablate.data.few_shot import stratified_split
from ablate.data.tables.read import Owner, Place
from ablate.data.tables.rows import Rows, read_rows
from ablate.data.types import Groups

log = logging.getLogger(__name__)

# SHA-256 of what an item is known by, `[rows]`.
Keys = NDArray[np.bytes_]
KEY = "S32"


@dataclass(frozen=True)
class Tables:
    """What is read of a data set.

    Attributes:
        train: The table of the training part.
        evaluated: The table of the part that is evaluated; None where it is held out of `train`.
    """

    train: Rows
    evaluated: Rows | None

    def all(self) -> list[Rows]:
        """Return them in a list."""
        return [self.train] if self.evaluated is None else [self.train, self.evaluated]


def owner_of(config: TableData, key: str) -> Owner:
    """Say whose tables they are, for messages."""
    splits = "{key}.parts=<parts that are there>, null for one that is to be held out of the training part"
    return Owner(f"data set '{config.name}'", key, splits)


def place_of(config: TableData, part: Part) -> Place:
    """Return where the table of a part is."""
    return Place(
        path=part.path or config.path,
        subset=part.subset or config.subset,
        split=part.split,
        revision=part.revision if part.path else config.revision,
        mirrors=() if part.path else config.mirrors,
        files=config.files,
    )


def evaluated_part(config: TableData, key: str) -> Part | None:
    """Return the part that is evaluated; None where it is held out of the training part.

    Raises:
        ConfigError: If there is none.
    """
    if config.draw == "test":
        return config.parts.test
    if config.parts.development is None and config.development_fraction == 0:
        raise ConfigError(
            f"{key}.draw is 'development', but data set '{config.name}' has no such part. Fix:"
            f" {key}.development_fraction=0.1, which holds it out of the training part, or {key}.draw=test."
        )
    return config.parts.development


def read_part(
    config: TableData,
    key: str,
    part: Part,
    columns: Sequence[str],
    image: str,
    first: int | None = None,
) -> Rows:
    """Read the table of a part.

    Args:
        config: The data set.
        key: Where it is configured.
        part: The part.
        columns: Columns that are needed besides the image.
        image: Column of the image.
        first: Only so many rows; None for all.

    Raises:
        ConfigError: If the table, a column or an image is not there.
    """
    place = replace(place_of(config, part), first=first)
    columns = [*columns, *(config.where or ())]
    rows = read_rows(owner_of(config, key), place, columns, image, config.image_folder)
    return rows.where(config.where)


def read_parts(config: TableData, key: str, columns: Sequence[str], image: str) -> Tables:
    """Read the tables of the training part and of the one that is evaluated.

    Args:
        config: The data set.
        key: Where it is configured.
        columns: Columns that are needed besides the image.
        image: Column of the image.

    Raises:
        ConfigError: If a table, a column or an image is not there.
    """
    train, evaluated = config.parts.train, evaluated_part(config, key)
    table = read_part(config, key, train, columns, image)
    if evaluated is None:
        return Tables(table, None)
    check_two_tables(config, key)
    return Tables(table, read_part(config, key, evaluated, columns, image))


def check_two_tables(config: TableData, key: str) -> None:
    """Check that the part that is evaluated is not the table that is trained on.

    Raises:
        ConfigError: If it is.
    """
    evaluated = evaluated_part(config, key)
    if evaluated is None:
        return
    place, train = place_of(config, evaluated), place_of(config, config.parts.train)
    if place == replace(train, split=place.split) and place.is_one_table:
        raise ConfigError(
            f"{key}.path='{printable(place.path)}' is one table, which has no parts: it would be trained and evaluated"
            f" on. Fix: {key}.parts.{config.draw}=null, which holds a share of it out, or a path for each part."
        )


def divide(
    config: TableData,
    key: str,
    strata: Groups,
    keys: Keys,
    together: Keys,
    evaluated_keys: Keys | None,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Decide which rows are trained on and which are evaluated.

    What is held out for a part is never trained on, whichever part is evaluated.

    Args:
        config: The data set.
        key: Where it is configured.
        strata: What the same share of is held out: the class of every row of the training table.
        keys: What every row of the training table is known by.
        together: What rows share that are held out together.
        evaluated_keys: The keys of the evaluated table; None where there is none.

    Returns:
        Rows of the training table, and rows of the evaluated table, or of the training table where there is none.

    Raises:
        ConfigError: If the parts share rows, or there are too few rows to hold any out.
    """
    train = np.arange(len(keys))
    held = {}
    if config.parts.test is None:
        take = every_second if config.held_out == "alternating" else hold_out
        train, held["test"] = take(config, key, strata, together, train, config.test_fraction)
    if config.parts.development is None and config.development_fraction:
        share = config.development_fraction
        train, held["development"] = hold_out(config, key, strata, together, train, share)
    if evaluated_keys is None:
        return train, held[config.draw]
    copies = np.isin(keys[train], evaluated_keys)
    if copies.any():
        if config.copies == "refuse":
            raise ConfigError(
                f"{copies.sum()} of {len(train)} training rows of data set '{config.name}' are copies of rows that are"
                f" evaluated (row {train[copies][0]} is the first): a run would train on its own {config.draw} items."
                f" Fix: {key}.copies=leave-out."
            )
        log.info("%s: %d copies left out of the training part", config.name, copies.sum())
    return train[~copies], np.arange(len(evaluated_keys))


def every_second(
    config: TableData,
    key: str,
    strata: Groups,
    keys: Keys,
    rows: NDArray[np.int64],
    share: float,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Take every second key out of some rows, in their order, whatever the stratum and share; as `hold_out`."""
    del strata, share
    names, first = np.unique(keys[rows], return_index=True)
    if len(names) < 2:
        raise ConfigError(
            f"Data set '{config.name}' has too few rows to hold every second out. Fix: {key}.held_out=drawn."
        )
    in_order = names[np.argsort(first)]
    is_held = np.isin(keys[rows], in_order[1::2])
    return rows[~is_held], rows[is_held]


def hold_out(
    config: TableData,
    key: str,
    strata: Groups,
    keys: Keys,
    rows: NDArray[np.int64],
    share: float,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Take the same share of every stratum out of some rows; rows of one key stay together.

    Returns:
        The rows that stay, and those that are held out.

    Raises:
        ConfigError: If a stratum has fewer than two rows of different keys.
    """
    _, first = np.unique(keys[rows], return_index=True)
    first = np.sort(first)
    labels = np.asarray(strata.of)[rows[first]].tolist()
    for label in sorted(set(labels)):
        n = labels.count(label)
        if n < 2:
            raise ConfigError(
                f"Data set '{config.name}' has {n} training row of class '{printable(strata.names[label])}', copies"
                " aside; at least 2 are needed, one to train on and one to hold out. Fix: add some,"
                f" {key}.parts=<parts that are there>, or {key}.development_fraction=0 if it may be left out."
            )
    _, held = stratified_split(labels, share, config.split_seed)
    is_held = np.isin(keys[rows], keys[rows[first[held]]])
    return rows[~is_held], rows[is_held]
