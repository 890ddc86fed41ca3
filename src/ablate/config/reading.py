"""The config boundary: from a composed Hydra configuration to typed dataclasses, or one clear line."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import Field, fields
from typing import Any, TypeVar

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from ablate.config.environment import check_environment
from ablate.config.errors import ConfigError, nearest
from ablate.config.rules import check_rules
from ablate.config.schema import RunConfig, SweepConfig
from ablate.config.schema.method import NAMED, TUNER

_RUN = TypeAdapter(RunConfig)
_SWEEP = TypeAdapter(SweepConfig)
# What says where and by whom runs are made is no part of a run.
_NO_RUN = ("hydra", "cluster")
# Nor are the trackers, though its process has to know them.
_NO_RUN_WORD = re.compile(rf"[+~]*(?:{'|'.join([*_NO_RUN, 'tracker'])})(?:[./=@]|$)")
_UNION_NAMES = ("bool", "int", "float", "str", "list", "dict", NAMED, TUNER)
_TAG_KEYS = ("name", "kind", "source")
_Typed = TypeVar("_Typed")
_WORDS = {
    "too_short": "at least one item",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "string_type": "a text",
}


def read_run_config(config: DictConfig) -> RunConfig:
    """Check a composed configuration and return it typed.

    Raises:
        ConfigError: If anything is missing, unknown, of the wrong type or out of range; one line
        names all of it.
    """
    own = run_part(config)
    _leave_target_out(own)
    run = _validated(_RUN, _resolved(own), own)
    check_rules(run)
    return run


def read_sweep_config(config: DictConfig) -> SweepConfig:
    """Check what a composed configuration says about a sweep as a whole, and return it typed.

    Raises:
        ConfigError: As `read_run_config`.
    """
    own = OmegaConf.masked_copy(config, ["cluster"])
    return _validated(_SWEEP, _resolved(own), own)


def run_part(config: DictConfig) -> DictConfig:
    """Return what a composed configuration says about one run, its interpolations as they are."""
    return OmegaConf.masked_copy(config, [str(key) for key in config if key not in _NO_RUN])


def _leave_target_out(own: DictConfig) -> None:
    """Remove the data set that is trained on from a protocol's controls: a protocol names all its sets."""
    controls = OmegaConf.select(own, "controls")
    if OmegaConf.select(own, "protocol") is not None and OmegaConf.is_dict(controls):
        controls.pop(OmegaConf.select(own, "data.name"), None)


def read_plain(values: object) -> RunConfig:
    """Read what `to_plain` returned.

    Raises:
        ConfigError: If it is not a run of this version.
    """
    run = _validated(_RUN, values, OmegaConf.create({}))
    check_rules(run)
    return run


def _resolved(own: DictConfig) -> object:
    check_environment(own)
    try:
        return OmegaConf.to_container(own, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise ConfigError(_missing_value(error)) from error


def _validated(adapter: TypeAdapter[_Typed], values: object, own: DictConfig) -> _Typed:
    """Build the typed configuration; `own` is the same with its interpolations."""
    try:
        return adapter.validate_python(values)
    except ValidationError as error:
        given = {
            str(key): value for key, value in (values if isinstance(values, dict) else {}).items()
        }
        details = error.errors()
        own_faults = [
            detail
            for detail in details
            if not _follows(detail, own) and not _counts_refused_items(detail, details)
        ]
        lines = [_explain(detail, given) for detail in own_faults or details]
        raise ConfigError(" ".join(dict.fromkeys(lines))) from error


def run_words(overrides: Sequence[str]) -> tuple[str, ...]:
    """Return those of the words that a configuration was composed from that say something about its run."""
    return tuple(word for word in overrides if not _NO_RUN_WORD.match(word))


def to_plain(run: RunConfig, without_defaults: bool = False) -> dict[str, Any]:
    """Return the configuration as plain dictionaries and lists, ready for YAML or JSON.

    Args:
        run: The configuration.
        without_defaults: Leave out keys that came later than their class and have the value that was always meant.
    """
    plain: dict[str, Any] = _RUN.dump_python(run, mode="json", exclude_defaults=without_defaults)
    return plain


def given_values(config: Any) -> dict[str, Any]:  # noqa: ANN401  # any dataclass of the schema
    """Return a part of the configuration by key, without keys that have their defaults."""
    own = [field for field in fields(config) if getattr(config, field.name) != _default(field)]
    return {field.name: getattr(config, field.name) for field in own}


def _default(field: Field[Any]) -> object:
    return field.default_factory() if callable(field.default_factory) else field.default


def flat_keys(values: Mapping[str, Any], prefix: str = "") -> list[str]:
    """List every dotted key of nested mappings, groups included."""
    keys = []
    for key, value in values.items():
        keys.append(f"{prefix}{key}")
        if isinstance(value, Mapping):
            keys.extend(flat_keys(value, f"{prefix}{key}."))
    return keys


def nearest_key(given: str, keys: Iterable[str]) -> str | None:
    """Return the key most like `given`, comparing whole keys first and last parts second."""
    keys = list(keys)
    whole = nearest(given, keys)
    if whole is not None:
        return whole
    by_last_part = {key.rsplit(".", 1)[-1]: key for key in keys}
    last = nearest(given.rsplit(".", 1)[-1], by_last_part)
    return by_last_part[last] if last else None


def _missing_value(error: OmegaConfBaseException) -> str:
    """Explain a `???` that was not filled in, or an interpolation that leads nowhere."""
    if isinstance(error, MissingMandatoryValue):
        key = str(error.full_key)
        group, _, rest = key.partition(".")
        left_out = f", or leave it out: ~data@controls.{rest.partition('.')[0]}"
        return f"{key} has no value. Fix: give one, as in {key}=...{left_out if group == 'controls' else ''}"
    first_line = str(error).splitlines()[0].rstrip(".")
    return f"{first_line} (key: {error.full_key}). Fix: give {error.full_key} a value of its own."


def _follows(detail: ErrorDetails, config: DictConfig) -> bool:
    """Tell whether a wrong value only follows another key, which has an error of its own."""
    node: Any = config
    for part in detail["loc"]:
        if not OmegaConf.is_dict(node) or part not in node:
            continue
        if OmegaConf.is_interpolation(node, str(part)):
            return True
        node = node[part]
    return False


def _counts_refused_items(detail: ErrorDetails, details: Iterable[ErrorDetails]) -> bool:
    """Tell whether a list is too short only because its items were refused, which have errors of their own."""
    place = detail["loc"]
    return detail["type"] == "too_short" and any(
        len(other["loc"]) > len(place) and other["loc"][: len(place)] == place for other in details
    )


def _explain(detail: ErrorDetails, values: Mapping[str, Any]) -> str:
    """Say in one sentence what was given, what is allowed and the fix."""
    key = ".".join(_location(detail, values))
    if detail["type"] == "unexpected_keyword_argument":
        match = nearest_key(key, [k for k in _known_keys(values) if k != key])
        hint = f" Did you mean '{match}'?" if match else ""
        return f"Unknown key '{key}'.{hint}"
    if detail["type"] == "string_pattern_mismatch":
        pattern = detail["ctx"]["pattern"]
        return f"{key} is {detail['input']!r}; allowed: a text that matches {pattern}."
    if detail["type"] in ("missing", "missing_argument"):
        return f"{key} is missing. Fix: add it to the config file that this group comes from."
    if detail["type"] == "union_tag_not_found":
        tag_key = f"{key}.{str(detail['ctx']['discriminator']).strip(chr(39))}"
        return f"{tag_key} is missing. Fix: add it to the config file that this group comes from."
    if detail["type"] == "union_tag_invalid":
        context = detail["ctx"]
        match = nearest(str(context["tag"]), _quoted(context["expected_tags"]))
        hint = f" Did you mean '{match}'?" if match else ""
        tag_key = f"{key}.{str(context['discriminator']).strip(chr(39))}"
        return f"Unknown {tag_key} '{context['tag']}'.{hint} Available: {context['expected_tags']}."
    if detail["type"] == "literal_error":
        match = nearest(
            str(detail["input"]), _quoted(detail["ctx"]["expected"].replace(" or ", ","))
        )
        hint = f" Did you mean '{match}'?" if match else ""
        return f"{key} is {detail['input']!r}.{hint} Allowed: {detail['ctx']['expected']}."
    allowed = _WORDS.get(detail["type"]) or detail["msg"].removeprefix("Input should be ")
    return f"{key} is {detail['input']!r}; allowed: {allowed}. Fix: give {key} such a value."


def _location(detail: ErrorDetails, values: Mapping[str, Any]) -> list[str]:
    """Return the keys that lead to an error, without pydantic's own names for union members."""
    keys = []
    node: Any = values
    for part in detail["loc"]:
        tags = [node.get(key) for key in _TAG_KEYS] if isinstance(node, Mapping) else []
        try:
            node = node[part]
        except (KeyError, IndexError, TypeError):
            if part in tags or part in _UNION_NAMES:
                continue
        keys.append(str(part))
    return keys


def _known_keys(values: Mapping[str, Any]) -> list[str]:
    """List the keys the configuration has, plus those of the run itself."""
    own = [field.name for field in fields(RunConfig)]
    return [*flat_keys({key: value for key, value in values.items() if key in own}), *own]


def _quoted(names: str) -> list[str]:
    return [name.strip().strip("'") for name in names.split(",")]
