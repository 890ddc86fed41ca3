"""One run of a LoRA rank ablation as a plain transformers + peft script: what `bench_sweep.py` compares with.

    python scripts/plain_run.py DATA.npz RANK

It knows nothing of ablate: it loads LLaVA and the CLIP around the same image encoder, evaluates both on target and
control, trains LoRA on the encoder, merges it and evaluates again; answers are generated in batches of 64.
"""

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence
from transformers import (
    AutoImageProcessor,
    AutoTokenizer,
    CLIPModel,
    LlavaForConditionalGeneration,
    get_cosine_schedule_with_warmup,
)

BATCH = 64


class Model:
    """LLaVA and CLIP on one image encoder, with their preprocessing."""

    def __init__(self, llava: str, clip: str) -> None:
        self.llava: Any = LlavaForConditionalGeneration.from_pretrained(llava, dtype=torch.float32)
        self.clip: Any = CLIPModel.from_pretrained(clip, dtype=torch.float32)
        self.clip.vision_model = self.llava.model.vision_tower
        self.tokenizer: Any = AutoTokenizer.from_pretrained(llava, padding_side="left")
        self.clip_tokenizer: Any = AutoTokenizer.from_pretrained(clip)
        self.processor: Any = AutoImageProcessor.from_pretrained(llava, backend="pil")
        self.llava.requires_grad_(False)
        self.clip.requires_grad_(False)

    def pixels(self, images: np.ndarray) -> Tensor:
        """Preprocess a split once."""
        values: Tensor = self.processor(list(images), return_tensors="pt")["pixel_values"]
        return values

    def prompt(self, template: str, question: str) -> str:
        """Fill the prompt, one image token for every patch."""
        token = self.tokenizer.convert_ids_to_tokens(self.llava.config.image_token_id)
        n_tokens = (
            self.llava.config.vision_config.image_size // self.llava.config.vision_config.patch_size
        ) ** 2
        return template.replace("<image>", token * n_tokens).replace("{question}", question)


@torch.inference_mode()
def vqa_accuracy(model: Model, pixels: Tensor, prompt: str, answers: list[str]) -> float:
    """Generate an answer to every image in batches."""
    n_correct = 0
    end = model.tokenizer.eos_token_id
    for start in range(0, len(pixels), BATCH):
        part = pixels[start : start + BATCH]
        inputs = model.tokenizer([prompt] * len(part), return_tensors="pt")
        ids = model.llava.generate(
            **inputs,
            pixel_values=part,
            do_sample=False,
            max_new_tokens=20,
            eos_token_id=end,
            pad_token_id=end,
        )
        texts = model.tokenizer.batch_decode(
            ids[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True
        )
        wanted = answers[start : start + BATCH]
        n_correct += sum(t.strip() == answer for t, answer in zip(texts, wanted, strict=True))
    return n_correct / len(pixels)


@torch.inference_mode()
def zero_shot_accuracy(
    model: Model, pixels: Tensor, labels: Tensor, names: list[str], templates: list[str]
) -> float:
    """Classify every image by the nearest mean of its class prompts."""
    texts = [template.replace("{}", name) for name in names for template in templates]
    tokens = model.clip_tokenizer(texts, padding=True, return_tensors="pt")
    embedded = model.clip.text_projection(model.clip.text_model(**tokens).pooler_output)
    embedded = functional.normalize(embedded, dim=-1).view(len(names), len(templates), -1).mean(1)
    classes = functional.normalize(embedded, dim=-1)
    n_correct = 0
    for start in range(0, len(pixels), BATCH):
        pooled = model.clip.vision_model(pixel_values=pixels[start : start + BATCH]).pooler_output
        found = (model.clip.visual_projection(pooled) @ classes.T).argmax(1)
        n_correct += int((found == labels[start : start + BATCH]).sum())
    return n_correct / len(pixels)


def train(
    model: Model,
    pixels: Tensor,
    prompt: str,
    answers: list[str],
    settings: dict[str, Any],
    rank: int,
) -> None:
    """Train LoRA on the image encoder by the loss of the answer, and merge it."""
    torch.manual_seed(0)
    layers = "|".join(settings["target_modules"])
    config = LoraConfig(
        r=rank, lora_alpha=rank, target_modules=rf"model\.vision_tower\..*\.({layers})"
    )
    adapted: Any = get_peft_model(model.llava, config)
    trained = [p for p in adapted.parameters() if p.requires_grad]
    rates = settings["train"]
    optimizer = torch.optim.AdamW(
        trained, lr=rates["learning_rate"], weight_decay=rates["weight_decay"]
    )
    n_steps = rates["epochs"] * math.ceil(len(pixels) / rates["batch_size"])
    schedule = get_cosine_schedule_with_warmup(
        optimizer, round(rates["warmup_fraction"] * n_steps), n_steps
    )
    end = model.tokenizer.eos_token
    begun = model.tokenizer(prompt)["input_ids"]
    ids = [torch.tensor(model.tokenizer(f"{prompt} {a}{end}")["input_ids"]) for a in answers]
    labels = [torch.cat([torch.full((len(begun),), -100), one[len(begun) :]]) for one in ids]
    adapted.train()
    for _ in range(rates["epochs"]):
        for rows in torch.randperm(len(pixels)).split(rates["batch_size"]):
            chosen = rows.tolist()
            batch = pad_sequence([ids[row] for row in chosen], batch_first=True)
            lengths = torch.tensor([len(ids[row]) for row in chosen])
            adapted(
                input_ids=batch,
                attention_mask=(torch.arange(batch.shape[1]) < lengths[:, None]).long(),
                pixel_values=pixels[rows],
                labels=pad_sequence(
                    [labels[r] for r in chosen], batch_first=True, padding_value=-100
                ),
            ).loss.backward()
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
    adapted.eval()
    adapted.merge_and_unload()


def main() -> None:
    """Make the run and print its numbers as JSON."""
    data = np.load(sys.argv[1])
    settings = json.loads(Path(sys.argv[1]).with_suffix(".json").read_text(encoding="utf-8"))
    model = Model(settings["llava"], settings["clip"])
    names, prompt = settings["class_names"], model.prompt(settings["prompt"], settings["question"])
    splits = {
        name: (model.pixels(data[f"{name}_images"]), torch.from_numpy(data[f"{name}_labels"]))
        for name in ("train", "target", "control")
    }

    def evaluate() -> dict[str, float]:
        found = {}
        for name in ("target", "control"):
            pixels, labels = splits[name]
            answers = [names[label] for label in labels.tolist()]
            found[f"{name} accuracy"] = vqa_accuracy(model, pixels, prompt, answers)
            found[f"{name} zero-shot"] = zero_shot_accuracy(
                model, pixels, labels, names, settings["templates"]
            )
        return found

    before = evaluate()
    pixels, labels = splits["train"]
    train(
        model,
        pixels,
        prompt,
        [names[label] for label in labels.tolist()],
        settings,
        int(sys.argv[2]),
    )
    print(json.dumps({"before": before, "after": evaluate()}))


if __name__ == "__main__":
    main()
