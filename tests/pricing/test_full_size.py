"""At the size of CLIP ViT-L/14-336 and one layer of LLaVA-1.5-7B: the price against a step in earnest."""

import copy
import gc
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.methods.sessions import recipe, run_config
from tests.pricing.measured import operations
from tests.pricing.stages import FP32

from ablate.data.types import LabelledImages
from ablate.methods.base import Session
from ablate.methods.build import build_method
from ablate.models.skeleton import vlm_skeleton, without_content
from ablate.pricing.stand_in import architectures, write_stand_in
from ablate.pricing.training import price_stage
from ablate.telemetry.cost import peak_memory_bytes, reset_peak_memory
from ablate.training.losses import AnswerLoss
from ablate.training.stage import Examples, Stage
from ablate.training.trainer import Trainer


@pytest.fixture(scope="module")
def skeleton(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    known = architectures()
    llava = copy.deepcopy(known["llava-hf/llava-1.5-7b-hf"])
    llava["config"]["text_config"]["num_hidden_layers"] = 1
    write_stand_in(llava, folder / "llava")
    write_stand_in(known["openai/clip-vit-large-patch14-336"], folder / "clip")
    places = str(folder / "llava"), str(folder / "clip")
    prompt = "USER: <image>\n{question} ASSISTANT:"
    shipped = run_config("model=llava-1.5-7b").model
    config = replace(shipped, name="one-layer", llava=places[0], clip=places[1], prompt=prompt)
    return vlm_skeleton(config, None)


def examples(vlm):
    images = LabelledImages(
        torch.zeros(1, 3, 336, 336, dtype=torch.uint8), torch.tensor([0]), ("image",)
    )
    return Examples(
        AnswerLoss(vlm, images, [("what shape is there?\nA. a circle\nB. a square", "A")]), None
    )


def stage():
    method = build_method(run_config("method=lora").method, "lm")
    train = replace(recipe(1), batch_size=1)
    return Stage("train", method, train, examples, "", True)


def resident_bytes():
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024


def test_operations_and_memory_are_those_of_a_step_in_earnest(skeleton):
    found = price_stage(stage(), skeleton, FP32, 0)
    gc.collect()
    before = resident_bytes()
    made, vlm = stage(), without_content(skeleton)
    with torch.device("meta"):
        made.method.make_trainable(vlm, Session.without_data(0))
    vlm = vlm.to_empty(device="cpu")
    with torch.no_grad():
        for tensor in (*vlm.parameters(), *vlm.buffers()):
            tensor.fill_(0.01 if tensor.is_floating_point() else 0)
    reset_peak_memory(FP32.device)
    trainer = Trainer(vlm, made.method, examples(vlm).loss, made.train, FP32, 0)
    flops = operations(lambda: trainer.train(lambda _: None))
    assert found.training_flops == pytest.approx(flops, rel=0.02)
    # Resident memory, as `peak_memory_bytes` of a run: what the allocator keeps for itself is among it.
    taken = peak_memory_bytes(FP32.device) - before
    assert found.peak_bytes == pytest.approx(taken, rel=0.2)
