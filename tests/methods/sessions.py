"""What every test of a method needs: its shipped configuration, a session of real losses, real training."""

from dataclasses import dataclass, replace
from functools import cache

import torch
from hydra import compose, initialize_config_dir
from torch import Tensor

from ablate.config.folder import config_folder
from ablate.config.reading import read_run_config
from ablate.config.schema import MethodConfig, RunConfig
from ablate.data.multiple_choice import asked, multiple_choice_items
from ablate.data.types import LabelledImages
from ablate.evaluation.verbs.zero_shot import class_embeddings
from ablate.methods.base import Method, Session
from ablate.methods.lorsu.importance import mean_gradients
from ablate.models.compute import Compute
from ablate.models.vlm import VisionLanguageModel
from ablate.training.losses import AnswerLoss, ContrastiveLoss, Loss
from ablate.training.trainer import Trainer, steps_per_epoch

RANK = 4
CLASSES = ("a red circle", "a blue square", "a small triangle", "a shape")
FP32 = Compute(torch.device("cpu"), "fp32")


@cache
def run_config(*overrides: str) -> RunConfig:
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        return read_run_config(compose("config", overrides=list(overrides)))


def method_config(name: str, *overrides: str) -> MethodConfig:
    """Read a shipped method, at a rank that fits the test model where it has one."""
    config = run_config(f"method={name}", *overrides).method
    small = {"rank": RANK, "alpha": float(RANK)}
    return replace(config, **{key: value for key, value in small.items() if hasattr(config, key)})


@dataclass(frozen=True)
class Task:
    """Eight images of four classes, and how they are trained on."""

    loss: Loss
    compute: Compute

    def session(self, method: Method, vlm: VisionLanguageModel, epochs: int, seed: int) -> Session:
        def autocast_loss(indices: Tensor) -> Tensor:
            with self.compute.autocast():
                return self.loss(vlm, indices)

        batches = torch.arange(self.loss.n).split(4)
        parameters = method.importance_parameters(vlm)
        gradients = (
            mean_gradients(parameters, batches, lambda b: (autocast_loss(b), len(b)))
            if parameters
            else {}
        )
        total_steps = epochs * steps_per_epoch(self.loss.n, recipe(epochs))
        return Session(autocast_loss, self.loss.n, total_steps, gradients, seed)

    def train(self, method: Method, vlm: VisionLanguageModel, epochs: int) -> list[float]:
        losses: list[float] = []
        trainer = Trainer(vlm, method, self.loss, recipe(epochs), self.compute, 0)
        trainer.train(losses.append)
        return losses


def recipe(epochs: int):
    shipped = run_config("train=paper").train
    return replace(
        shipped,
        epochs=epochs,
        batch_size=4,
        learning_rate=0.02,
        schedule="constant",
        warmup_fraction=0.0,
    )


def task(
    vlm: VisionLanguageModel, loss: str, seed: int = 0, compute: Compute = FP32, side_px: int = 16
) -> Task:
    pixels = torch.randint(
        256,
        (8, 3, side_px, side_px),
        dtype=torch.uint8,
        generator=torch.Generator().manual_seed(seed),
    )
    labels = torch.arange(8) % len(CLASSES)
    images = LabelledImages(pixels, labels, tuple(f"{seed}-{row}" for row in range(8)))
    items = multiple_choice_items(images.ids, labels.tolist(), CLASSES, "what is it?", 4, seed)
    with compute.autocast():
        built: Loss
        if loss == "lm":
            built = AnswerLoss(vlm, images, [asked(item, "answers") for item in items])
        else:
            texts = class_embeddings(vlm, CLASSES, ("a photo of {}.",))[labels, None]
            built = ContrastiveLoss(vlm, pixels.__getitem__, texts)
    return Task(built, compute)


def outputs(vlm: VisionLanguageModel, compute: Compute = FP32) -> Tensor:
    """Return what the model says to fixed images and a fixed question, and CLIP's features, flattened."""
    pixels = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    ids = torch.tensor([vlm.prompt_ids("what is it?")] * 2)
    trained = [parameter for parameter in vlm.parameters() if parameter.requires_grad]
    # matmul folds its batch or not by whether the weight requires a gradient, and the two round differently.
    vlm.requires_grad_(False)
    with torch.no_grad(), compute.autocast():
        logits = vlm.llava(input_ids=ids, pixel_values=pixels).logits
        features = vlm.clip_image_features(pixels)
        text = vlm.clip_text_features(["a red circle"])
    for parameter in trained:
        parameter.requires_grad_(True)
    return torch.cat([part.float().flatten() for part in (logits, features, text)])


def weights(vlm: VisionLanguageModel) -> dict[str, Tensor]:
    """Copy the model's own parameters by their plain names, adapters left out."""
    return {
        name.replace(".base_layer", ""): p.detach().clone()
        for name, p in vlm.named_parameters()
        if ".lora_" not in name and ".lorsu_" not in name and ".ranknum." not in name
    }
