"""What a run is called: a readable slug and a hash of everything that determines its numbers."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch

import ablate
from ablate.config.reading import given_values, to_plain
from ablate.config.schema import RunConfig
from ablate.config.schema.data import PLACES
from ablate.evaluation.task import Task
from ablate.models.compute import Compute
from ablate.models.encoders.check import encoder_fingerprint
from ablate.models.files import fingerprint
from ablate.models.options import as_loaded
from ablate.results.record import Cell
from ablate.results.settings import FINGERPRINT

# These change where or how fast a run happens, never its numbers.
_NOT_DETERMINING = (
    "ablation",
    "seeds",
    "name",
    "output_dir",
    "force",
    "device",
    "save_model",
    "fail_fast",
    "checkpoint",
    "protocol",
    "tracker",
)
# What a loss is, among the recipe's keys.
_LOSS_KEYS = ("open_question", "clip_text", "augment")
_HASH_CHARACTERS = 10
_OVERRIDE = re.compile(
    r"[+~]*(?P<key>[^=@]+)(?:@(?P<package>[^=]+))?(?:=(?P<value>.*))?", re.DOTALL
)


def fingerprints(config: RunConfig, data: dict[str, str], tasks: Sequence[Task]) -> dict[str, str]:
    """Hash every content that a run depends on, by name: the model's weights, the data, each task.

    Args:
        config: The run.
        data: Hash of the data and of each control, by name.
        tasks: The suite's tasks.
    """
    model = config.model
    weights = {"llava": model.llava, "clip": model.clip}
    if config.encoder is not None:
        weights = {"language": model.language or model.llava}
    revisions = {"clip": model.clip_revision}
    return {
        **{
            name: fingerprint(place, revisions.get(name, model.revision))
            for name, place in weights.items()
            if place
        },
        **({"encoder": encoder_fingerprint(config.encoder)} if config.encoder else {}),
        **data,
        **{f"tasks.{task.name}": task.fingerprint for task in tasks},
    }


def run_id(config: RunConfig, fingerprints: dict[str, str]) -> str:
    """Name a run.

    The hash covers the model's weights and the data's content by fingerprint, so the same files in
    another folder are the same run. The slug names the ablation's value, or the method where there
    is no ablation.

    Args:
        config: The run.
        fingerprints: What `fingerprints` returned.
    """
    digest = _digest(_determining(config), fingerprints)[:_HASH_CHARACTERS]
    return f"{slug(config)}-{digest}"


def config_id(config: RunConfig, fingerprints: dict[str, str]) -> str:
    """Name what determines a run's numbers but the seed: the runs of one configuration share it."""
    return _digest(_drop(_determining(config), "seed"), fingerprints)[:_HASH_CHARACTERS]


def settings(config: RunConfig, fingerprints: dict[str, str]) -> dict[str, Cell]:
    """Return what `config_id` is the hash of, by dotted key; hashes of contents stand under `fingerprint.`."""
    contents = {
        FINGERPRINT + name: hash_[:_HASH_CHARACTERS] for name, hash_ in fingerprints.items()
    }
    return _flat(_drop(_determining(config), "seed")) | contents


def given_settings(config: RunConfig, overrides: Sequence[str]) -> dict[str, Cell]:
    """Return the keys that a run was given on the command line or by its ablation, with their values.

    Args:
        config: The run.
        overrides: What Hydra composed it from, such as `train.epochs=3`, `method@language=lora-l` and
            `~data@controls.source`. What says only where and how often to run is left out.
    """
    flat = _flat(to_plain(config))
    given: dict[str, Cell] = {}
    for word in overrides:
        match = _OVERRIDE.fullmatch(word)
        if match is None:
            continue
        key = match["package"] or match["key"].replace("/", ".")
        if key.split(".")[0] not in (*_NOT_DETERMINING, "seed", "hydra"):
            given[key] = flat[key] if key in flat else match["value"]
    return given


def _determining(config: RunConfig) -> dict[str, Any]:
    """Return the configuration without what only describes results, and without the locations of files."""
    determining = _drop(to_plain(config, without_defaults=True), *_NOT_DETERMINING)
    locations = ("llava", "clip", "language", "revision", "clip_revision")
    _drop(determining["model"], "name", *locations, "attention", "quantization", "compile")
    determining["model"] |= as_loaded(config.model)
    for part in (determining["encoder"] or {}).get("parts", []):
        _drop(part, "source", "revision")
    _drop(determining["eval"], "batch_size")
    # Which tasks count in a score is decided over finished runs.
    _drop(determining["tasks"] or {}, "stable")
    tables = [
        task.get("data") or task for task in (determining["tasks"] or {}).get("tasks", {}).values()
    ]
    for data in (determining["data"], *determining["controls"].values(), *tables):
        _drop(data, *PLACES)
    return determining


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Cell]:
    """Flatten nested mappings into dotted keys; lists become their JSON text."""
    flat: dict[str, Cell] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = json.dumps(value) if isinstance(value, list) else value
    return flat


def _digest(determining: dict[str, Any], fingerprints: dict[str, str]) -> str:
    content = json.dumps({**determining, "fingerprints": fingerprints}, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def importance_key(
    config: RunConfig, fingerprints: dict[str, str], compute: Compute, parameters: list[str]
) -> str:
    """Hash what determines the first session's importance: neither rank nor heads nor sparsity.

    Args:
        config: The run.
        fingerprints: Content hash by name.
        compute: Device and precision; two devices may round differently.
        parameters: Names of the weights whose gradient is wanted.
    """
    plain = to_plain(config, without_defaults=True)
    determining = {
        **_put(config),
        "loss": config.loss,
        **{key: plain["train"][key] for key in _LOSS_KEYS if key in plain["train"]},
        "data": _drop(plain["data"], "path", "test_items"),
        "n_options": config.eval.n_options,
        "batch_size": config.train.batch_size,
        "importance_examples": config.train.importance_examples,
        "seed": config.seed,
        "fingerprints": {
            name: fingerprints[name] for name in ("llava", "clip", "data") if name in fingerprints
        },
        "compute": [str(compute.device), compute.precision],
        "parameters": parameters,
    }
    return hashlib.sha256(json.dumps(determining, sort_keys=True).encode()).hexdigest()


def checkpoint_identity(run_id: str, compute: Compute) -> dict[str, Cell]:
    """Return what has to be the same for a training to go on as if it had never been left.

    Args:
        run_id: Name of the run.
        compute: Device and precision.
    """
    return {
        "run": run_id,
        "version": ablate.__version__,
        "device": compute.device.type,
        "precision": compute.precision,
        "threads": torch.get_num_threads(),
    }


def base_weights(config: RunConfig, fingerprints: dict[str, str]) -> str:
    """Hash what the base model's answers depend on: its weights, and how questions and images are put to it."""
    own = {name: print_ for name, print_ in fingerprints.items() if name in ("llava", "clip")}
    return _digest(_put(config), own)


def _put(config: RunConfig) -> dict[str, Any]:
    """Return how the model is loaded, and how questions and images are put to it."""
    model = given_values(config.model)
    put = {key: model[key] for key in ("prompt", "image_aspect") if key in model}
    return put | as_loaded(config.model)


def language_weights(config: RunConfig, fingerprints: dict[str, str]) -> str:
    """Hash what the answers of a frozen language model to questions without images depend on."""
    own = fingerprints.get("language") or fingerprints["llava"]
    how = {"prompt": config.model.prompt, **as_loaded(config.model)}
    return _digest(how, {"language": own})


def slug(config: RunConfig) -> str:
    """Return the readable part of a run's name: letters, digits, dots and dashes."""
    if config.ablation is not None:
        axis = config.ablation.key.rsplit(".", 1)[-1]
        words = f"{axis}-{config.ablation.value}"
        if config.ablation.name != axis:
            words = f"{config.ablation.name}-{words}"
    else:
        words = config.method.name
    cleaned = re.sub(r"[^A-Za-z0-9.]+", "-", words).strip("-.")[:60]
    return f"{cleaned}-seed{config.seed}"


def _drop(values: dict[str, Any], *keys: str) -> dict[str, Any]:
    """Remove keys in place."""
    for key in keys:
        values.pop(key, None)
    return values
