"""`ablate plan`: the runs of the same words, what is done and cached, and refusals in one line."""

import csv
import io
import json
import re
import subprocess
import sys

import pytest
from tests.conftest import instead, read_results
from torch.utils.flop_counter import FlopCounterMode

from ablate.cli.main import dispatch
from ablate.config.folder import config_folder
from ablate.pricing.calibration import read_rates
from ablate.pricing.devices import accelerators, named_device
from ablate.pricing.meter import FUSED_ATTENTION
from ablate.pricing.show import table

TINY = [path.stem for path in (config_folder() / "task").glob("words-*.yaml")]
TINY += [
    path.stem.removeprefix("shapes-") for path in (config_folder() / "task").glob("shapes-*.yaml")
]


@pytest.fixture
def plan(arguments, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["ablate"])
    # What other tests of this process have evaluated.
    monkeypatch.setattr("ablate.evaluation.cache._held", {})

    def call(*words):
        capsys.readouterr()
        code = dispatch(["plan", *instead(arguments, words)])
        return code, capsys.readouterr()

    return call


def planned(plan, *words):
    code, streams = plan(*words, "--format", "json")
    assert code == 0, streams.err
    return json.loads(streams.out)


def test_what_is_planned_is_what_runs_and_what_is_done_costs_nothing(plan, ablate_run):
    words = ("method=lorsu", "method.rank=2", "method.top_k_heads=1", "seeds=[0,1]")
    first, second = planned(plan, *words)["runs"]
    assert (first["state"], second["state"]) == ("to run", "to run")
    # The base model's answers are the first run's; each seed draws its own images to rank weights by.
    assert first["evaluation_flops"] == 2 * second["evaluation_flops"] > 0
    assert first["importance_flops"] > 0 < second["importance_flops"]
    assert "evaluation digits before" in second["from_another_run"]

    with FlopCounterMode(display=False, custom_mapping=FUSED_ATTENTION) as counter:
        code, outputs = ablate_run(*words[:-1], "seed=0")
    assert code == 0
    kinds = ("importance_flops", "training_flops", "evaluation_flops")
    assert sum(first[kind] for kind in kinds) == pytest.approx(counter.get_total_flops(), rel=0.02)
    row = read_results(outputs / "run").iloc[0]
    first, second = planned(plan, *words)["runs"]
    assert first["run_id"] == row["run_id"]
    assert first["trained"] == row["trainable_parameters"]
    assert first["effective"] == row["effective_parameters"]
    assert first["state"] == "done"
    assert first["training_flops"] == first["evaluation_flops"] == first["importance_flops"] == 0
    assert first["steps"] is None
    assert second["state"] == "to run"
    assert "evaluation digits before" in second["on_disk"]
    assert second["training_flops"] > 0


def test_a_finished_training_leaves_the_evaluation(plan, ablate_run, monkeypatch):
    from ablate.evaluation.evaluator import Evaluator

    answers = Evaluator.answers

    def fails_afterwards(self, label, tasks, weights_of):
        if label.startswith("evaluate"):
            raise RuntimeError("no")
        return answers(self, label, tasks, weights_of)

    monkeypatch.setattr(Evaluator, "answers", fails_afterwards)
    assert ablate_run("method=full")[0] == 1
    (run,) = planned(plan, "method=full")["runs"]
    assert run["state"] == "trained"
    assert run["training_flops"] == 0
    assert run["evaluation_flops"] > 0


def test_a_plan_makes_no_folder_and_no_run(plan, tmp_path):
    before = set(tmp_path.rglob("*"))
    assert plan("method=frozen")[0] == 0
    assert set(tmp_path.rglob("*")) == before


def test_a_device_gives_hours_and_says_whether_it_fits(plan):
    made = planned(plan, "method=full", "--device", "h100", "--utilisation", "0.25-0.5")
    (run,) = made["runs"]
    flops = run["training_flops"] + run["evaluation_flops"]
    assert run["hours_high"] == pytest.approx(flops / 989e12 / 0.25 / 3600)
    assert run["hours_low"] == pytest.approx(run["hours_high"] / 2)
    assert made["gpu_hours"] == [run["hours_low"], run["hours_high"]]
    assert (run["device"], run["precision"], run["fits"]) == ("h100", "bf16", "yes")
    assert any("25% to 50%" in line for line in made["assumptions"])
    assert named_device("t4", "auto").compute.precision == "fp16"


def test_hours_are_empty_where_nothing_says_how_fast_a_device_is(plan):
    made = planned(plan, "method=frozen", "device=cpu")
    assert made["gpu_hours"] is None
    assert made["runs"][0]["hours_low"] is None
    assert any("hours: not known" in line for line in made["summary"])


def test_the_table_and_csv_say_the_same(plan):
    words = ("method=frozen", "--device", "l4")
    code, shown = plan(*words)
    assert code == 0
    assert "1 run, 0 done, 1 to run; on l4, bf16" in shown.out
    assert re.search(r"^total: [\d.]+ TFLOP, \S+ to \S+ GPU hours$", shown.out, re.MULTILINE)
    assert "assumed: " in shown.out
    code, streams = plan(*words, "cluster=slurm", "cluster.partition=gpu", "--format", "csv")
    (row,) = csv.DictReader(io.StringIO(streams.out))
    assert row["run_id"] in shown.out
    assert row["importance_flops"] == "0"
    assert "total: " in streams.err


def test_what_cannot_be_priced_is_said_and_left_out_of_the_total(arguments):
    """In a process of its own, which knows before it reads its libraries that no hub is asked."""
    few = [f"tasks.tasks.{name}.items=4" for name in TINY]
    words = ["method=full", "tasks=tiny", "+task@tasks.tasks.vqav2=vqav2", *few, "--format", "json"]
    command = [sys.executable, "-m", "ablate.cli.main", "plan", *instead(arguments, words)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    (run,) = made["runs"]
    assert "vqav2: " in run["not_priced"]
    assert made["is_lower_bound"]
    assert (run["fits"], run["peak_bytes"] > 0) == (None, True)
    assert run["state"] == "unknown"
    assert run["evaluation_flops"] > 0
    assert any(line.startswith("total: at least ") for line in made["summary"])
    shown = [str(cell) for column in table(made["runs"]).columns for cell in column.cells]
    assert sum(cell.startswith("> ") for cell in shown) == 2
    assert any(line.startswith("whether runs are done is not known") for line in made["summary"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--device", "h1000"], "Unknown device 'h1000'. Did you mean 'h100'?"),
        (["--utilisation", "1.5"], "--utilisation is '1.5'"),
        (["--utilisation", "0.3-"], "--utilisation is '0.3-'"),
        (["--utilisation", "0.5-0.3"], "--utilisation is '0.5-0.3'"),
        (["--format", "xml"], "Unknown format 'xml'"),
        (["--cfg", "job"], "--cfg is for `ablate run`"),
        (["--divice", "h100"], "Unknown flag '--divice'. Did you mean '--device'?"),
        (["--rank=8"], "Fix: write method.rank=8"),
        (["--device=h100", "--device=l4"], "--device is given twice"),
        (["cluster=bux"], "Unknown cluster 'bux'. Did you mean 'box'?"),
        (["method=lroa"], "Did you mean 'lora'?"),
        (["method.rank=0"], "method.rank"),
        (["model.llava=nobody/nothing"], "nobody/nothing"),
        (
            ["model=llava", "model.llava=llava-hf/llava-1.5-7b-hf"],
            "Model 'llava-hf/llava-1.5-7b-hf' has no chat template",
        ),
        (["--device"], "expected one argument"),
    ],
)
def test_refused_in_one_line(words, said, capsys):
    assert dispatch(["plan", *words]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.startswith("ablate plan: ")
    assert err.count("\n") == 1


def test_every_device_has_its_numbers():
    known = accelerators()
    assert {"a100-40", "a100-80", "h100", "h200", "l4", "l40s", "a10", "t4"} <= set(known)
    for device in known.values():
        assert device.fp32 < device.fp16
        assert device.bf16 in (None, device.fp16)
        assert 1e10 < device.memory_bytes < 2e11 < device.bytes_per_second


def test_a_full_size_model_needs_no_file_of_its_own(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["model=llava-1.5-7b", "method=frozen", "data.shots=1", "data.test_items=8"]
    code = dispatch(["plan", *words, "--device", "h100", "--format", "json"])
    streams = capsys.readouterr()
    assert code == 0, streams.err
    made = json.loads(streams.out)
    (run,) = made["runs"]
    # 7,063,427,072 of LLaVA, and CLIP's own text tower and projections.
    assert run["parameters"] == 7_063_427_072 + 124_436_737
    assert 15e9 < run["weight_bytes"] < 16e9
    assert any("llava-hf/llava-1.5-7b-hf" in line for line in made["assumptions"])


def test_what_was_measured_here_gives_hours_to_every_run_of_its_kind(plan, tmp_path):
    words = ("method=lora", "data.test_items=8", "device=cpu")
    code, streams = plan(*words, "method.rank=2", "--calibrate")
    assert code == 0, streams.err
    assert "2 speeds measured" in streams.out
    assert (tmp_path / "outputs" / ".cache" / "calibration.json").is_file()
    assert not (tmp_path / "outputs" / "run").exists()
    made = planned(plan, *words, "method.rank=4")
    low, high = made["gpu_hours"]
    assert 0 < low < high < 1
    assert any("by 2 measured speeds" in line for line in made["assumptions"])
    assert planned(plan, *words, "train.batch_size=3")["gpu_hours"] is None


def test_only_the_device_that_is_here_is_measured(capsys):
    assert dispatch(["plan", "--calibrate", "--device", "h100"]) == 2
    assert "Fix: leave --device out" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["[1]", "{", '{"a": 1, "b": [2, 1], "c": [0, 1]}'])
def test_a_damaged_calibration_counts_as_none(tmp_path, content):
    (tmp_path / "calibration.json").write_text(content)
    assert read_rates(tmp_path) == {}


def test_a_run_without_any_price_has_no_zeros(plan):
    words = ("method=layernorm", "data.shots=1", "data.test_items=8", "--device", "h100")
    made = planned(plan, *words, "-m", "model.quantization=4bit,null")
    run, other = made["runs"]
    for key in ("importance", "training", "evaluation"):
        assert run[f"{key}_flops"] is None
    assert (run["hours_low"], run["peak_bytes"], run["fits"]) == (None, None, None)
    assert made["gpu_hours"] == [other["hours_low"], other["hours_high"]]
    assert made["is_lower_bound"]
    made = planned(plan, *words, "model.quantization=4bit")
    assert (made["gpu_hours"], made["summary"][0]) == (None, "total: not known")
