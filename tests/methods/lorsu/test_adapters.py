"""What peft promises of a method: files, merging, switching off, several adapters."""

import copy

import pytest
import torch
from peft import PeftModel, get_peft_model
from safetensors import safe_open
from tests.methods.lorsu import towers

from ablate.config.errors import ConfigError
from ablate.methods.lorsu import LorsuConfig, parameter_groups, select

pytestmark = [
    pytest.mark.numerical,
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning"),
]

VARIANTS = ("clip", "lm")


def config(variant, **options):
    small = {"r": 3, "alpha": 6, "top_k_heads": 2, "sparsity": 0.1, "selection": "random"}
    return LorsuConfig.published(variant, **{**small, "init_seed": 0, **options})


def output(model, seed=0):
    with torch.no_grad():
        return torch.cat([part.flatten() for part in model(towers.images(seed))])


def train(model, n_steps=3, weight_decay=0.1):
    groups = parameter_groups(model.named_parameters(), weight_decay)
    optimizer = torch.optim.AdamW(groups, lr=0.05)
    for step in range(n_steps):
        optimizer.zero_grad()
        features, hidden = model(towers.images(step))
        (features.square().mean() + hidden.square().mean()).backward()
        optimizer.step()
    return model


def adapted(variant, trained=True, **options):
    model = get_peft_model(towers.clip_encoder(0), config(variant, **options))
    select(model)
    return train(model) if trained else model


def weights(network):
    return {name: value.detach().clone() for name, value in network.named_parameters()}


@pytest.mark.parametrize("variant", VARIANTS)
def test_update_is_zero_at_initialisation(variant):
    network = towers.clip_encoder(0)
    before, plain = weights(network), output(network)
    model = get_peft_model(network, config(variant))
    select(model)
    assert torch.equal(output(model), plain)
    merged = model.merge_and_unload()
    assert all(torch.equal(value, before[name]) for name, value in weights(merged).items())


@pytest.mark.parametrize("variant", VARIANTS)
def test_file_holds_the_whole_adapter(variant, tmp_path):
    model = adapted(variant)
    model.save_pretrained(tmp_path)
    with safe_open(tmp_path / "adapter_model.safetensors", "pt") as file:
        names = list(file.keys())
    assert any(name.endswith("fc1.lorsu_indices") for name in names)
    assert any(name.endswith("q_proj.lorsu_heads") for name in names)
    for low_memory in (False, True):
        loaded = PeftModel.from_pretrained(
            towers.clip_encoder(0), tmp_path, low_cpu_mem_usage=low_memory
        )
        assert torch.equal(output(loaded), output(model))
        assert torch.equal(
            output(loaded.merge_and_unload()), output(copy.deepcopy(model).merge_and_unload())
        )


def test_loaded_adapter_trains_on_as_the_saved_one(tmp_path):
    model = adapted("clip")
    model.save_pretrained(tmp_path)
    loaded = PeftModel.from_pretrained(towers.clip_encoder(0), tmp_path, is_trainable=True)
    assert torch.equal(output(train(loaded)), output(train(model)))


@pytest.mark.parametrize("variant", VARIANTS)
def test_merging_changes_no_output_and_unmerging_restores_every_bit(variant):
    model = adapted(variant)
    trained, before = output(model), weights(model)
    model.merge_adapter()
    torch.testing.assert_close(output(model), trained, rtol=0, atol=1e-12)
    assert any(not torch.equal(value, before[name]) for name, value in weights(model).items())
    model.unmerge_adapter()
    assert all(torch.equal(value, before[name]) for name, value in weights(model).items())
    assert torch.equal(output(model), trained)


@pytest.mark.parametrize("variant", VARIANTS)
def test_disabled_adapter_is_the_base_model(variant):
    plain = output(towers.clip_encoder(0))
    model = adapted(variant)
    trained = output(model)
    assert not torch.equal(trained, plain)
    with model.disable_adapter():
        assert torch.equal(output(model), plain)
    assert torch.equal(output(model), trained)
    model.merge_adapter()
    with model.disable_adapter():
        assert torch.equal(output(model), plain)
    assert torch.equal(output(model.unload()), plain)


def test_adapters_do_not_touch_each_other(tmp_path):
    alone = output(adapted("clip"))
    model = adapted("clip")
    other = config("lm", r=2, selection_seed=9, init_seed=4)
    model.add_adapter("other", other)
    assert torch.equal(output(model), alone)
    select(model, adapter_name="other")
    model.set_adapter("other")
    train(model)
    second = output(model)
    reference = get_peft_model(towers.clip_encoder(0), copy.deepcopy(other))
    select(reference)
    assert torch.equal(second, output(train(reference)))
    model.set_adapter("default")
    assert torch.equal(output(model), alone)

    model.save_pretrained(tmp_path)
    loaded = PeftModel.from_pretrained(towers.clip_encoder(0), tmp_path)
    loaded.load_adapter(tmp_path / "other", "other")
    loaded.set_adapter("other")
    assert torch.equal(output(loaded), second)
    model.delete_adapter("other")
    assert torch.equal(output(model), alone)
    assert not any(".other" in name for name in model.state_dict())


def test_several_active_adapters_add_up():
    model = adapted("clip")
    model.add_adapter("other", config("lm", selection="first", init_seed=4))
    select(model, adapter_name="other")
    model.set_adapter("other")
    train(model)
    layers = {
        name: module
        for name, module in model.get_base_model().named_modules()
        if hasattr(module, "lorsu_bias")
    }
    expected = {
        name: layer.base_layer.weight
        + sum(
            layer.get_delta_weight(adapter)
            for adapter in ("default", "other")
            if adapter in layer.selected
        )
        for name, layer in layers.items()
    }
    model.base_model.set_adapter(["default", "other"])
    both = output(model)
    model.merge_adapter(["default"])
    with pytest.warns(UserWarning, match="additionally merging"):
        model.merge_adapter(["other"])
    torch.testing.assert_close(output(model), both, rtol=0, atol=1e-12)
    for name, layer in layers.items():
        torch.testing.assert_close(layer.base_layer.weight, expected[name], rtol=0, atol=1e-12)
    before = weights(towers.clip_encoder(0))
    model.unmerge_adapter()
    for name, layer in layers.items():
        assert torch.equal(layer.base_layer.weight, before[f"{name}.weight"])


def test_unselected_adapter_is_refused():
    model = get_peft_model(towers.clip_encoder(0), config("lm"))
    for use in (lambda: output(model), model.merge_adapter):
        with pytest.raises(ConfigError, match="no heads and entries yet"):
            use()
    with model.disable_adapter():
        output(model)


def test_merging_with_a_check_refuses_what_is_not_finite():
    model = adapted("lm")
    before = weights(model)
    layer = next(module for module in model.modules() if hasattr(module, "lorsu_entries"))
    with torch.no_grad():
        layer.lorsu_entries["default"][0] = torch.nan
    with pytest.raises(ValueError, match="not finite"):
        layer.merge(safe_merge=True)
    assert not layer.merged
    assert torch.equal(
        layer.base_layer.weight,
        before[next(n for n in before if n.endswith("fc1.base_layer.weight"))],
    )


def test_copies_are_independent():
    model = adapted("clip")
    duplicate = copy.deepcopy(model)
    before = output(model)
    train(duplicate)
    assert torch.equal(output(model), before)
    assert not torch.equal(output(duplicate), before)


def test_selecting_again_starts_from_the_base_model():
    model = adapted("clip")
    select(model)
    assert torch.equal(output(model), output(towers.clip_encoder(0)))


@pytest.mark.parametrize("variant", VARIANTS)
def test_initial_matrices_depend_on_their_seed_alone(variant):
    def trained(model):
        return {name: value for name, value in model.named_parameters() if value.requires_grad}

    first = trained(adapted(variant, trained=False))
    torch.rand(5)
    again = trained(adapted(variant, trained=False))
    other = trained(adapted(variant, trained=False, init_seed=1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)
    side = {"clip": ".lorsu_B.", "lm": ".lorsu_A."}[variant]
    for name, value in first.items():
        if "visual_projection" in name:
            assert (value.abs().sum() > 0) == (".lorsu_A." in name)
            assert value.abs().max() <= 3**-0.5  # 1 / sqrt(r)
        elif ".lorsu_A." in name or ".lorsu_B." in name:
            assert (value.abs().sum() > 0) == (side in name)
            assert value.abs().max() <= value.shape[1] ** -0.5


def test_works_on_the_joint_model(tiny_random_vlm):
    options = {"tower": "vision_tower", "projections": ["visual_projection"], "selection": "first"}
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = tiny_random_vlm.clip_image_features(images)
    model = get_peft_model(tiny_random_vlm, config("clip", **options))
    select(model)
    assert torch.equal(tiny_random_vlm.clip_image_features(images), before)
    names = [name for name, value in model.named_parameters() if value.requires_grad]
    assert all("vision_tower" in name or "visual_projection" in name for name in names)
    optimizer = torch.optim.Adam(parameter_groups(model.named_parameters(), 0.0), lr=0.01)
    model.clip_image_features(images).sum().backward()
    optimizer.step()
    after = tiny_random_vlm.clip_image_features(images)
    assert not torch.equal(after, before)
    merged = model.merge_and_unload()
    assert merged is tiny_random_vlm
    torch.testing.assert_close(merged.clip_image_features(images), after)
    assert not any("lorsu" in name for name in merged.state_dict())
