"""A planned ablation becomes a draft of an ablation file: key, values, baseline, metrics, and what has to be chosen."""

from dataclasses import dataclass

from omegaconf import OmegaConf

from ablate.config.reading import flat_keys
from ablate.config.schema import AxisValue
from ablate.plans.base import Base, Composed, Settings
from ablate.plans.columns import Measured, measured
from ablate.plans.compare import compare, questions
from ablate.plans.match import Part
from ablate.plans.plan import PlannedAblation
from ablate.plans.values import Doubt, NoValueError, read_items, usable
from ablate.plans.vocabulary import TINY, Topic, vocabulary

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
    has_none = not items.values and not any(doubt.candidates for doubt in items.doubts)
    if has_none and topic.kind == "choice" and planned.replacements:
        texts = ", ".join(f"'{text}'" for text in planned.replacements)
        raise NoValueError(f"no value of {topic.key} is known as {texts}")
    own, because = _own(part, name, topic, composed, base)
    compared = compare(action, items, topic, own, base.size)
    choices += questions(compared, items)
    if not columns.columns:
        choices += ("its metrics",)
    missing = sorted(OmegaConf.missing_keys(composed.config))
    if missing:
        choices += (f"{', '.join(missing)} without a value ({_ON_THE_COMMAND_LINE})",)
    return Draft(
        topic=name,
        key=topic.key,
        values=compared.values,
        baseline=compared.baseline,
        because=compared.because or because,
        measured=columns,
        settings=settings.under(base.given),
        doubts=items.doubts,
        choices=choices,
        note=topic.note,
    )


def _own(
    part: Part, name: str, topic: Topic, composed: Composed, base: Base
) -> tuple[AxisValue | None, str]:
    """Return the value that a plan starts from: the one its part names, or that of the configuration."""
    named = [topic.member(value, base.size) for value in part.named.get(name, ())]
    if len(named) == 1:
        return named[0], "the ablated part names it"
    choices = composed.choices
    own = (
        choices[topic.key] if topic.key in choices else OmegaConf.select(composed.config, topic.key)
    )
    if topic.kind in ("number", "fraction") and isinstance(own, int):
        own = float(own)
    where = f"model {choices['model']}"
    if topic.key != "method":
        where += f" and method {choices['method']}"
    if base.size == TINY and base.settings(topic).groups:
        where += f", as in the shipped ablation {topic.like}"
    return own, f"what {topic.key} is with {where}"


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


def _encoder_choices(part: Part, topic: Topic, composed: Composed, base: Base) -> tuple[str, ...]:
    """Ask about an encoder that a part names, where the configuration has another one."""
    table = vocabulary().topics["encoder"]
    names = [str(table.member(value, base.size)) for value in part.named.get("encoder", ())]
    own: object = composed.choices.get("encoder")
    # A LLaVA with a CLIP beside it has that CLIP's encoder.
    if own is None and OmegaConf.select(composed.config, "model.clip") is not None:
        own = table.member("clip", base.size)
    if topic.key == "encoder" or all(name == own for name in names):
        return ()
    return (f"the encoder: the part names {', '.join(names)}, which is not the one here",)


def _plain(composed: Composed) -> dict[str, object]:
    values = OmegaConf.to_container(composed.config, resolve=False)
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}
