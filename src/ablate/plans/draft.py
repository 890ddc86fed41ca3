"""A planned ablation becomes a draft of an ablation file: key, values, baseline, metrics, and what has to be chosen."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from omegaconf import OmegaConf

from ablate.config.reading import flat_keys
from ablate.config.schema import AxisValue
from ablate.plans.base import Base, Composed, Settings
from ablate.plans.columns import Measured, measured
from ablate.plans.match import Part
from ablate.plans.plan import PlannedAblation
from ablate.plans.values import Doubt, Items, NoValueError, read_items, usable
from ablate.plans.vocabulary import Topic, vocabulary

_ON_THE_COMMAND_LINE = "give it in --base, or as a word of `ablate run`"


@dataclass(frozen=True)
class Draft:
    """What one ablation file will say.

    Attributes:
        topic: What is varied, by its name in the table.
        key: The key or group that is varied.
        values: Its values, the baseline among them.
        baseline: The value that the others are compared with; None where it has to be chosen.
        because: Why that one.
        measured: The metrics.
        settings: What the file sets besides.
        doubts: Replacements that are no values of it, or may be several.
        choices: What has to be chosen before it runs; none where it is runnable.
        note: What has to be known about its values.
    """

    topic: str
    key: str
    values: tuple[AxisValue, ...]
    baseline: AxisValue | None
    because: str
    measured: Measured
    settings: Settings
    doubts: tuple[Doubt, ...]
    choices: tuple[str, ...]
    note: str | None


def draft(planned: PlannedAblation, action: str, part: Part, name: str, base: Base) -> Draft:
    """Draft an ablation of one topic.

    Args:
        planned: The ablation in the plan's words.
        action: REPLACE, REMOVE or ADD.
        part: What its part may mean.
        name: The topic that it is taken to mean.
        base: What it is made on.

    Returns:
        The draft.

    Raises:
        NoValueError: If it cannot be expressed on this base.
        HydraException: If the base cannot be composed.
    """
    topic = vocabulary().topics[name]
    named, choices = _named_settings(part, topic, base)
    settings = base.settings(topic).under(named)
    composed = base.compose(settings)
    if topic.key not in flat_keys(_plain(composed)):
        raise NoValueError(
            f"there is no key {topic.key} with model {composed.choices['model']}, method "
            f"{composed.choices['method']} and data {composed.choices['data']}"
        )
    columns = measured(planned.metrics, topic, composed, base)
    if columns.suite is not None:
        settings = settings.under(Settings({"tasks": columns.suite}))
        composed = base.compose(settings)
    choices += _encoder_choices(part, topic, composed, base)
    items = usable(read_items(planned.replacements, topic, base), topic, composed)
    own, because = _own(part, name, topic, composed, base)
    result = _with_action(action, items, topic, own, base)
    choices += result.choices
    if result.baseline != own or own is None:
        because = result.because
    if not columns.columns:
        choices += ("which metrics it is measured by",)
    missing = sorted(OmegaConf.missing_keys(composed.config))
    if missing:
        choices += (f"{', '.join(missing)} without a value ({_ON_THE_COMMAND_LINE})",)
    return Draft(
        topic=name,
        key=topic.key,
        values=result.values,
        baseline=result.baseline,
        because=because,
        measured=columns,
        settings=settings.under(base.given),
        doubts=items.doubts + result.doubts,
        choices=choices,
        note=topic.note,
    )


@dataclass(frozen=True)
class _Compared:
    """Values and baseline, by the action."""

    values: tuple[AxisValue, ...]
    baseline: AxisValue | None
    because: str
    choices: tuple[str, ...] = ()
    doubts: tuple[Doubt, ...] = ()


def _with_action(
    action: str, items: Items, topic: Topic, own: AxisValue | None, base: Base
) -> _Compared:
    """Decide what is compared with what."""
    present = [topic.member(value, base.size) for value in topic.present]
    absent = [topic.member(value, base.size) for value in topic.absent]
    if action == "REPLACE" or (action == "REMOVE" and items.values):
        baseline = items.baseline if items.baseline is not None else own
        because = "the plan calls it so"
        compared = _Compared(_with(baseline, items.values), baseline, because)
    else:
        if not absent:
            raise NoValueError(f"no value of {topic.key} switches it off")
        on = [one for one in (*items.values, *present) if one not in absent]
        if not on and own is not None and own not in absent:
            on = [own]
        one_off = absent[0] if len(absent) == 1 else None
        if action == "ADD":
            compared = _Compared(_with(one_off, on), one_off, "the part is off with it")
        else:
            if own in on:
                on = [own]
            compared = _Compared(
                tuple(dict.fromkeys((*on[:1], *([one_off] if one_off is not None else [])))),
                on[0] if on else None,
                "the part is on with it",
            )
        compared = _with_questions(compared, on, absent, topic)
    if compared.baseline is None and not compared.choices:
        compared = replace(compared, choices=("its baseline",))
    if items.doubts and (len(compared.values) < 2 or any(d.candidates for d in items.doubts)):
        texts = ", ".join(f'"{doubt.text}"' for doubt in items.doubts)
        compared = replace(compared, choices=(*compared.choices, f"what is meant by {texts}"))
    if len(compared.values) < 2 and not compared.choices:
        compared = replace(compared, choices=("the values that it is compared with",))
    return compared


def _with_questions(
    compared: _Compared, on: Sequence[AxisValue], absent: Sequence[AxisValue], topic: Topic
) -> _Compared:
    """Ask for what the table leaves open about switching a part on or off."""
    choices: tuple[str, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    if len(absent) > 1:
        choices += ("the value that stands for leaving it out",)
        doubts += (Doubt("left out", f"more than one value of {topic.key} may", tuple(absent)),)
    if not on:
        choices += ("the value that stands for having it",)
        doubts += (Doubt("there", f"{topic.key} is off here, and nothing says how far on", ()),)
    return replace(compared, choices=choices, doubts=doubts)


def _with(first: AxisValue | None, others: Sequence[AxisValue]) -> tuple[AxisValue, ...]:
    """Put a baseline in front of values that do not have it."""
    values = tuple(dict.fromkeys(others))
    return values if first is None or first in values else (first, *values)


def _own(
    part: Part, name: str, topic: Topic, composed: Composed, base: Base
) -> tuple[AxisValue | None, str]:
    """Return the value that a plan starts from: the one its part names, or that of the configuration."""
    named = [topic.member(value, base.size) for value in part.named.get(name, ())]
    if len(named) == 1:
        return named[0], "the ablated part names it"
    choices = composed.choices
    own = choices[topic.key] if topic.key in choices else OmegaConf.select(composed.config, topic.key)
    where = f"model {choices['model']}"
    if topic.key != "method":
        where += f", method {choices['method']}"
    like = f", in the settings of the shipped ablation {topic.like}" if base.settings(topic).groups and base.size == 0 else ""
    return own, f"it is what {topic.key} is with {where}{like}"


def _named_settings(part: Part, topic: Topic, base: Base) -> tuple[Settings, tuple[str, ...]]:
    """Choose the method and the data that a part names besides what is varied."""
    groups: dict[str, str | None] = {}
    choices: tuple[str, ...] = ()
    for group in ("method", "data"):
        names = tuple(dict.fromkeys(part.named.get(group, ())))
        if not names or topic.key == group:
            continue
        given = base.given.groups.get(group, names[0])
        if len(names) > 1 or given != names[0]:
            said = f"; --base says {given}" if given not in names else ""
            choices += (f"which {group} is meant: the part names {' and '.join(names)}{said}",)
        else:
            groups[group] = names[0]
    return Settings(groups), choices


def _encoder_choices(
    part: Part, topic: Topic, composed: Composed, base: Base
) -> tuple[str, ...]:
    """Ask about an encoder that a part names, where the configuration has another one."""
    table = vocabulary().topics["encoder"]
    names = {table.member(value, base.size) for value in part.named.get("encoder", ())}
    own = composed.choices.get("encoder")
    # A LLaVA with a CLIP beside it has that CLIP's encoder.
    if own is None and OmegaConf.select(composed.config, "model.clip") is not None:
        own = table.member("clip", base.size) if names else None
    if topic.key == "encoder" or names <= {own}:
        return ()
    return (f"the encoder: the part names {', '.join(map(str, sorted(map(str, names))))}, which is not the one here",)


def _plain(composed: Composed) -> dict[str, object]:
    values = OmegaConf.to_container(composed.config, resolve=False)
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}
