"""A deep frozen language model that is counted by three of its layers takes what all of them take."""

from dataclasses import replace

import pytest
import torch
from tests.conftest import build_tiny_random_vlm
from tests.methods.sessions import method_config, recipe, run_config
from tests.pricing.stages import FP32, stage

from ablate.evaluation.progress import Progress
from ablate.methods.build import build_method
from ablate.models.skeleton import without_content
from ablate.pricing.dry import DryModel
from ablate.pricing.thin import thinned
from ablate.pricing.training import price_stage
from ablate.runner.prepare import prepare

N_LAYERS = 9


@pytest.fixture(scope="module")
def deep():
    """The random model with a language model of many layers, on `meta`."""
    vlm = build_tiny_random_vlm()
    language = vlm.llava.model.language_model
    language.config.num_hidden_layers = N_LAYERS
    language.layers = type(language)(language.config).layers
    return without_content(vlm.requires_grad_(False).eval())


@pytest.mark.filterwarnings("ignore:`gradient_checkpointing_:FutureWarning")
@pytest.mark.parametrize("recomputes", [False, True])
@pytest.mark.parametrize("name", ["lorsu", "ewc"])
def test_a_stage_has_the_same_price(deep, name, recomputes):
    train = replace(recipe(2), gradient_checkpointing=recomputes)
    thin = thinned(deep)
    assert len(thin.llava.model.language_model.layers) == 3
    whole, part = (
        price_stage(stage(build_method(method_config(name), "lm"), "lm", train), vlm, FP32, 0)
        for vlm in (deep, thin)
    )
    for key in ("importance_flops", "measuring_flops", "training_flops", "weight_bytes"):
        assert getattr(part, key) == getattr(whole, key), key
    for key in ("importance_bytes", "peak_bytes"):
        assert getattr(part, key) == pytest.approx(getattr(whole, key), rel=1e-3), key
    assert whole.activation_bytes > 0.1 * whole.peak_bytes


@pytest.mark.parametrize("scoring", ["answers", "generate"])
def test_an_answer_has_the_same_price(deep, scoring):
    run = prepare(run_config(f"data.scoring={scoring}", "data.test_items=32"), [])
    found = []
    for vlm in (deep, thinned(deep)):
        dry = DryModel(without_content(vlm))
        with dry.metered() as meter, torch.inference_mode():
            run.tasks[0].sample(range(32)).evaluate(dry.vlm, run.config.eval, Progress())
        found.append((meter.flops, meter.read_bytes, meter.peak_bytes))
    whole, part = found
    assert part[:2] == whole[:2]
    assert part[2] == pytest.approx(whole[2], rel=1e-3)


def test_layers_that_differ_are_all_counted(deep):
    vlm = without_content(deep)
    vlm.llava.model.language_model.layers[4].mlp.act_fn = torch.nn.ReLU()
    assert thinned(vlm) is vlm
    assert thinned(without_content(build_tiny_random_vlm())) is not deep
