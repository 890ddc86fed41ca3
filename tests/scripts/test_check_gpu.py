"""What check_gpu.py does on a GPU, on the CPU: all of it at a small size, and a run at full width."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

SCRIPTS = Path(__file__).parents[2] / "scripts"
sys.path.append(str(SCRIPTS))

from ablate.evaluation.progress import Progress  # noqa: E402
from ablate.models.compute import Compute  # noqa: E402
from ablate.models.loading import load_model  # noqa: E402
from ablate.models.saving import save_model  # noqa: E402
from ablate.recipes.few_shot import stages  # noqa: E402
from ablate.telemetry.cost import Stopwatch  # noqa: E402
from ablate.telemetry.interruption import SafePoints  # noqa: E402
from ablate.training.importance import ImportanceCache  # noqa: E402
from ablate.training.saving import Saving  # noqa: E402
from ablate.training.stage import Examples, replay_stage, run_stage  # noqa: E402
from gpu.measure import Meter, flops_of  # noqa: E402  # below what makes it importable
from gpu.model import SIZES, photographs, random_vlm  # noqa: E402
from gpu.runs import Kept, run_config, task_of  # noqa: E402

CPU = torch.device("cpu")
SMALL = ["--device", "cpu", "--size", "tiny", "--batch-size", "5", "--eval-batch-size", "4"]


def checked(tmp_path, *words):
    file = tmp_path / "gpu.json"
    command = [sys.executable, str(SCRIPTS / "check_gpu.py"), *SMALL, "--json", str(file), *words]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(file.read_text()), done.stdout


def test_every_section_at_a_small_size(tmp_path):
    sections = ["training step", "evaluation", "runs", "answers", "batches", "devices"]
    sections += ["float16", "save and load"]
    found, printed = checked(
        tmp_path, "--test-images", "64", "--peak-tflops", "1", "--only", *sections
    )
    assert found["complete"]
    assert found["device"] == "cpu, 1 threads"
    rows = {(row["section"], row["measure"]): row for row in found["rows"]}
    assert not [row for row in found["rows"] if row["measure"] in ("failed", "left out")]
    required = [row for row in found["rows"] if row["required"]]
    assert len(required) > 20
    assert all(row["met"] for row in required)
    for section in ("training step", "evaluation"):
        assert rows[section, "operations, `ablate plan` over counted"]["value"] == pytest.approx(1)
        share = rows[section, "model FLOPs utilisation"]
        assert share["value"] * 1 == pytest.approx(rows[section, "TFLOP a second"]["value"])
        assert not share["required"]
    assert printed.count("\n") > len(found["rows"])


def test_a_compiled_step_and_evaluation(tmp_path, monkeypatch):
    # Compilers of other processes write to the usual folder, too.
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    found, _ = checked(tmp_path, "--test-images", "16", "--only", "compiled")
    rows = {(row["section"], row["measure"]): row["value"] for row in found["rows"]}
    for section in ("training step, compiled", "evaluation, compiled"):
        assert rows[section, "tokens a second"] > 0


def test_a_check_without_time_says_what_it_left_out(tmp_path):
    found, _ = checked(tmp_path, "--minutes", "0.01", "--only", "runs", "batches")
    left_out = [row["section"] for row in found["rows"] if row["measure"] == "left out"]
    assert left_out == ["runs", "batches"]


def test_operations_are_counted_as_the_formulas_say():
    """A frozen language model costs a training step twice its forward pass: no gradient of its weights is made."""
    vlm = random_vlm(SIZES["tiny"], Compute(CPU, "fp32"))
    ids = torch.tensor([vlm.prompt_ids("what?", with_image=False)])
    n = ids.shape[1]
    inputs = vlm.llava.get_input_embeddings()(ids).detach().requires_grad_(True)
    language = vlm.llava.model.language_model
    weights = sum(
        p.numel() for layer in language.layers for p in layer.parameters() if p.dim() == 2
    )
    n_layers, width = len(language.layers), language.config.hidden_size
    attention = n_layers * 4 * n * n * width

    def forward():
        return language(inputs_embeds=inputs, use_cache=False).last_hidden_state

    assert flops_of(forward) == 2 * n * weights + attention
    # The fused backward pass computes the scores again: five products for two.
    whole = flops_of(lambda: forward().sum().backward())
    assert whole == 4 * n * weights + attention + attention * 5 // 2


@pytest.fixture(scope="module")
def full_width():
    """The whole CLIP tower under two full-width layers of Vicuna-7B, in bfloat16 as on a GPU."""
    compute = Compute(CPU, "bf16")
    shapes = SIZES["clip-l"]
    # Of the vocabulary only the words that are asked for pass through the model.
    shapes = replace(shapes, language={**shapes.language, "vocab_size": 1024})
    vlm = random_vlm(shapes, compute, with_clip=False)
    return vlm, Meter(compute, None)


def test_the_whole_tower_and_a_full_width_language_model_go_through_a_run(full_width, tmp_path):
    """Importance, a step, merge, evaluation, saving and loading: every shape is that of LLaVA-1.5-7B."""
    vlm, meter = full_width
    compute = meter.compute
    words = ["data.scoring=letters", "data.test_items=1", "data.shots=1", "data.sessions=5"]
    config = run_config(*words, "train.batch_size=1", "train.epochs=1", "train.learning_rate=1e-2")
    data = photographs(5, 1)
    kept = Kept(vlm)
    stage = stages(config, config.data, data)[0]  # the first session has one image
    loss = stage.examples
    stage = replace(stage, examples=lambda model: Examples(loss(model).loss, None))
    unsaved = Saving(SafePoints(None, None), lambda _state: None, None, at_end=False)
    watch = Stopwatch(CPU)
    cache = ImportanceCache(tmp_path, lambda names: repr(names))
    trained = run_stage(stage, vlm, compute, 0, watch, cache, lambda _table: None, unsaved)
    update = trained.update
    assert watch.seconds["importance"] > 0
    # 23 blocks are read: 2 of 16 heads' rows of q, k, v at rank 64, a tenth of fc1 and its bias.
    rows, heads = 64 * 1024 + 2 * 64 * 64, 3
    entries = int(0.1 * 4096 * 1024) + 4096
    n_trained = sum(t.numel() for t in update.values() if t.is_floating_point())
    assert n_trained == 23 * (heads * rows + entries)
    changed = kept.changed()
    assert len(changed) == 23 * 5
    progress = Progress()
    with compute.autocast():
        task_of(config, data).evaluate(vlm, config.eval, progress)
    (item,) = progress.answers()["accuracy"]
    assert len(item.option_logprobs) == 5

    after = {name: weight.clone() for name, weight in vlm.vision_tower.named_parameters()}
    save_file(
        {name: t.contiguous() for name, t in update.items()}, tmp_path / "adapter.safetensors"
    )
    save_model(vlm, tmp_path / "model", tmp_path / "partial")
    kept.put_back()
    (again, *_), saved = (
        stages(config, config.data, data),
        load_file(tmp_path / "adapter.safetensors"),
    )
    replay_stage(again, vlm, saved, 0)
    replayed = dict(vlm.vision_tower.named_parameters())
    assert all(torch.equal(replayed[name], weight) for name, weight in after.items())
    model = replace(
        config.model, llava=str(tmp_path / "model"), clip=None, revision=None, prompt=vlm.prompt
    )
    loaded = load_model(model, compute)
    weights = dict(loaded.named_parameters())
    assert all(torch.equal(weights[name], p) for name, p in vlm.named_parameters())
    assert loaded.n_image_tokens == 576
