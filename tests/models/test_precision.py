"""In half precision the language model is rounded, and nothing that is trained or that CLIP reads."""

import torch
from safetensors import safe_open
from tests.models.encoders import small

from ablate.models.compute import Compute
from ablate.models.loading import load_model


def test_the_image_encoder_is_loaded_as_it_was_saved(model_folder):
    config = small.model(llava=str(model_folder), clip=str(model_folder / "clip"))
    half = load_model(config, Compute(torch.device("cpu"), "bf16"))
    whole = dict(load_model(config, small.FP32).named_parameters())
    types = {}
    for name, parameter in half.named_parameters():
        part = name.split(".")[2] if name.startswith("llava.model") else name.split(".")[0]
        types.setdefault(part, set()).add(parameter.dtype)
        if parameter.dtype == torch.float32:
            assert torch.equal(parameter, whole[name]), name
    half_types, full = {torch.bfloat16}, {torch.float32}
    assert types == {
        "vision_tower": full,
        "clip": full,
        "multi_modal_projector": half_types,
        "language_model": half_types,
        "llava": half_types,  # the output layer
    }
    # The random weights are none that bfloat16 has.
    with safe_open(model_folder / "model.safetensors", framework="pt") as tensors:
        name = next(name for name in tensors.keys() if "fc1.weight" in name)  # noqa: SIM118  # not a mapping
        saved = tensors.get_tensor(name)
    assert not torch.equal(saved, saved.bfloat16().float())
