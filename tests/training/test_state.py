"""A training that is taken up again ends as one that was never left; what wraps a model sees its passes."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from tests.methods.sessions import CLASSES, FP32, method_config, recipe, task
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from ablate.config.schema import AugmentConfig
from ablate.evaluation.verbs.zero_shot import prompt_embeddings
from ablate.methods.build import build_method
from ablate.results.tensors import read_tensors, write_tensors
from ablate.telemetry.cost import Stopwatch
from ablate.telemetry.interruption import SafePoints
from ablate.training.augmentation import AugmentedImages
from ablate.training.importance import ImportanceCache
from ablate.training.losses import ContrastiveLoss
from ablate.training.saving import Saving
from ablate.training.stage import Examples, Stage, replay_stage, run_stage

EPOCHS = 3
DRAWING = "clip, drawing"
LOSSES = {"lm": "lm", "clip": "clip", DRAWING: "clip"}


def attached(vlm, name, loss):
    vlm.requires_grad_(False)
    made = task(vlm, loss)
    method = build_method(method_config(name), loss)
    method.attach(vlm, made.session(method, vlm, epochs=EPOCHS, seed=0))
    return method, made.loss


def trained(vlm):
    return {name: p for name, p in vlm.named_parameters() if p.requires_grad}


def drawing(vlm, seed):
    """The CLIP loss with everything in it that is drawn anew each time."""
    levels = np.random.default_rng(seed).integers(0, 256, (8, 20, 24, 3), dtype=np.uint8)
    pictures = [Image.fromarray(level) for level in levels]
    augment = AugmentConfig((0.9, 1.0), 0.8, 0.32, 0.32, 0.32, 0.08, 0.2)
    pixels = AugmentedImages(lambda rows: [pictures[row] for row in rows], augment, 16)
    texts = prompt_embeddings(vlm, CLASSES, ("a {}", "two {}", "{}"))
    return ContrastiveLoss(vlm, pixels, texts[torch.arange(8) % len(CLASSES)])


def stage_of(method, loss, seed=0) -> Stage:
    config = replace(recipe(EPOCHS), schedule="cosine", warmup_fraction=0.2, max_gradient_norm=1.0)

    def examples(vlm):
        own = drawing(vlm, seed) if loss == DRAWING else task(vlm, loss, seed).loss
        return Examples(own, None)

    return Stage("train", method, config, examples, "", starts_from_base=False)


def run_one(stage, vlm, folder, saved=None):
    """Run a stage; keep its state after every step, and at the end, in files that count up."""

    def save(state):
        write_tensors(state, folder / f"state{len(list(folder.glob('state*')))}")

    importance = ImportanceCache(folder, lambda _: "")
    saving = Saving(SafePoints(None, 1), save, saved, at_end=True)
    watch = Stopwatch(FP32.device)
    return run_stage(stage, vlm, FP32, 0, watch, importance, lambda _: None, saving).update


CASES = [
    *((name, "lm") for name in ("lora", "dora", "adalora", "vera", "lorsu", "lorsu-l", "spu")),
    *((name, "lm") for name in ("full", "ewc", "layernorm")),
    *((name, "clip") for name in ("lora", "lorsu", "ewc")),
    *((name, DRAWING) for name in ("lora", "lorsu", "ewc")),
]


@pytest.mark.parametrize(("name", "loss"), CASES)
def test_a_stage_goes_on_where_it_was_left(name, loss, tiny_random_vlm, tmp_path):
    tiny_random_vlm.requires_grad_(False)
    first, second = tmp_path / "first", tmp_path / "second"

    def fresh():
        return build_method(method_config(name), LOSSES[loss]), copy.deepcopy(tiny_random_vlm)

    method, vlm = fresh()
    whole = []
    for seed, folder in enumerate((first, second)):
        folder.mkdir()
        whole.append(run_one(stage_of(method, loss, seed), vlm, folder))
    assert len(list(second.iterdir())) == 2 * EPOCHS + 1
    # Some methods remember the first stage in the second.
    for steps in (1, 4, 6):
        method, vlm = fresh()
        replay_stage(stage_of(method, loss, 0), vlm, whole[0], 0)
        saved = read_tensors(second / f"state{steps - 1}")
        torch.manual_seed(99)
        again = run_one(stage_of(method, loss, 1), vlm, tmp_path, saved)
        assert again.keys() == whole[1].keys()
        assert all(torch.equal(tensor, again[key]) for key, tensor in whole[1].items())
    # A process that finds a stage at its end begins the next one as if it had trained it.
    method, vlm = fresh()
    run_one(stage_of(method, loss, 0), vlm, tmp_path, read_tensors(first / "state6"))
    again = run_one(stage_of(method, loss, 1), vlm, tmp_path)
    assert all(torch.equal(tensor, again[key]) for key, tensor in whole[1].items())


@pytest.fixture
def one_process(tmp_path):
    distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1
    )
    yield
    distributed.destroy_process_group()


@pytest.mark.parametrize("loss", ["lm", "clip"])
@pytest.mark.usefixtures("one_process")
def test_the_hooks_of_data_parallel_training_fire(loss, tiny_random_vlm):
    _, made = attached(tiny_random_vlm, "lora", loss)
    rows = torch.arange(4)
    made(tiny_random_vlm, rows).backward()
    expected = {
        n: p.grad.clone() for n, p in trained(tiny_random_vlm).items() if p.grad is not None
    }
    tiny_random_vlm.zero_grad()
    parallel = DistributedDataParallel(tiny_random_vlm, find_unused_parameters=True)
    reduced: list[int] = []

    def hook(_state, bucket):
        reduced.append(bucket.buffer().numel())
        future = torch.futures.Future()
        future.set_result(bucket.buffer())
        return future

    parallel.register_comm_hook(None, hook)
    made(parallel, rows).backward()
    assert sum(reduced) == sum(p.numel() for p in trained(tiny_random_vlm).values())
    for name, p in trained(tiny_random_vlm).items():
        if name in expected:
            assert torch.equal(p.grad, expected[name]), name
