"""What an ablation needs: a key that affects the results, different values, a baseline among them."""

from collections.abc import Sequence

from omegaconf import DictConfig, OmegaConf

from ablate.config.errors import ConfigError, nearest
from ablate.config.reading import flat_keys, nearest_key, run_part
from ablate.results.columns import METRICS
from ablate.results.record import same_value

# These say where and how runs are made, or are averaged over.
_NO_AXES = (
    "ablation",
    "checkpoint",
    "cluster",
    "device",
    "fail_fast",
    "force",
    "hydra",
    "name",
    "output_dir",
    "save_model",
    "seed",
    "seeds",
    "tracker",
)


def check_ablation(config: DictConfig) -> None:
    """Check the ablation of a composed configuration.

    Raises:
        ConfigError: If the ablation could not be expanded into runs that can be compared.
    """
    ablation = config.ablation
    if not OmegaConf.is_dict(ablation):
        raise ConfigError(
            f"ablation is {ablation!r}; allowed: a mapping with question, key, values and baseline. "
            "Fix: +ablation=NAME; `ablate list ablations` shows the names."
        )
    if "ablation" in ablation:
        raise ConfigError(
            "The ablation's file lacks the line that puts it at the top. "
            "Fix: '# @package _global_' as its first line."
        )
    _check_key(config, ablation.get("key"))
    _check_values(ablation.get("values"), ablation.get("baseline"))
    metrics = ablation.get("metrics")
    for metric in metrics if OmegaConf.is_list(metrics) else ():
        if metric not in METRICS:
            match = nearest(str(metric), METRICS)
            hint = f" Did you mean '{match}'?" if match else ""
            raise ConfigError(
                f"ablation.metrics names '{metric}', which is not a numeric column of results.csv.{hint} "
                f"Available: {', '.join(METRICS)}."
            )


def _check_key(config: DictConfig, key: object) -> None:
    """Refuse a key that the configuration does not have, or that does not affect the results."""
    if str(key).partition(".")[0] in _NO_AXES:
        raise ConfigError(
            f"ablation.key is '{key}', which gives no values to compare. "
            "Fix: vary a key of the method, the data or the recipe; seeds=[0,1,2] makes runs of several seeds."
        )
    known = flat_keys(_plain(run_part(config)))
    if key not in known:
        match = nearest_key(str(key), known)
        hint = f" Did you mean '{match}'?" if match else ""
        raise ConfigError(f"ablation.key is {key!r}, which is not a configuration key.{hint}")


def _check_values(values: object, baseline: object) -> None:
    """Refuse values that could not be distinguished, and a baseline that is not one of them."""
    if not OmegaConf.is_list(values) or not isinstance(values, Sequence) or len(values) == 0:
        raise ConfigError(
            f"ablation.values is {values!r}; allowed: a list of at least one value. "
            f"Fix: ablation.values=[...]."
        )
    seen: list[object] = []
    for value in values:
        if not isinstance(value, bool | int | float | str):
            raise ConfigError(
                f"ablation.values has {value!r}; allowed: numbers, strings, true and false. "
                "Fix: leave it out."
            )
        if same_value(value) in map(same_value, seen):
            raise ConfigError(f"ablation.values has {value!r} twice. Fix: give it once.")
        if any(isinstance(value, bool) != isinstance(other, bool) for other in seen):
            raise ConfigError(
                f"ablation.values is {list(values)}; allowed: true and false only, or neither. "
                "Fix: values of one kind."
            )
        seen.append(value)
    if same_value(baseline) not in map(same_value, seen):
        raise ConfigError(
            f"ablation.baseline is {baseline!r}, which is not among the values "
            f"{list(values)}. Fix: ablation.baseline={values[0]}, or add it to ablation.values."
        )


def _plain(config: DictConfig) -> dict[str, object]:
    values = OmegaConf.to_container(config, resolve=False)
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}
