"""Gradient checkpointing trades time for memory: every block is passed twice, and no number changes."""

import copy
from dataclasses import replace

import pytest
import torch
from tests.methods.sessions import FP32, method_config, recipe, task

from ablate.methods.build import build_method
from ablate.telemetry.cost import Stopwatch
from ablate.telemetry.interruption import SafePoints
from ablate.training.importance import ImportanceCache
from ablate.training.saving import Saving
from ablate.training.stage import Examples, Stage, run_stage

STEPS, BATCHES_OF_IMPORTANCE = 4, 2


def update_of(vlm, name, loss, checkpointing):
    """Run a stage; return its update, and how often it passed the language model's first block."""
    vlm.requires_grad_(False)
    passes = []
    block = vlm.llava.model.language_model.layers[0]
    block.self_attn.register_forward_pre_hook(lambda *_: passes.append(1))
    stage = Stage(
        label="train",
        method=build_method(method_config(name), loss),
        train=replace(recipe(epochs=2), gradient_checkpointing=checkpointing),
        examples=lambda vlm: Examples(task(vlm, loss).loss, None),
        prefix="",
        starts_from_base=False,
    )
    cache = ImportanceCache(None, lambda _names: "")  # a stage on a trained model has none
    unsaved = Saving(SafePoints(None, None), lambda _state: None, None, at_end=False)
    watch = Stopwatch(FP32.device)
    update = run_stage(stage, vlm, FP32, 0, watch, cache, lambda _table: None, unsaved).update
    assert not vlm.llava.is_gradient_checkpointing
    return update, len(passes)


# transformers 5.23 has new names for these; 5.20 has not.
@pytest.mark.filterwarnings("ignore:`(is_)?gradient_checkpointing:FutureWarning")
@pytest.mark.parametrize(("name", "loss"), [("lorsu", "lm"), ("lora", "lm"), ("lorsu", "clip")])
def test_recomputing_changes_no_bit(name, loss, tiny_random_vlm):
    kept, passes = update_of(copy.deepcopy(tiny_random_vlm), name, loss, checkpointing=False)
    recomputed, twice = update_of(tiny_random_vlm, name, loss, checkpointing=True)
    assert kept.keys() == recomputed.keys()
    assert all(torch.equal(tensor, recomputed[key]) for key, tensor in kept.items())
    expected = STEPS + (BATCHES_OF_IMPORTANCE if name == "lorsu" else 0)
    assert (passes, twice) == ((expected, 2 * expected) if loss == "lm" else (0, 0))
