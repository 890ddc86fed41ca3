"""A training that is taken up again ends as one that was never left; what wraps a model sees its passes."""

import copy
from dataclasses import replace

import pytest
import torch
from tests.methods.sessions import FP32, method_config, recipe, task
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from ablate.methods.build import build_method
from ablate.training.trainer import Trainer

EPOCHS = 3


def attached(vlm, name, loss):
    vlm.requires_grad_(False)
    made = task(vlm, loss)
    method = build_method(method_config(name), loss)
    method.attach(vlm, made.session(method, vlm, epochs=EPOCHS, seed=0))
    return method, made.loss


def trained(vlm):
    return {name: p for name, p in vlm.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("name", ["lora", "lorsu", "full"])
@pytest.mark.parametrize("loss", ["lm", "clip"])
@pytest.mark.parametrize("stop", [1, 2, 4])
def test_a_training_goes_on_where_it_was_left(name, loss, stop, tiny_random_vlm):
    other = copy.deepcopy(tiny_random_vlm)
    config = replace(recipe(EPOCHS), schedule="cosine", warmup_fraction=0.2)
    losses: list[float] = []
    method, made = attached(tiny_random_vlm, name, loss)
    Trainer(tiny_random_vlm, method, made, config, FP32, 0).train(losses.append)

    parts: list[float] = []
    method, made = attached(other, name, loss)
    first = Trainer(other, method, made, config, FP32, 0)
    first.train(parts.append, until=stop)
    state = copy.deepcopy(first.state_dict())
    assert state["step"] == stop
    torch.manual_seed(99)
    second = Trainer(other, method, made, config, FP32, 0)
    second.load_state_dict(state)
    second.train(parts.append)
    assert parts == losses
    assert second.step == second.total_steps == len(losses)
    after = trained(other)
    assert all(torch.equal(p, after[key]) for key, p in trained(tiny_random_vlm).items())


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
