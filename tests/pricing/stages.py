"""Stages of a small model, made in earnest or priced."""

from contextlib import suppress

import torch
from tests.conftest import build_tiny_random_vlm
from tests.methods.sessions import recipe, task

from ablate.models.compute import Compute
from ablate.models.skeleton import without_content
from ablate.pricing.training import price_stage
from ablate.training.audit import Probes
from ablate.training.stage import Examples, Stage

CPU = torch.device("cpu")
FP32 = Compute(CPU, "fp32")
EPOCHS = 2  # of two steps on four of eight images


def stage(method, loss, train=None):
    def examples(vlm):
        with suppress(AttributeError):
            del vlm.resize  # images of this test are pixels already
        return Examples(task(vlm, loss).loss, Probes(task(vlm, "lm").loss, None))

    return Stage("train", method, train or recipe(EPOCHS), examples, "", True)


def small(compute):
    """A random model whose frozen weights have the types that a run loads them in."""
    vlm = build_tiny_random_vlm().requires_grad_(False)
    vlm.llava.model.language_model.to(compute.frozen_dtype)
    vlm.llava.lm_head.to(compute.frozen_dtype)
    return vlm


def priced(made, compute):
    return price_stage(made, without_content(small(compute)), compute, 0)
