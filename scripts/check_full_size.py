"""Build a LLaVA with every real image encoder at full size, train it for a step and evaluate a question, on the CPU.

The weights are random and the language model has two layers, so nothing is downloaded: this checks
that the encoders of configs/encoder fit, in width, depth, tokens and memory, not what they see. The
vision models are written to disk in the form that the hub has them in and loaded from there; the
configurations below are those of the hub. Every encoder is a process of its own, for its peak memory.

    python scripts/check_full_size.py                    # all of them
    python scripts/check_full_size.py resnet-50 --blocks 2

One run with torch 2.13, on one thread beside one other job, 4 minutes:

    encoder          parameters   tokens x width   step    peak
    siglip-so400m        413.0M     729 x 1152     41 s    8.1 GB
    dino-siglip          717.4M     729 x 2176     70 s   13.4 GB
    resnet-50             23.5M      49 x 2048      1 s    1.0 GB
    vit-large            303.7M     576 x 1024     24 s    5.7 GB
    clip-vit-large       303.5M     576 x 1024     26 s    5.9 GB
    patches                0.0M     729 x  588      0 s    0.6 GB
"""

import argparse
import dataclasses
import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import transformers
import yaml
from PIL import Image
from pydantic import TypeAdapter
from transformers import CONFIG_MAPPING

from ablate.config.folder import config_folder
from ablate.config.schema import EncoderConfig, ModelConfig
from ablate.models.assemble import assemble
from ablate.models.compute import Compute
from ablate.models.files import locate
from ablate.models.pretrained import quiet_transformers
from ablate.models.vlm import VisionLanguageModel
from ablate.pricing.stand_in import architectures

REAL = ("siglip-so400m", "dino-siglip", "resnet-50", "vit-large", "clip-vit-large", "patches")
QUESTION = "what shape is there?"


def _hub() -> dict[str, tuple[Any, dict[str, Any], Any, dict[str, Any]]]:
    """Read configuration and preprocessing of every vision model, as its folder on the hub states them."""
    found = {}
    for name, known in architectures().items():
        sizes = dict(known["config"].get("vision_config", known["config"]))
        settings = dict(known["images"])
        processor = getattr(transformers, f"{settings.pop('image_processor_type')}Pil")
        if known["config"]["model_type"] != "llava":
            found[name] = CONFIG_MAPPING[sizes.pop("model_type")], sizes, processor, settings
    return found


HUB = _hub()


def read_encoder(name: str) -> EncoderConfig:
    """Read a shipped encoder file."""
    text = (config_folder() / "encoder" / f"{name}.yaml").read_text(encoding="utf-8")
    config: EncoderConfig = TypeAdapter(EncoderConfig).validate_python(yaml.safe_load(text))
    return config


def written_out(config: EncoderConfig, folder: Path, blocks: int | None) -> EncoderConfig:
    """Write the parts of an encoder with random weights.

    Args:
        config: The encoder, with the hub's names.
        folder: Where to write.
        blocks: Blocks of each part, of each stage where there are stages; None for all.

    Returns:
        The encoder with the folders in place of the names.
    """
    parts = []
    for part in config.parts:
        kind, sizes, processor, settings = HUB[part.source]
        if blocks is not None:
            sizes = sizes | {
                key: [blocks] * 4 if key == "depths" else blocks
                for key in ("depths", "num_hidden_layers")
                if key in sizes
            }
        place = folder / part.source
        transformers.AutoModel.from_config(kind(**sizes)).save_pretrained(place)
        processor(**settings).save_pretrained(place)
        parts.append(dataclasses.replace(part, source=str(place)))
    return dataclasses.replace(config, parts=tuple(parts))


def write_language(folder: Path) -> ModelConfig:
    """Write a language model of two layers with random weights and the tiny model's tokenizer."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(
        locate("tiny:llava"), model_max_length=2048
    )
    sizes: dict[str, Any] = {
        "hidden_size": 512,
        "intermediate_size": 1024,
        "num_attention_heads": 8,
        "num_hidden_layers": 2,
    }
    ids: dict[str, Any] = {
        f"{word}_token_id": getattr(tokenizer, f"{word}_token_id") for word in ("bos", "eos", "pad")
    }
    language = transformers.LlamaConfig(**sizes, **ids, vocab_size=len(tokenizer))
    transformers.LlamaForCausalLM(language).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    prompt, turn = "<image>\n{question}\nanswer:", "\n{question}\nanswer:"
    return ModelConfig(
        name="two-layers",
        llava=None,
        clip=None,
        language=str(folder),
        revision=None,
        clip_revision=None,
        attention="sdpa",
        quantization=None,
        scoring="answers",
        prompt=prompt,
        turn=turn,
    )


def check(name: str, folder: Path, blocks: int | None = None) -> dict[str, Any]:
    """Build, train one step, evaluate one question.

    Args:
        name: A shipped encoder file.
        folder: Where to write the random models.
        blocks: As in `written_out`.

    Returns:
        What was seen, by name; `parameters` are the encoder's.
    """
    torch.manual_seed(0)
    with quiet_transformers():
        encoder = written_out(read_encoder(name), folder / "parts", blocks)
        language = write_language(folder / "language")
    started = time.perf_counter()
    vlm = assemble(encoder, language, Compute(torch.device("cpu"), "fp32"), seed=0)
    loaded = time.perf_counter()
    image = Image.effect_mandelbrot((640, 480), (-2, -1.5, 1, 1.5), 100)
    loss, gradients = _train_step(vlm, image)
    trained = time.perf_counter()
    answer = _ask(vlm, image)
    return {
        "parameters": sum(p.numel() for p in vlm.vision_tower.parameters()),
        "tokens": vlm.n_image_tokens,
        "width": vlm.vision_config.hidden_size,
        "loss": loss,
        "gradients": gradients,
        "answer": answer,
        "load_seconds": loaded - started,
        "step_seconds": trained - loaded,
        "answer_seconds": time.perf_counter() - trained,
        # Linux counts it in KiB.
        "peak_gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
    }


def _train_step(vlm: VisionLanguageModel, image: Image.Image) -> tuple[float, dict[str, float]]:
    """Make one step of AdamW on everything; return the loss and the share of each part's parameters with a gradient."""
    parts = {
        "encoder": vlm.vision_tower,
        "projector": vlm.llava.model.multi_modal_projector,
        "language": vlm.llava.model.language_model,
    }
    vlm.requires_grad_(True).train()
    prompt, answer = vlm.prompt_ids(QUESTION), vlm.answer_ids(QUESTION, "circle")
    ids = torch.tensor([prompt + answer])
    labels = torch.tensor([[-100] * len(prompt) + answer])
    pixel_values = vlm.normalise(vlm.resize([image]))
    loss = vlm.llava(input_ids=ids, pixel_values=pixel_values, labels=labels).loss
    loss.backward()
    reached = {
        name: [p.grad is not None and bool(p.grad.any()) for p in part.parameters()]
        for name, part in parts.items()
    }
    torch.optim.AdamW([p for p in vlm.parameters() if p.grad is not None], lr=1e-4).step()
    vlm.zero_grad()
    return float(loss.detach()), {n: sum(r) / max(len(r), 1) for n, r in reached.items()}


def _ask(vlm: VisionLanguageModel, image: Image.Image) -> str:
    vlm.requires_grad_(False).eval()
    ids = torch.tensor([vlm.prompt_ids(QUESTION)])
    pixel_values = vlm.normalise(vlm.resize([image]))
    llava: Any = vlm.llava
    whole = llava.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        pixel_values=pixel_values,
        max_new_tokens=4,
        do_sample=False,
    )
    return str(vlm.tokenizer.decode(whole[0, ids.shape[1] :]))


def _report(name: str, blocks: int | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        seen = check(name, Path(folder), blocks)
    gradients = ", ".join(f"{part} {share:.0%}" for part, share in seen["gradients"].items())
    print(
        f"{name:15} {seen['parameters'] / 1e6:7.1f}M parameters  {seen['tokens']:4} tokens x {seen['width']:4}  "
        f"loss {seen['loss']:.2f}  gradients: {gradients}  answer {seen['answer']!r}  "
        f"load {seen['load_seconds']:.0f} s, step {seen['step_seconds']:.0f} s, answer {seen['answer_seconds']:.0f} s, "
        f"peak {seen['peak_gigabytes']:.1f} GB",
        flush=True,
    )


def main() -> int:
    """Check the encoders that were named, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=REAL, help=f"of {', '.join(REAL)}")
    parser.add_argument("--blocks", type=int, help="blocks of each part, to save time and memory")
    arguments = parser.parse_args()
    for name in arguments.names:
        process = multiprocessing.get_context("spawn").Process(
            target=_report, args=(name, arguments.blocks)
        )
        process.start()
        process.join()
        if process.exitcode:
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
