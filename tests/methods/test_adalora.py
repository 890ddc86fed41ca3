"""AdaLoRA: ranks are moved, their mean ends at the given rank, and the file holds what is left."""

from dataclasses import replace

import pytest
import torch
from tests.methods.sessions import RANK, method_config, task, weights

from ablate.config.errors import ConfigError
from ablate.methods.build import build_method

pytestmark = pytest.mark.numerical

N_LAYERS = 3 * 6


def trained(vlm, epochs, loss="lm", **options):
    vlm.requires_grad_(False)
    method = build_method(replace(method_config("adalora"), **options), loss)
    made = task(vlm, loss)
    method.attach(vlm, made.session(method, vlm, epochs, seed=0))
    made.train(method, vlm, epochs)
    return method


@pytest.mark.parametrize(
    ("epochs", "final_fraction", "loss"), [(1, 0.0, "lm"), (5, 0.0, "clip"), (3, 0.3, "lm")]
)
def test_the_mean_rank_ends_at_the_rank(epochs, final_fraction, loss, tiny_random_vlm):
    method = trained(tiny_random_vlm, epochs, loss, final_fraction=final_fraction)
    values = {n: p for n, p in method.peft_model.named_parameters() if ".lora_E." in n}
    assert len(values) == N_LAYERS
    assert all(len(p) == 6 for p in values.values())  # zeroed, not removed, while training goes on
    kept = [len(t) for n, t in method.update().items() if n.endswith(".lora_E")]
    assert sum(kept) == N_LAYERS * RANK
    assert all(tensor.is_contiguous() for tensor in method.update().values())


def test_the_file_multiplies_out_to_the_merged_change(tiny_random_vlm):
    before = weights(tiny_random_vlm)
    method = trained(tiny_random_vlm, epochs=3, alpha=10.0)
    stored = method.update()
    method.merge()
    after = weights(tiny_random_vlm)
    layers = {name.rpartition(".")[0] for name in stored}
    assert len(layers) == N_LAYERS
    for layer in layers:
        change = (stored[f"{layer}.lora_B"] * stored[f"{layer}.lora_E"].T) @ stored[
            f"{layer}.lora_A"
        ]
        name = layer.removeprefix("base_model.model.") + ".weight"
        torch.testing.assert_close(
            after[name] - before[name], 10.0 / RANK * change, rtol=1e-3, atol=1e-6
        )


def test_the_penalty_is_the_mean_distance_from_orthogonality(tiny_random_vlm):
    tiny_random_vlm.requires_grad_(False)
    method = build_method(method_config("adalora"), "lm")
    made = task(tiny_random_vlm, "lm")
    method.attach(tiny_random_vlm, made.session(method, tiny_random_vlm, 2, seed=0))
    parameters = dict(method.peft_model.named_parameters())
    right = [p.detach().double() for n, p in parameters.items() if ".lora_A." in n]
    left = [p.detach().double().T for n, p in parameters.items() if ".lora_B." in n]
    distances = [((m @ m.T - torch.eye(6)) ** 2).sum().sqrt() for m in (*right, *left)]
    expected = 0.5 * sum(distances) / len(distances)
    torch.testing.assert_close(method.penalty().double(), expected, rtol=1e-5, atol=0)


def test_a_single_step_is_too_few(tiny_random_vlm):
    method = build_method(method_config("adalora"), "lm")
    session = replace(
        task(tiny_random_vlm, "lm").session(method, tiny_random_vlm, 1, 0), total_steps=1
    )
    with pytest.raises(ConfigError, match=r"1 optimiser step.*Fix: train\.epochs=2"):
        method.attach(tiny_random_vlm, session)
