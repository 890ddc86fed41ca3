"""Several methods at once: each trains its own part, and all of it comes back from the update."""

import pytest
import torch
from tests.conftest import build_tiny_random_vlm
from tests.methods.sessions import method_config, outputs, recipe, task, weights

from ablate.methods.build import build_method
from ablate.methods.full import Full
from ablate.methods.joint import Joint
from ablate.models.parts import part_of
from ablate.training.optimizer import build_optimizer

pytestmark = pytest.mark.numerical

PAIRS = [
    ("frozen", "full-l"),
    ("full", "lora-l"),
    ("lora", "lora-l"),
    ("lorsu", "full-l"),
    ("lorsu", "lora-l"),
    ("ewc", "frozen"),
]


def joint(encoder: str, language: str) -> Joint:
    return Joint(
        {
            "encoder": build_method(method_config(encoder), "lm"),
            "language_model": build_method(method_config(language), "lm"),
            "projector": Full("projector", 1.0),
        }
    )


def n_trained(vlm) -> dict[str | None, int]:
    counts: dict[str | None, int] = {}
    for name, parameter in vlm.named_parameters():
        if parameter.requires_grad:
            counts[part_of(name)] = counts.get(part_of(name), 0) + parameter.numel()
    return counts


def alone(name: str) -> dict[str | None, int]:
    vlm = build_tiny_random_vlm().requires_grad_(False)
    method = build_method(method_config(name), "lm")
    method.attach(vlm, task(vlm, "lm").session(method, vlm, epochs=2, seed=0))
    return n_trained(vlm)


@pytest.mark.parametrize(("encoder", "language"), PAIRS)
def test_each_part_is_trained_by_its_own_method(encoder, language, tiny_random_vlm):
    vlm = tiny_random_vlm.requires_grad_(False)
    before = outputs(vlm)
    method = joint(encoder, language)
    method.attach(vlm, task(vlm, "lm").session(method, vlm, epochs=2, seed=0))
    assert torch.equal(outputs(vlm), before)
    projector = sum(p.numel() for p in vlm.llava.model.multi_modal_projector.parameters())
    assert n_trained(vlm) == {"projector": projector, **alone(encoder), **alone(language)}


def test_what_a_method_measures_beside_others_is_what_it_measures_alone(tiny_random_vlm):
    method, alone_ = joint("ewc", "full-l"), build_method(method_config("ewc"), "lm")
    for one, vlm in ((method, tiny_random_vlm), (alone_, build_tiny_random_vlm())):
        vlm.requires_grad_(False)
        one.attach(vlm, task(vlm, "lm").session(one, vlm, epochs=1, seed=0))
    beside, by_itself = method.state_dict()["encoder"]["fisher"], alone_.state_dict()["fisher"]
    assert beside.keys() == by_itself.keys()
    for name, values in by_itself.items():
        torch.testing.assert_close(beside[name], values)


@pytest.mark.parametrize(("encoder", "language"), PAIRS)
def test_the_update_alone_gives_the_trained_model_back(encoder, language, tiny_random_vlm):
    vlm = tiny_random_vlm.requires_grad_(False)
    method = joint(encoder, language)
    made = task(vlm, "lm")
    method.attach(vlm, made.session(method, vlm, epochs=2, seed=0))
    made.train(method, vlm, epochs=2)
    update = method.update()
    method.merge()
    assert not any(p.requires_grad for p in vlm.parameters())
    trained = weights(vlm)
    other = build_tiny_random_vlm().requires_grad_(False)
    base = weights(other)
    again = joint(encoder, language)
    again.load(other, update, seed=0)
    again.merge()
    for name, tensor in weights(other).items():
        torch.testing.assert_close(tensor, trained[name], rtol=0, atol=1e-6)
    parts = {part_of(n) for n in trained if not torch.equal(trained[n], base[n])}
    wanted = {"encoder": encoder, "language_model": language}
    assert parts == {"projector", *(part for part, name in wanted.items() if name != "frozen")}


def test_every_part_has_its_own_learning_rate(tiny_random_vlm):
    vlm = tiny_random_vlm.requires_grad_(False)
    method = joint("full", "lora-l")
    method.attach(vlm, task(vlm, "lm").session(method, vlm, epochs=1, seed=0))
    config = recipe(1)
    config = type(config)(**{**vars(config), "learning_rate": 0.01, "encoder_learning_rate": 0.002})
    names = {id(parameter): name for name, parameter in vlm.named_parameters()}
    scales = {
        (part_of(names[id(parameter)]), group["scale"])
        for group in build_optimizer(vlm, method, config).param_groups
        for parameter in group["params"]
    }
    full = method_config("full").learning_rate_scale
    assert scales == {("encoder", 0.2 * full), ("projector", 1.0), ("language_model", 1.0)}
