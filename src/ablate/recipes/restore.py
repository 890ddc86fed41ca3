"""A finished run's model again: the base model with the run's update merged."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml
from safetensors.torch import load_file
from torch import Tensor

from ablate.config.reading import read_plain
from ablate.models.compute import choose_compute
from ablate.models.held import load_vlm
from ablate.models.vlm import VisionLanguageModel
from ablate.recipes.build import stages_of
from ablate.training.stage import Stage, replay_stage


def restore(run_folder: str | Path, device: str = "auto") -> VisionLanguageModel:
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
    run_folder = Path(run_folder)
    text = (run_folder / "config.yaml").read_text(encoding="utf-8")
    config = read_plain(yaml.safe_load(text))
    vlm = load_vlm(config, choose_compute(device, config.precision))
    for _ in replay(stages_of(config, None), vlm, run_folder / "adapter.safetensors", config.seed):
        pass
    return vlm


def replay(
    stages: list[Stage], vlm: VisionLanguageModel, adapter: Path, seed: int
) -> Iterator[Mapping[str, Tensor]]:
    """Merge a run's update into its base model, stage by stage.

    Args:
        stages: Of the run.
        vlm: Its base model, frozen; it is changed in place.
        adapter: The run's adapter.safetensors; a run that trained nothing has none.
        seed: The run's seed.

    Yields:
        Every stage's update, once it is merged and the model is frozen, but for stages that only prepare another.
    """
    tensors = load_file(adapter) if adapter.exists() else {}
    for stage in stages:
        if (prefix := stage.prefix) is not None:
            own = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
            replay_stage(stage, vlm, own, seed)
            yield own
