"""The lines of a picture: one for each setting besides the ablation's value."""

from collections.abc import Sequence
from dataclasses import dataclass

from ablate.report.figures.scale import name_of
from ablate.report.verdict import AblationReport, Comparison, Configuration


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
    order = {name_of(value): place for place, value in enumerate(ablation.values)}
    split: dict[str, list[Comparison]] = {}
    for one in ablation.of(metric):
        if one.mean is not None:
            split.setdefault(settings_words(one.configuration), []).append(one)
    return [
        Series(
            name if len(split) > 1 else "",
            tuple(sorted(found, key=lambda one: order.get(name_of(one.value), len(order)))),
            next((one for one in found if one.is_baseline), None),
        )
        for name, found in split.items()
    ]


def by_settings(ablation: AblationReport) -> list[list[Configuration]]:
    """Group an ablation's configurations by their settings: those that one baseline is for."""
    groups: dict[str, list[Configuration]] = {}
    for configuration in ablation.configurations:
        groups.setdefault(settings_words(configuration), []).append(configuration)
    return list(groups.values()) if ablation.key is not None else [list(ablation.configurations)]


def settings_words(configuration: Configuration) -> str:
    """Write the settings of a configuration besides the value: `method lora, rank 8`."""
    return ", ".join(
        f"{key.rsplit('.', 1)[-1]} {name_of(value)}"
        for key, value in configuration.settings.items()
    )


def words_of_configuration(configuration: Configuration, key: str | None) -> str:
    """Write a configuration: the ablation's value, then the settings."""
    parts = [] if key is None else [name_of(configuration.value)]
    settings = settings_words(configuration)
    return ", ".join([*parts, *([settings] if settings else [])]) or "all runs"


def key_words(key: str | None) -> str:
    """Return the last word of a dotted key, as an axis is named."""
    return "" if key is None else key.rsplit(".", 1)[-1].replace("_", " ")


def measured(values: Sequence[float | None]) -> list[float]:
    """Leave out what was not measured."""
    return [value for value in values if value is not None]
