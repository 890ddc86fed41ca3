"""What of a data set fits its configuration and what does not, from its first rows and without a model."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from datasets import ClassLabel

from ablate.config.errors import ConfigError
from ablate.config.schema import HubData
from ablate.config.schema.data import QuestionData, TableData
from ablate.config.schema.tables import Part
from ablate.data.sources.hub import class_columns
from ablate.data.sources.labels import name_classes
from ablate.data.sources.parts import check_two_tables, owner_of, place_of, read_part
from ablate.data.tables.questions import needed_columns, read_question
from ablate.data.tables.read import Place, is_hub_id
from ablate.data.tables.rows import Rows

_SHOWN = 3


@dataclass
class Findings:
    """What was found, in the order of the look.

    Attributes:
        lines: Whether it fits (None for what is only said), and what it is.
        is_read: Whether all that is elsewhere could be reached; what was not may fit.
    """

    lines: list[tuple[bool | None, str]] = field(default_factory=list)
    is_read: bool = True

    @property
    def fits(self) -> bool:
        """Whether nothing was found that does not fit."""
        return all(fits is not False for fits, _ in self.lines)

    def say(self, fits: bool | None, text: str) -> None:
        """Add a finding."""
        self.lines.append((fits, text))

    @contextmanager
    def looking(self, at: str | None = None) -> Iterator[None]:
        """Turn what is refused into a finding, about a part."""
        try:
            yield
        except ConfigError as error:
            self.say(False, f"{at}: {error}" if at else str(error))
            if isinstance(error.__cause__, ConnectionError):
                self.is_read = False


def check_data(config: TableData, key: str, first: int) -> Findings:
    """Look at the first rows of every part of a data set; no part is downloaded or converted whole.

    Args:
        config: The data set.
        key: Where it is configured.
        first: Rows that are looked at.
    """
    found = Findings()
    parts = {
        "train": config.parts.train,
        "development": config.parts.development,
        "test": config.parts.test,
    }
    places = [place_of(config, part) for part in parts.values() if part is not None]
    for place in {place.path: place for place in places}.values():
        say_pin(found, place)
    for name, part in parts.items():
        if part is None:
            _say_held_out(found, config, name)
        elif found.is_read or place_of(config, part).is_local:
            with found.looking(name):
                _check_part(found, config, key, name, part, first)
        else:
            # Where there is no network, every try takes half a minute.
            found.say(None, f"{name}: not looked at")
    with found.looking():
        check_two_tables(config, key)
    return found


def say_pin(found: Findings, place: Place) -> None:
    """Say whether data of the hub stay the same."""
    if place.is_local:
        pin = "" if place.revision is None else ", where its revision means nothing"
        found.say(None, f"'{place.path}' is on this machine{pin}")
    elif not is_hub_id(place.path):
        found.say(None, f"'{place.path}' is not on this machine, and no id of the hub")
    elif place.revision is None:
        found.say(
            None, f"'{place.path}' is not pinned: revision is null, so the hub's latest is read"
        )
    else:
        found.say(None, f"'{place.path}' is pinned to revision {place.revision}")


def _say_held_out(found: Findings, config: TableData, name: str) -> None:
    share = config.test_fraction if name == "test" else config.development_fraction
    found.say(
        None, f"{name}: {share:.0%} of the training part is held out" if share else f"{name}: none"
    )


def _check_part(
    found: Findings, config: TableData, key: str, name: str, part: Part, first: int
) -> None:
    columns = class_columns(config) if isinstance(config, HubData) else needed_columns(config)
    rows = read_part(config, key, part, columns, config.columns.image, first)
    found.say(True, f"{name}: split '{part.split}', columns {', '.join(rows.features)}")
    with found.looking(name):
        _check_images(found, rows, name)
    with found.looking(name):
        if isinstance(config, HubData):
            _check_classes(found, config, key, rows, name)
        else:
            _check_questions(found, config, rows, name)


def _check_images(found: Findings, rows: Rows, name: str) -> None:
    sizes = [rows.image(row).size for row in range(len(rows))]
    shown = ", ".join(f"{width} x {height}" for width, height in dict.fromkeys(sizes[:_SHOWN]))
    found.say(True, f"{name}: {len(sizes)} images decode ({shown} pixels)")


def _check_questions(found: Findings, config: QuestionData, rows: Rows, name: str) -> None:
    read = [read_question(rows, config, row, str(row)) for row in range(len(rows))]
    sizes = sorted({len(question.options) for question in read})
    found.say(True, f"{name}: {len(read)} questions with {', '.join(map(str, sizes))} options")
    first = read[0]
    asked = config.question.replace("{question}", first.asked)
    found.say(
        None, f"{name}: '{asked}' {' | '.join(first.options)} -> {first.options[first.answer]}"
    )


def _check_classes(found: Findings, config: HubData, key: str, rows: Rows, name: str) -> None:
    column = config.columns.label
    feature, values = rows.features[column], rows.values(column)
    owner = owner_of(config, key)
    if isinstance(feature, ClassLabel):
        names, order = name_classes(owner, column, feature.names, config, is_class_label=True)
        what = f"a ClassLabel of {len(order)}"
    elif all(str(value).isdecimal() for value in values):
        keys = sorted({str(value) for value in values}, key=int)
        names, order = name_classes(owner, column, keys, config, is_class_label=False)
        what = "numbers"
    else:
        order = sorted({str(value) for value in values})
        found.say(True, f"{name}: '{column}' holds texts, such as {', '.join(order[:_SHOWN])}")
        return
    said = ", ".join(f"{k} = {n}" for k, n in list(zip(order, names, strict=True))[:_SHOWN])
    found.say(True, f"{name}: '{column}' holds {what}: {said}, ...")
