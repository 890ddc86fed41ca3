"""A finished run's model again: the base model with the run's update folded in."""

from collections.abc import Iterator
from pathlib import Path

import yaml
from safetensors.torch import load_file

from ablate.config.reading import read_plain
from ablate.config.schema import InstructionDataConfig, RunConfig
from ablate.methods.build import build_method
from ablate.models.compute import choose_compute
from ablate.models.vlm import VisionLanguageModel
from ablate.runner.adapt import session_prefix
from ablate.runner.instruct import instruction_method
from ablate.runner.load import load_vlm


def restore(run_folder: Path, device: str = "auto") -> VisionLanguageModel:
    """Load the base model of a run and put the run's adapter.safetensors into it.

    Args:
        run_folder: `outputs/<name>/runs/<run_id>`.
        device: Where to load it.

    Returns:
        The adapted model, merged and frozen; `.llava` and `.clip` are plain transformers models.

    Raises:
        ConfigError: If the run's configuration does not fit this version.
        FileNotFoundError: If the folder holds no run.
    """
    text = (run_folder / "config.yaml").read_text(encoding="utf-8")
    config = read_plain(yaml.safe_load(text))
    vlm = load_vlm(config, choose_compute(device, config.precision))
    for _ in replay(config, vlm, run_folder / "adapter.safetensors"):
        pass
    return vlm


def replay(config: RunConfig, vlm: VisionLanguageModel, adapter: Path) -> Iterator[None]:
    """Fold a run's update into its base model, session by session.

    Args:
        config: The run.
        vlm: Its base model, frozen; it is changed in place.
        adapter: The run's adapter.safetensors; a run that trained nothing has none.

    Yields:
        After every session, with its update merged and the model frozen.
    """
    update = load_file(adapter) if adapter.exists() else {}
    if isinstance(config.data, InstructionDataConfig):
        joint = instruction_method(config)
        joint.load(vlm, update, config.seed)
        joint.merge()
        vlm.requires_grad_(False).eval()
        yield
        return
    method = build_method(config.method, config.loss)
    for number in range(config.data.sessions):
        prefix = session_prefix(number, config.data.sessions)
        tensors = {n.removeprefix(prefix): t for n, t in update.items() if n.startswith(prefix)}
        method.load(vlm, tensors, config.seed)
        method.merge()
        vlm.requires_grad_(False).eval()
        yield
