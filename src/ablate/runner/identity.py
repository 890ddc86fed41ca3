"""What a run is called: a readable slug and a hash of everything that determines its numbers."""

import hashlib
import json
import re
from typing import Any

from ablate.config.reading import to_plain
from ablate.config.schema import RunConfig
from ablate.models.compute import Compute

# These change where or how fast a run happens, never its numbers.
_NOT_DETERMINING = ("ablation", "seeds", "name", "output_dir", "force", "device", "save_model")
_HASH_CHARACTERS = 10


def run_id(config: RunConfig, fingerprints: dict[str, str]) -> str:
    """Name a run.

    The hash covers the model's weights and the data's content by fingerprint, so the same files in
    another folder are the same run. The slug names the ablation's value, or the method where there
    is no ablation.

    Args:
        config: The run.
        fingerprints: Content hash by name: of `model`, `data` and each control.
    """
    determining = {
        key: value for key, value in to_plain(config).items() if key not in _NOT_DETERMINING
    }
    _drop(determining["model"], "llava", "clip", "revision")
    _drop(determining["eval"], "batch_size")
    for data in (determining["data"], *determining["controls"].values()):
        _drop(data, "path")
    content = json.dumps({**determining, "fingerprints": fingerprints}, sort_keys=True)
    digest = hashlib.sha256(content.encode()).hexdigest()[:_HASH_CHARACTERS]
    return f"{slug(config)}-{digest}"


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
    plain = to_plain(config)
    determining = {
        "prompt": config.model.prompt,
        "loss": config.loss,
        "data": _drop(plain["data"], "path", "test_items"),
        "n_options": config.eval.n_options,
        "batch_size": config.train.batch_size,
        "seed": config.seed,
        "fingerprints": {name: fingerprints[name] for name in ("llava", "clip", "data")},
        "compute": [str(compute.device), compute.precision],
        "parameters": parameters,
    }
    return hashlib.sha256(json.dumps(determining, sort_keys=True).encode()).hexdigest()


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
