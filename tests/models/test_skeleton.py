"""A model without weights has the parameters and buffers that the loaded one has."""

import pytest
import torch
from tests.methods.sessions import run_config

from ablate.models.compute import Compute
from ablate.models.conversation import resolved
from ablate.models.held import load_vlm
from ablate.models.skeleton import vlm_skeleton

INSTRUCT = ("method=frozen", "data=shapes-instruct", "method@language=full-l")
RUNS = {
    "a LLaVA and its CLIP": (),
    "two encoders in one": ("model=tiny-lm", "encoder=tiny-dino-siglip", *INSTRUCT),
    "raw patches": ("model=tiny-lm", "encoder=tiny-patches", *INSTRUCT),
}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("case", RUNS)
def test_it_is_the_loaded_model_but_for_content(case, precision):
    config = run_config(*RUNS[case])
    compute = Compute(torch.device("cpu"), precision)
    loaded = load_vlm(config, compute)
    skeleton = vlm_skeleton(resolved(config.model), config.encoder, compute.frozen_dtype)

    def layout(vlm):
        tensors = {**dict(vlm.named_parameters()), **dict(vlm.named_buffers())}
        return {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}

    assert layout(skeleton) == layout(loaded)
    assert all(tensor.is_meta for tensor in (*skeleton.parameters(), *skeleton.buffers()))
    assert skeleton.n_image_tokens == loaded.n_image_tokens
    assert not any(parameter.requires_grad for parameter in skeleton.parameters())
    assert skeleton.device.type == "meta"
