"""The documented formula against real counts, up to CLIP ViT-L/14-336 at full size."""

import gc

import pytest
import torch
from peft import get_peft_model
from tests.methods.lorsu import towers
from torch.nn import functional
from transformers import CLIPConfig, CLIPModel, CLIPTextConfig, CLIPVisionConfig
from transformers.initialization import no_init_weights

from ablate.methods.lorsu import (
    LorsuConfig,
    parameter_groups,
    select,
    tower_shape,
    trainable_scalars,
    training_bytes,
)

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")


def trained(model):
    return [value for value in model.parameters() if value.requires_grad]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"fused_qkv": True},
        {"top_k_heads": 0, "train_qkv_bias": True},
        {"sparsity": 0.0},
        {"sparsity": 1.0, "train_fc1_bias": False},
        {"blocks": 1, "blocks_from": "last"},
    ],
)
@pytest.mark.parametrize("build", [towers.clip, towers.siglip, towers.vit, towers.llama])
def test_formula_counts_what_is_trained(build, options):
    network = build()
    config = LorsuConfig(**{"r": 3, "top_k_heads": 1, "sparsity": 0.13, **options})
    expected = trainable_scalars(config, tower_shape(network, config))
    assert sum(value.numel() for value in trained(get_peft_model(network, config))) == expected


def test_formula_counts_projections():
    network = towers.clip_encoder(0)
    config = LorsuConfig.published("clip", r=3)
    expected = trainable_scalars(config, tower_shape(network, config))
    assert sum(value.numel() for value in trained(get_peft_model(network, config))) == expected


def full_size_clip():
    """Build openai/clip-vit-large-patch14-336 from its sizes, with cheap random weights."""
    text = CLIPTextConfig(
        hidden_size=768, intermediate_size=3072, num_attention_heads=12, projection_dim=768
    )
    vision = CLIPVisionConfig(
        hidden_size=1024,
        intermediate_size=4096,
        num_attention_heads=16,
        num_hidden_layers=24,
        image_size=336,
        patch_size=14,
        projection_dim=768,
    )
    with no_init_weights():
        model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=768))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1:
                parameter.fill_(1.0 if "norm" in name and name.endswith("weight") else 0.0)
            else:
                parameter.uniform_(-0.03, 0.03)
        model.logit_scale.fill_(2.0)
    return model


@pytest.fixture(scope="module")
def clip_model():
    yield full_size_clip()
    gc.collect()


def clip_loss(model, images):
    """Loss of telling one of three prompts of random tokens by the frozen text tower."""
    prompts = torch.randint(3, 40000, (3, 8), generator=torch.Generator().manual_seed(1))
    prompts[:, -1] = 49407
    with torch.no_grad():
        texts = model.text_projection(model.text_model(input_ids=prompts).pooler_output)
    pooled = model.vision_model(pixel_values=images, interpolate_pos_encoding=True).pooler_output
    features = functional.normalize(model.visual_projection(pooled), dim=-1)
    logits = model.logit_scale.exp() * features @ functional.normalize(texts, dim=-1).t()
    return functional.cross_entropy(logits, torch.zeros(len(images), dtype=torch.int64))


def lm_loss(model, images):
    """Loss on the features that LLaVA reads."""
    output = model.vision_model(
        pixel_values=images, output_hidden_states=True, interpolate_pos_encoding=True
    )
    return output.hidden_states[-2][:, 1:].square().mean()


FULL_SIZE = {
    "clip": {
        "loss_fn": clip_loss,
        "weight_decay": 0.0,
        "blocks": 24,
        # 24 * (64 * (1024 + 2 * 192) + 419430 + 3072 + 4096) + 64 * (1024 + 768)
        "scalars": 12_515_728,
    },
    "lm": {
        "loss_fn": lm_loss,
        "weight_decay": 0.01,
        "blocks": 23,
        # 23 * (64 * (3 * 1024 + 2 * 192) + 419430 + 4096)
        "scalars": 14_828_330,
    },
}


@pytest.mark.parametrize("loss", FULL_SIZE)
def test_a_step_at_full_size_costs_what_the_formula_says(clip_model, loss):
    case = FULL_SIZE[loss]
    config = LorsuConfig.published(
        loss,
        r=64,
        alpha=64,
        top_k_heads=2,
        sparsity=0.1,
        blocks=case["blocks"],
        tower="vision_model",
        selection="first",
        init_seed=0,
    )
    shape = tower_shape(clip_model, config)
    expected = training_bytes(config, shape)
    fc1 = clip_model.vision_model.encoder.layers[0].mlp.fc1.weight
    base, frozen = fc1.detach().clone(), clip_model.text_projection.weight.detach().clone()

    model = get_peft_model(clip_model, config)
    select(model)
    # Nothing that is counted here grows with the image: a small one is as good.
    images = torch.randn(1, 3, 56, 56, generator=torch.Generator().manual_seed(0))
    optimizer = torch.optim.AdamW(
        parameter_groups(model.named_parameters(), case["weight_decay"]), lr=1e-5
    )
    loss_value = case["loss_fn"](model, images)
    loss_value.backward()
    optimizer.step()

    assert loss_value.isfinite()
    parameters = trained(model)
    assert sum(value.numel() for value in parameters) == case["scalars"]
    assert trainable_scalars(config, shape) == case["scalars"]
    assert sum(value.nbytes for value in parameters) == expected.parameter_bytes
    assert sum(value.grad.nbytes for value in parameters) == expected.gradient_bytes
    state = [tensor for entry in optimizer.state.values() for tensor in entry.values()]
    assert sum(value.nbytes for value in state if value.dim()) == expected.optimizer_bytes
    indices = [value for name, value in model.named_buffers() if ".lorsu_" in name]
    assert sum(value.nbytes for value in indices) == expected.index_bytes

    del optimizer, state, loss_value
    merged = model.merge_and_unload()
    changed = merged.vision_model.encoder.layers[0].mlp.fc1.weight != base
    n_entries = config.n_entries(base.numel())
    assert not changed.flatten()[n_entries:].any()
    assert changed.sum() > 0.9 * n_entries
    assert torch.equal(merged.text_projection.weight, frozen)
