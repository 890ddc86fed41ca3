"""Ways of running a step: checkpointing, autocast, shared products, what is decayed."""

import copy

import pytest
import torch
from peft import get_peft_model
from tests.methods.lorsu import towers
from torch.nn import functional

from ablate.methods.lorsu import LorsuConfig, parameter_groups, select
from ablate.methods.lorsu.sparse_linear import sparse_linear

pytestmark = [
    pytest.mark.numerical,
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning"),
]


def adapted(variant="clip", dtype=torch.float64, seed=0, **options):
    small = {"r": 3, "alpha": 6, "top_k_heads": 2, "sparsity": 0.1, "selection": "random"}
    config = LorsuConfig.published(variant, **{**small, "init_seed": 0, **options})
    model = get_peft_model(towers.clip_encoder(seed).to(dtype), config)
    select(model)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad and "entries" not in name:
                parameter.add_(0.1)
    return model


def gradients(model, images, **kwargs):
    model.zero_grad()
    with torch.autocast("cpu", **kwargs) if kwargs else torch.enable_grad():
        features, hidden = model(images)
    (features.float().square().mean() + hidden.float().square().mean()).backward()
    return {name: value.grad for name, value in model.named_parameters() if value.requires_grad}


def dense_sparse_linear(x, weight, bias, entries, indices):
    filled = weight.flatten().index_put((indices.long(),), entries).view_as(weight)
    return functional.linear(x, filled, bias)


@pytest.mark.parametrize("with_bias", [False, True])
def test_sparse_linear_has_the_gradients_of_the_dense_product(with_bias):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(4, 5, generator=generator, dtype=torch.float64)
    entries = torch.randn(6, generator=generator, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(4, generator=generator, dtype=torch.float64).requires_grad_()
    bias = bias if with_bias else None
    indices = torch.tensor([0, 3, 7, 8, 13, 19], dtype=torch.int32)
    before = weight.clone()
    assert torch.autograd.gradcheck(
        lambda *inputs: sparse_linear(inputs[0], weight, bias, inputs[1], indices), (x, entries)
    )
    inputs = [value for value in (x, entries, bias) if value is not None]
    ours = sparse_linear(x, weight, bias, entries, indices)
    dense = dense_sparse_linear(x, weight, bias, entries, indices)
    assert torch.equal(ours, dense)
    for found, expected in zip(
        torch.autograd.grad(ours.sin().sum(), inputs),
        torch.autograd.grad(dense.sin().sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-13)
    assert torch.equal(weight, before)
    single = sparse_linear(x[0, 0], weight, bias, entries, indices)
    torch.testing.assert_close(single, dense[0, 0])
    assert torch.autograd.grad(single.sum(), entries)[0].shape == entries.shape


@pytest.mark.parametrize("variant", ["clip", "lm"])
@pytest.mark.parametrize("use_reentrant", [False, True])
def test_checkpointing_changes_no_gradient(variant, use_reentrant):
    model = adapted(variant)
    images = towers.images(0)
    expected = gradients(model, images)
    tower = model.get_base_model().vision_model
    tower.activation_checkpointing_enable({"use_reentrant": use_reentrant})
    tower.train()
    tower.get_input_embeddings().register_forward_hook(lambda *args: args[-1].requires_grad_())
    for name, found in gradients(model, images).items():
        torch.testing.assert_close(found, expected[name], rtol=0, atol=1e-14)


@pytest.mark.parametrize("variant", ["clip", "lm"])
def test_autocast_computes_in_its_type_and_keeps_trainables_in_float32(variant):
    model = adapted(variant, torch.float32)
    images = towers.images(0).float()
    exact = gradients(model, images)
    rounded = gradients(model, images, dtype=torch.bfloat16)
    norm = sum(value.square().sum() for value in exact.values()).sqrt()
    error = sum((rounded[name] - value).square().sum() for name, value in exact.items()).sqrt()
    assert error < 0.05 * norm
    assert all(value.dtype == torch.float32 for value in rounded.values())
    x = torch.randn(2, 3, 16)
    layer = model.get_base_model().vision_model.encoder.layers[0].mlp.fc1
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16


def test_half_precision_tower_has_float32_trainables():
    model = adapted("lm", torch.bfloat16)
    trained = [value for value in model.parameters() if value.requires_grad]
    assert all(value.dtype == torch.float32 for value in trained)
    found = gradients(model, towers.images(0).bfloat16())
    assert all(value.isfinite().all() for value in found.values())
    output = model(towers.images(0).bfloat16())[1]
    merged = model.merge_and_unload()(towers.images(0).bfloat16())[1]
    torch.testing.assert_close(merged, output, rtol=0.05, atol=0.3)


def count_products(model, images, monkeypatch):
    shared, plain = [], functional.linear
    right = next(
        value for name, value in model.named_parameters() if "0.self_attn.q_proj.lorsu_A" in name
    )
    monkeypatch.setattr(
        functional,
        "linear",
        lambda x, weight, *rest: shared.append(weight is right) or plain(x, weight, *rest),
    )
    with torch.no_grad():
        model(images)
    monkeypatch.undo()
    return sum(shared)


def test_one_product_serves_q_k_and_v(monkeypatch):
    assert count_products(adapted("clip"), towers.images(0), monkeypatch) == 1


def test_shared_product_follows_its_input_and_matrix():
    model = adapted("clip")
    attention = model.get_base_model().vision_model.encoder.layers[0].self_attn
    x = torch.randn(2, 5, 16, dtype=torch.float64)
    first = attention.q_proj(x)
    with torch.no_grad():
        attention.q_proj.lorsu_A["default"].add_(1.0)
    fresh = copy.deepcopy(attention)
    assert torch.equal(attention.k_proj(x), fresh.k_proj(x.clone()))
    assert not torch.equal(attention.q_proj(x), first)
    x.add_(1.0)
    assert torch.equal(attention.v_proj(x), fresh.v_proj(x.clone()))


def test_shared_product_outlives_no_forward_pass():
    model = adapted("clip")
    model(towers.images(0))
    assert all(getattr(module, "_product", None) is None for module in model.modules())


def test_only_matrices_and_entries_are_decayed():
    model = adapted("clip")
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    optimizer = torch.optim.SGD(parameter_groups(model.named_parameters(), 0.5), lr=0.1)
    for value in model.parameters():
        value.grad = torch.zeros_like(value) if value.requires_grad else None
    optimizer.step()
    for name, value in model.named_parameters():
        decayed = any(part in name for part in ("lorsu_A", "lorsu_B", "lorsu_entries"))
        torch.testing.assert_close(value, before[name] * (0.95 if decayed else 1.0))


def test_optimizer_state_is_proportional_to_what_is_trained():
    model = adapted("lm")
    gradients(model, towers.images(0))
    optimizer = torch.optim.AdamW(parameter_groups(model.named_parameters(), 0.1), lr=0.1)
    optimizer.step()
    moments = sum(
        value.numel()
        for state in optimizer.state.values()
        for value in state.values()
        if value.dim()
    )
    trained = sum(value.numel() for value in model.parameters() if value.requires_grad)
    assert moments == 2 * trained
    frozen = [value for value in model.parameters() if not value.requires_grad]
    assert all(value.grad is None for value in frozen)
