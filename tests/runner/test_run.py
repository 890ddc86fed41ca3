"""`ablate run` from command to CSV row, on a random model."""

import json
import shutil

import pandas as pd
import pytest
import torch
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from safetensors.torch import load_file
from tests.conftest import instead
from transformers import CLIPModel, LlavaConfig, LlavaForConditionalGeneration, SiglipVisionConfig

from ablate.recipes.restore import restore

ABLATION = ["+ablation=rank", "ablation.values=[2,4]", "ablation.baseline=2", "seeds=[0]"]
TIMES = ["load_seconds", "importance_seconds", "train_seconds", "eval_seconds"]
VARYING = [*TIMES, "peak_memory_bytes", "started_at", "trained_at", "finished_at"]


def results(folder):
    return pd.read_csv(folder / "results.csv")


def numbers(folder):
    return results(folder).drop(columns=VARYING)


def test_an_ablation_becomes_rows_folders_and_tables(ablate_run, capsys):
    code, outputs = ablate_run(*ABLATION)
    assert code == 0
    table = results(outputs / "rank")
    assert list(table["value"]) == [2, 4]
    assert set(table["status"]) == {"ok"}
    assert list(table["rank"]) == [2, 4]
    assert (table["n_items"] == 40).all()
    assert table["control_change"].isna().all()
    assert table["vision_stable_score"].isna().all()
    assert (table["target_improvement"] == table["accuracy"] - table["accuracy_before"]).all()
    assert (table["effective_parameters"] == table["trainable_parameters"]).all()
    folder = outputs / "rank" / "runs" / table["run_id"][0]
    assert {path.name for path in folder.iterdir() if path.name[0] != "."} == {
        "config.yaml",
        "result.json",
        "items.parquet",
        "log.txt",
        "adapter.safetensors",
        "audit.csv",
    }
    items = pd.read_parquet(folder / "items.parquet")
    vqa = items[items["metric"] == "accuracy"]
    assert vqa["score"].mean() == pytest.approx(table["accuracy"][0])
    tasks = pd.read_csv(outputs / "rank" / "tasks.csv")
    assert list(tasks["metric"]) == ["accuracy", "zero_shot_accuracy"] * 2
    assert (tasks["n"] == 40).all()
    shown = capsys.readouterr().out
    assert "method.rank" in shown
    assert "time:" in shown


def test_a_second_call_runs_nothing_and_force_runs_all(ablate_run, capsys):
    _, outputs = ablate_run(*ABLATION)
    first = results(outputs / "rank")
    capsys.readouterr()
    code, _ = ablate_run(*ABLATION)
    assert code == 0
    assert "2 already done, 0 to run" in capsys.readouterr().out
    pd.testing.assert_frame_equal(results(outputs / "rank"), first)
    ablate_run(*ABLATION, "force=true")
    again = results(outputs / "rank")
    assert (again["started_at"] >= first["finished_at"]).all()


@pytest.mark.parametrize("loss", ["lm", "clip"])
def test_numbers_do_not_depend_on_the_company_a_run_keeps(ablate_run, loss):
    _, outputs = ablate_run(*ABLATION, f"loss={loss}", "name=together")
    for value in (4, 2):
        narrowed = [word for word in ABLATION if "values" not in word and "baseline" not in word]
        ablate_run(
            *narrowed,
            f"ablation.values=[{value}]",
            f"ablation.baseline={value}",
            f"loss={loss}",
            "name=apart",
        )
    pd.testing.assert_frame_equal(numbers(outputs / "together"), numbers(outputs / "apart"))
    for run_id in results(outputs / "apart")["run_id"]:
        a, b = (
            load_file(outputs / n / "runs" / run_id / "adapter.safetensors")
            for n in ("together", "apart")
        )
        assert a.keys() == b.keys()
        assert all(torch.equal(a[name], b[name]) for name in a)


def test_another_seed_is_another_run_with_other_shots(ablate_run):
    _, outputs = ablate_run("seeds=[0,1]")
    table = results(outputs / "run")
    assert list(table["seed"]) == [0, 1]
    first, second = (
        load_file(outputs / "run" / "runs" / r / "adapter.safetensors") for r in table["run_id"]
    )
    assert any(not torch.equal(first[name], second[name]) for name in first)


def test_two_learning_rates_are_two_configurations_not_two_seeds(ablate_run, capsys):
    code, outputs = ablate_run("train.learning_rate=0.001,0.003", "method.rank=2")
    assert code == 0
    table = results(outputs / "run")
    assert table["train.learning_rate"].tolist() in ([0.001, 0.003], [0.003, 0.001])
    assert table["config_id"].nunique() == 2
    assert (table["method.rank"] == 2).all()
    shown = capsys.readouterr().out
    header = next(line for line in shown.splitlines() if "train.learning_rate" in line)
    rows = [
        line.split() for line in shown.splitlines() if line.split()[:1] in (["0.001"], ["0.003"])
    ]
    assert header.split()[:2] == ["train.learning_rate", "runs"]
    assert [row[1] for row in rows] == ["1", "1"]
    # Another call with another setting, in the same folder: the column for it appears in all rows.
    ablate_run("train.learning_rate=0.001", "method.rank=2", "train.weight_decay=0.5")
    table = results(outputs / "run")
    assert sorted(table["train.weight_decay"]) == [0.01, 0.01, 0.5]
    assert table["config_id"].nunique() == 3


def test_seeds_share_a_configuration(ablate_run, capsys):
    _, outputs = ablate_run("seeds=[0,1]", "method.rank=2")
    assert results(outputs / "run")["config_id"].nunique() == 1
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[1] for line in lines if line[:1] == ["lorsu"]] == ["2"]


def test_an_ablations_metrics_and_baseline_make_its_table(ablate_run, capsys):
    words = ["ablation.metrics=[peak_memory_bytes,accuracy]", "ablation.baseline=4"]
    _, outputs = ablate_run(*instead(ABLATION, words))
    shown = capsys.readouterr().out
    assert "How does the rank" in shown
    assert "target_improvement" not in shown
    lines = shown.splitlines()
    assert lines.index("peak_memory_bytes") < lines.index("accuracy")
    fours = [line for line in lines if line.split()[:2] == ["4", "1"]]
    assert [line.split()[-1] for line in fours] == ["baseline", "baseline"]
    summary = pd.read_csv(outputs / "rank" / "summary.csv")
    assert list(summary["value"]) == [4, 4, 2, 2]
    run_id = results(outputs / "rank")["run_id"][0]
    record = json.loads((outputs / "rank" / "runs" / run_id / "result.json").read_text())
    assert record["ablation"]["question"].startswith("How does the rank")
    assert record["ablation"]["baseline"] == 4
    # Another baseline needs no new run; the record follows.
    code, _ = ablate_run(*ABLATION, "ablation.metrics=[accuracy]")
    assert code == 0
    record = json.loads((outputs / "rank" / "runs" / run_id / "result.json").read_text())
    assert (record["ablation"]["baseline"], record["ablation"]["metrics"]) == (2, ["accuracy"])


BROKEN = ["+ablation=rank", "ablation.values=[2,3,4,5]", "ablation.baseline=2", "seeds=[0]"]


def break_training(monkeypatch, error):
    def fail(*_):
        raise error

    monkeypatch.setattr("ablate.runner.training.run_stage", fail)


def test_runs_that_all_fail_for_one_reason_are_cried_out_once(ablate_run, capsys, monkeypatch):
    break_training(monkeypatch, RuntimeError("the same"))
    code, outputs = ablate_run(*BROKEN)
    assert code == 1
    assert capsys.readouterr().out.count("!!! The first 3 runs have all failed") == 1
    assert len(results(outputs / "rank")) == 4


def test_fail_fast_stops_after_the_first_failed_run(ablate_run, capsys, monkeypatch):
    break_training(monkeypatch, RuntimeError("the same"))
    code, outputs = ablate_run(*BROKEN, "fail_fast=true")
    seen = capsys.readouterr()
    assert code == 1
    assert "fail_fast: stopped after a failed run; 3 runs did not begin" in seen.out
    assert "1 of 4 runs failed" in seen.err
    assert "3 never began" in seen.err
    assert len(results(outputs / "rank")) == 1


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 8 bytes"), "oom"),
        (RuntimeError("can't start new thread"), "oom"),
        (torch.OutOfMemoryError("CUDA out of memory"), "oom"),
        (MemoryError(), "oom"),
        (OSError(12, "Cannot allocate memory"), "oom"),
        (RuntimeError("shapes do not match"), "failed"),
    ],
)
def test_how_a_run_failed_is_its_status(ablate_run, monkeypatch, error, status):
    break_training(monkeypatch, error)
    _, outputs = ablate_run("method.rank=2")
    assert results(outputs / "run")["status"].tolist() == [status]


def test_a_failed_run_leaves_a_row_and_the_others_go_on(ablate_run, capsys):
    code, outputs = ablate_run(
        "+ablation=rank",
        "ablation.key=train.learning_rate",
        "ablation.values=[1e-3,1e30]",
        "ablation.baseline=1e-3",
        "seeds=[0]",
        "train.epochs=3",
    )
    assert code == 1
    table = results(outputs / "rank")
    assert sorted(table["status"]) == ["diverged", "ok"]
    failed = table[table["status"] == "diverged"].iloc[0]
    assert "loss is" in failed["error"]
    assert pd.isna(failed["accuracy"])
    assert failed["rank"] == 64
    assert "1 of 2 runs failed" in capsys.readouterr().err


def test_sessions_are_measured_one_by_one(ablate_run):
    _, outputs = ablate_run("data.sessions=3")
    sessions = pd.read_csv(outputs / "run" / "sessions.csv")
    assert len(sessions) == 4 * 3
    assert sessions.groupby("after_session")["n"].sum().eq(40).all()
    row = results(outputs / "run").iloc[0]
    last = sessions[sessions["after_session"] == 3]
    assert (last["accuracy"] * last["n"]).sum() / 40 == pytest.approx(row["accuracy"])
    curves = sessions[sessions["session"] < 3].pivot(
        index="after_session", columns="session", values="accuracy"
    )
    drops = [curves[s].loc[s:2].max() - curves[s].loc[3] for s in (1, 2)]
    assert row["forgetting"] == pytest.approx(sum(drops) / 2)


def test_a_saved_model_is_the_merged_one_and_can_be_adapted_again(ablate_run):
    _, outputs = ablate_run("save_model=true", "loss=clip", "train.epochs=3")
    run_id = results(outputs / "run")["run_id"][0]
    folder = outputs / "run" / "runs" / run_id / "model"
    llava = LlavaForConditionalGeneration.from_pretrained(folder)
    clip = CLIPModel.from_pretrained(folder / "clip")
    pixel_values = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    ours = llava.model.vision_tower(pixel_values=pixel_values).pooler_output
    theirs = clip.vision_model(pixel_values=pixel_values).pooler_output
    assert torch.equal(ours, theirs)
    first = results(outputs / "run").iloc[0]
    code, _ = ablate_run(
        f"model.llava={folder}", f"model.clip={folder / 'clip'}", "method=frozen", "name=again"
    )
    assert code == 0
    again = results(outputs / "again").iloc[0]
    assert again["accuracy"] == first["accuracy"]
    assert again["trainable_parameters"] == 0
    assert again["encoder_frozen"]


def test_a_llava_on_siglip_needs_no_clip(ablate_run, model_folder, tmp_path):
    folder = tmp_path / "siglip"
    shutil.copytree(model_folder, folder, ignore=shutil.ignore_patterns("clip"))
    config = LlavaConfig.from_pretrained(folder)
    vision = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2}
    sizes = {"num_attention_heads": 2, "image_size": 16, "patch_size": 8}
    config.vision_config = SiglipVisionConfig(**vision, **sizes)
    config.vision_feature_layer, config.vision_feature_select_strategy = -1, "full"
    LlavaForConditionalGeneration(config).save_pretrained(folder)
    words = [f"model.llava={folder}", "model.clip=null", "method.top_k_heads=1", "name=siglip"]
    code, outputs = ablate_run(*words)
    assert code == 0
    row = results(outputs / "siglip").iloc[0]
    assert row["encoder"] == "siglip"
    assert row["effective_parameters"] == row["trainable_parameters"] > 0
    assert not set(pd.read_csv(outputs / "siglip" / "tasks.csv")["metric"]) - {"accuracy"}


def test_runs_that_the_launcher_lost_have_rows_that_say_so(ablate_run, capsys, monkeypatch):
    class Closed(Launcher):
        def setup(self, **_):
            pass

        def launch(self, *_):
            raise OSError("the queue is closed")

    with monkeypatch.context() as patched:
        patched.setattr(Plugins, "instantiate_launcher", lambda *_, **__: Closed())
        code, outputs = ablate_run(*ABLATION)
    seen = capsys.readouterr()
    assert code == 1
    assert "the launcher failed: OSError: the queue is closed" in seen.out
    assert "2 of 2 runs failed" in seen.err
    lost = results(outputs / "rank")
    assert list(lost["status"]) == ["failed"] * 2
    assert list(lost["error"]) == ["the launcher failed: OSError: the queue is closed"] * 2
    assert ablate_run(*ABLATION)[0] == 0
    assert len(results(outputs / "rank")) == 2


def test_an_axis_that_changes_nothing_is_refused(ablate_run, capsys):
    code, outputs = ablate_run(
        "+ablation=rank",
        "ablation.key=eval.batch_size",
        "ablation.values=[8,16]",
        "ablation.baseline=8",
    )
    assert code == 2
    assert "has no effect on the results" in capsys.readouterr().err
    assert not outputs.exists()


def test_a_value_that_changes_nothing_is_an_error_not_a_finding(ablate_run):
    code, outputs = ablate_run(*ABLATION, "method.top_k_heads=0")
    assert code == 1
    table = results(outputs / "rank")
    assert list(table["status"]) == ["ok", "failed"]
    assert "method.rank=4 has no effect" in table["error"][1]
    assert pd.isna(table["accuracy"][1])


@pytest.mark.parametrize(
    "words",
    [
        ["method=lorsu", "loss=clip"],
        ["method=lorsu", "data.sessions=2"],
        ["method=spu"],
        ["method=lora"],
        ["method=dora"],
        ["method=adalora", "train.epochs=4"],
        ["method=layernorm"],
        ["method=full", "loss=clip"],
        ["method=lora-f"],
        ["method=lorsu-l"],
        ["method=frozen"],
    ],
    ids=" ".join,
)
def test_the_adapter_alone_gives_the_trained_model_back(ablate_run, words):
    code, outputs = ablate_run("save_model=true", *words)
    assert code == 0
    folder = outputs / "run" / "runs" / results(outputs / "run")["run_id"][0]
    again = restore(str(folder))
    saved = LlavaForConditionalGeneration.from_pretrained(folder / "model")
    saved_clip = CLIPModel.from_pretrained(folder / "model" / "clip")
    for kept, restored in ((saved, again.llava), (saved_clip, again.clip)):
        weights = dict(restored.named_parameters())
        for name, parameter in kept.named_parameters():
            torch.testing.assert_close(weights[name], parameter, rtol=1e-6, atol=1e-7)
