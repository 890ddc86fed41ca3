"""The lines of a picture: one for each setting besides the ablation's value."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from ablate.report.configurations import by_context, context_of
from ablate.report.figures.scale import name_of
from ablate.report.verdict import AblationReport, Comparison, Configuration
from ablate.results.record import same_value


@dataclass(frozen=True)
class Series:
    """Comparisons of the same settings, along the ablation's values.

    Attributes:
        name: The settings in words; empty where there is only one series.
        comparisons: In the order of the ablation's values; all have a mean.
        baseline: The one that the others are compared with.
    """

    name: str
    comparisons: tuple[Comparison, ...]
    baseline: Comparison | None

    def interval(self, one: Comparison) -> tuple[float, float] | None:
        """Return the 95 % interval of a difference, shifted to the baseline's mean.

        It crosses the baseline's line exactly where the difference's interval holds zero.
        """
        if (
            self.baseline is None
            or self.baseline.mean is None
            or one.low is None
            or one.high is None
        ):
            return None
        return self.baseline.mean + one.low, self.baseline.mean + one.high


def series_of(ablation: AblationReport, metric: str) -> list[Series]:
    """Split the measured comparisons in a metric by settings."""
    order = {same_value(value): place for place, value in enumerate(ablation.values)}
    split: dict[Hashable, list[Comparison]] = {}
    for one in ablation.of(metric):
        if one.mean is not None:
            split.setdefault(context_of(one.configuration), []).append(one)
    telling = _telling(ablation, with_value=False)
    return [
        Series(
            _words(found[0].configuration, telling) if len(split) > 1 else "",
            tuple(sorted(found, key=lambda one: order[same_value(one.value)])),
            next((one for one in found if one.is_baseline), None),
        )
        for found in split.values()
    ]


def differ(series: Sequence[Series]) -> bool:
    """Tell whether there is anything to compare: two configurations, and two different numbers."""
    comparisons = [one for part in series for one in part.comparisons]
    numbers = {number for one in comparisons for number in (one.mean, *one.per_seed)}
    return len(comparisons) > 1 and len(numbers - {None}) > 1


def by_settings(ablation: AblationReport) -> list[list[Configuration]]:
    """Group an ablation's configurations by their settings: those that one baseline is for."""
    found = ablation.configurations
    return by_context(found) if ablation.key is not None else [list(found)]


def names_of(ablation: AblationReport) -> dict[tuple[str, ...], str]:
    """Name every configuration as shortly as tells them apart, by its run ids: the value, then settings."""
    telling = _telling(ablation, with_value=True)
    names: dict[tuple[str, ...], str] = {}
    for one in ablation.configurations:
        value = name_of(one.value) if ablation.key is not None else ""
        words = [word for word in (value, _words(one, telling)) if word]
        name = ", ".join(words) or "all runs"
        # The number 1 and the text 1 are two values.
        taken = sum(other == name or other.startswith(f"{name} (") for other in names.values())
        names[one.run_ids] = name if name not in names.values() else f"{name} ({taken + 1})"
    return names


def _telling(ablation: AblationReport, with_value: bool) -> list[str]:
    """Return the settings that tell configurations apart, in order and without those that follow others."""
    given = with_value and ablation.key is not None
    looks: list[Hashable] = [
        same_value(one.value) if given else None for one in ablation.configurations
    ]
    kept = []
    for key in ablation.settings:
        finer: list[Hashable] = [
            (look, same_value(one.settings.get(key)))
            for look, one in zip(looks, ablation.configurations, strict=True)
        ]
        if len(set(finer)) > len(set(looks)):
            kept.append(key)
            looks = finer
    return kept


def _words(configuration: Configuration, keys: Sequence[str]) -> str:
    """Write settings: numbers after their key, words alone: `lora, rank 8`."""
    return ", ".join(
        name_of(value) if isinstance(value, str) else f"{key_words(key)} {name_of(value)}"
        for key in keys
        for value in (configuration.settings.get(key),)
    )


def key_words(key: str | None) -> str:
    """Return the last word of a dotted key, as an axis is named."""
    return "" if key is None else key.rsplit(".", 1)[-1].replace("_", " ")


def measured(values: Sequence[float | None]) -> list[float]:
    """Leave out what was not measured."""
    return [value for value in values if value is not None]
