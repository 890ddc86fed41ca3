"""From a plan to runs: the published plans give the shipped questions, and nothing in a plan says more than it may."""

import json
import os
import subprocess
import sys

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from PIL import Image
from tests.plans.hub import write_cache
from tests.plans.plans import PUBLISHED, markdown

from ablate.cli.import_plan import import_plan
from ablate.cli.run import run
from ablate.config.folder import config_folder
from ablate.config.reading import run_part
from ablate.plans.base import compose_words
from ablate.plans.outcome import AFTER_A_CHOICE

FOUR = {
    "lorsu-plan-rank": "rank",
    "lorsu-plan-heads": "heads",
    "encoder-plan-encoder": "encoder",
    "encoder-plan-freeze": "freeze",
}
FAMILIES = {
    "tiny-siglip": "siglip-so400m",
    "tiny-dino-siglip": "dino-siglip",
    "tiny-resnet": "resnet-50",
    "tiny-vit": "vit-large",
}
# What the encoder plan asks for of the shipped values.
NAMED = {"encoder": [*FAMILIES], "freeze": ["frozen", "full"]}
REAL_DATA = "data=llava-instruct,data.path=mix.json,data.image_folder=images"


def shipped(name):
    text = (config_folder() / "ablation" / f"{name}.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(text)


def read(folder, name):
    return yaml.safe_load((folder / "ablation" / f"{name}.yaml").read_text(encoding="utf-8"))


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """Call `ablate import` in an empty folder; return its exit code and what it said."""
    monkeypatch.chdir(tmp_path)

    def call(*words):
        code = import_plan([str(word) for word in words])
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return call


def both(call, folder, *words):
    codes = [
        call(PUBLISHED / f"{name}-plan.md", "--to", folder, *words)[0]
        for name in ("encoder", "lorsu")
    ]
    return {name: read(folder, name) for name in FOUR}, codes


def test_the_published_plans_are_the_shipped_ablations(call, tmp_path):
    files, codes = both(call, tmp_path / "mine")
    assert codes == [0, 0]
    for name, own in FOUR.items():
        mine, theirs = files[name]["ablation"], shipped(own)["ablation"]
        assert mine["key"] == theirs["key"]
        assert mine["values"] == NAMED.get(own, theirs["values"])
        assert {*mine["values"]} <= {*theirs["values"]}
        assert mine["baseline"] == theirs["baseline"]
        assert files[name].get("defaults") == shipped(own).get("defaults")
        assert files[name]["seeds"] == shipped(own)["seeds"]
    assert files["encoder-plan-freeze"]["ablation"]["metrics"] == [
        "vision_stable_score",
        "text_stable_score",
    ]


def test_the_published_plans_on_the_real_model(call, tmp_path):
    """Their keys and values; tests below prepare them without weights."""
    files, codes = both(call, tmp_path / "mine", "--base", "model=llava-1.5-7b")
    # Where the instructions and two of the vision tasks lie is for the user to say.
    assert codes == [1, 0]
    for name, own in FOUR.items():
        mine, theirs = files[name]["ablation"], shipped(own)["ablation"]
        wanted = NAMED.get(own, theirs["values"])
        assert mine["key"] == theirs["key"]
        assert mine["values"] == [FAMILIES.get(value, value) for value in wanted]
        assert mine["baseline"] == FAMILIES.get(theirs["baseline"], theirs["baseline"])
        assert "override /model" in {k for entry in files[name]["defaults"] for k in entry}


def test_a_place_that_is_missing_is_asked_for(call):
    plan = PUBLISHED / "encoder-plan.md"
    code, said, _ = call(plan, "--base", "model=llava-1.5-7b")
    assert code == 1
    assert "to choose: data.image_folder, data.path, tasks.tasks.ocid-ref" in said
    code, said, _ = call(plan, "--to", "b", "--base", f"model=llava-1.5-7b,{REAL_DATA},tasks=tiny")
    assert (code, said.count(": runnable\n")) == (0, 2)


def test_the_published_plans_can_be_prepared(call, tmp_path):
    folder = tmp_path / "mine"
    for name in ("encoder", "lorsu"):
        plan = PUBLISHED / f"{name}-plan.md"
        code, said, _ = call(plan, "--to", folder, "--check", "--base", "seeds=[0]")
        assert code == 0
        assert said.count("composed and prepared") == 2
    assert not (tmp_path / "outputs").exists()


def test_an_imported_ablation_runs(call, tmp_path, monkeypatch):
    text = markdown(Ablated_Part="rank", Action="REPLACE", Replacement="8", Metrics="accuracy")
    (tmp_path / "plan.md").write_text(text)
    small = "data.shots=1,data.test_items=16,train.epochs=1,seeds=[0]"
    assert call("plan.md", "--base", small)[0] == 0
    monkeypatch.setattr(sys, "argv", ["ablate"])
    words = ["+ablation=plan-rank", "controls.source.test_items=16"]
    assert run(["--config-dir", "plan", *words]) == 0
    lines = (tmp_path / "outputs" / "plan-rank" / "results.csv").read_text().splitlines()
    assert len(lines) == 3


_FULL_SIZE = """
import sys
from ablate.cli.main import dispatch
base = "model=llava-1.5-7b,seeds=[0]"
code = dispatch(["import", "heads.json", "--check", "--base", base])
data = "data=llava-instruct,data.path=mix.json,data.image_folder=.,tasks=tiny"
sys.exit(code or dispatch(["import", "encoder.json", "--check", "--base", f"{base},{data}"]))
"""


def test_llava_at_full_size_without_weights(tmp_path):
    """On LLaVA-1.5-7B's own sizes, without a weight to read; other encoders' sizes are tested with their script."""
    write_cache(tmp_path / "cache")
    Image.new("RGB", (32, 32)).save(tmp_path / "1.png")
    turns = [{"from": "human", "value": "<image>\nwhat?"}, {"from": "gpt", "value": "a cat"}]
    files = {
        "mix.json": [{"id": "1", "image": "1.png", "conversations": turns}],
        "heads.json": [fields("number of attention heads", 8, "accuracy")],
        "encoder.json": [
            fields("image encoder", "ResNet", "vision stable score"),
            fields("frozen image encoder", "unfrozen", "vision stable score"),
        ],
    }
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content))
    cache = {"HF_HUB_CACHE": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", _FULL_SIZE],
        cwd=tmp_path,
        env={**os.environ, **cache},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("composed and prepared") == 3
    assert "encoder: siglip-so400m, resnet-50" in done.stdout


def fields(part, replacement, metric):
    return {
        "ablated_part": part,
        "action": "REPLACE",
        "replacement": [replacement],
        "metrics": metric,
    }


def test_what_cannot_be_prepared_is_not_called_runnable(call, tmp_path):
    text = markdown(
        Ablated_Part="Number of heads", Action="REPLACE", Replacement="64", Metrics="accuracy"
    )
    (tmp_path / "plan.md").write_text(text)
    assert call("plan.md", "--base", "seeds=[0]")[0] == 0
    code, said, _ = call("plan.md", "--base", "seeds=[0]", "--check")
    assert code == 1
    assert AFTER_A_CHOICE in said
    assert "method.top_k_heads is 64" in said


def test_a_block_is_chosen_by_its_comment_signs(call, tmp_path, monkeypatch, capsys):
    text = markdown(
        Ablated_Part="rank of the experts", Action="REPLACE", Replacement="8", Metrics="accuracy"
    )
    (tmp_path / "plan.md").write_text(text)
    assert call("plan.md")[0] == 1
    monkeypatch.setattr(sys, "argv", ["ablate"])
    words = ["--config-dir", "plan", "+ablation=plan-rank", "--cfg", "job"]
    assert run(words) == 0
    assert "plan-rank" not in capsys.readouterr().out
    file = tmp_path / "plan" / "ablation" / "plan-rank.yaml"
    head, block = file.read_text().split("# --- method.rank ---\n")
    lines = [line.removeprefix("# ") for line in block.splitlines()]
    file.write_text(head + "\n".join(lines))
    config = compose_words(["+ablation=plan-rank"], tmp_path / "plan").config
    assert list(config.ablation["values"]) == [64, 8]


def test_a_file_with_an_open_choice_does_not_run(call, tmp_path, monkeypatch, capsys):
    text = markdown(Ablated_Part="head selection", Action="REMOVE", Metrics="accuracy")
    (tmp_path / "plan.md").write_text(text)
    assert call("plan.md")[0] == 1
    monkeypatch.setattr(sys, "argv", ["ablate"])
    assert run(["--config-dir", "plan", "+ablation=plan-selection"]) == 2
    assert "ablation.values is None" in capsys.readouterr().err
    assert not (tmp_path / "outputs").exists()


HOSTILE = [
    "${oc.env:HOME}",
    "\\${oc.env:HOME}\\\\${x}",
    "x\n# @package hydra\nhydra: {mode: RUN}",
    "] \nname: evil\n---\n...",
    "\"'`: {}[]&*!|>%@#,",
    "\u202eevil\u2028name: x\x85y\x00\x1b[31m\ufffe\ue000",
    "😀 \ud83d",
    "+hydra.launcher=x,name=../../evil",
    "y" * 5000,
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(call, tmp_path, text):
    """In every field, beside what is understood; the file composes, and differs in nothing but its own texts."""
    (tmp_path / "plan.json").write_text(
        json.dumps(
            {
                "title": text,
                "plan": [
                    {
                        "name": text,
                        "ablated_part": "rank",
                        "action": "REPLACE",
                        "replacement": ["8", text],
                        "metrics": ["accuracy", text],
                    },
                    {
                        "name": text,
                        "ablated_part": f"rank {text}",
                        "action": "REMOVE",
                        "metrics": [text],
                    },
                    {"name": text, "ablated_part": text, "action": text, "metrics": text},
                ],
            }
        )
    )
    code, said, error = call("plan.json")
    assert (code, error) == (1, "")
    assert "\x1b" not in said
    assert "\u202e" not in said
    composed = compose_words(["+ablation=plan-rank"], tmp_path / "plan").config
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        usual = run_part(compose("config", overrides=["+ablation=rank"]))
    usual = OmegaConf.to_container(usual)
    values = OmegaConf.to_container(composed, resolve=True)
    assert values["ablation"]["values"] == [64, 8]
    assert values["name"] == "plan-rank"
    mine = OmegaConf.to_container(composed)
    assert {k for k in usual if usual[k] != mine[k]} == {"ablation"}
    if "$" in text:
        assert text in values["ablation"]["source"]


def test_a_hostile_name_of_the_file(call, tmp_path):
    name = "${oc.env:HOME}\n'#x: {[é.md"
    text = markdown(Ablated_Part="rank", Action="REPLACE", Replacement="8", Metrics="accuracy")
    (tmp_path / name).write_text(text)
    code, said, _ = call(name, "--to", "mine")
    assert code == 0
    assert "oc-env-home-x-rank" in said
    assert read(tmp_path / "mine", "oc-env-home-x-rank")["ablation"]["values"] == [64, 8]


def test_files_are_not_written_over(call, tmp_path):
    plan = PUBLISHED / "lorsu-plan.md"
    assert call(plan, "--to", "mine")[0] == 0
    assert call(plan, "--to", "mine")[0] == 0
    file = tmp_path / "mine" / "ablation" / "lorsu-plan-rank.yaml"
    file.write_text(file.read_text() + "# a choice\n")
    code, _, said = call(plan, "--to", "mine")
    assert code == 2
    assert "is there already, with another content" in said
    assert file.read_text().endswith("# a choice\n")


LINES = {
    "no plan": ([], "0 plans are given"),
    "two plans": (["a.md", "b.md"], "2 plans are given"),
    "unknown flag": (["a.md", "--too", "x"], "Did you mean '--to'"),
    "no value": (["a.md", "--to"], "expected one argument"),
    "no file": (["a.md"], "cannot be read"),
    "a file for a folder": ([PUBLISHED / "lorsu-plan.md", "--to", "taken"], "is not a folder"),
    "no such model": ([PUBLISHED / "lorsu-plan.md", "--base", "model=llava-7"], "Unknown model"),
    "no word": ([PUBLISHED / "lorsu-plan.md", "--base", "model"], "KEY=VALUE"),
    "sweep": ([PUBLISHED / "lorsu-plan.md", "--base", "seed=range(3)"], "with one value"),
    "hydra": ([PUBLISHED / "lorsu-plan.md", "--base", "hydra.mode=RUN"], "with one value"),
    "added": ([PUBLISHED / "lorsu-plan.md", "--base", "+a=1"], "with one value"),
}


@pytest.mark.parametrize("case", LINES)
def test_a_mistake_is_one_line(call, tmp_path, case):
    (tmp_path / "taken").write_text("")
    words, said = LINES[case]
    code, out, error = call(*words)
    assert (code, out) == (2, "")
    assert error.startswith("ablate import: ")
    assert error.count("\n") == 1
    assert said in error
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_users_own_choices_are_found(call, tmp_path):
    own = tmp_path / "mine" / "method"
    own.mkdir(parents=True)
    text = (config_folder() / "method" / "vera.yaml").read_text()
    (own / "oft.yaml").write_text(text.replace("name: vera", "name: oft"))
    plan = markdown(
        Ablated_Part="Fine-tuning method",
        Action="REPLACE",
        Replacement="OFT, LoRA",
        Metrics="accuracy",
    )
    (tmp_path / "plan.md").write_text(plan)
    assert call("plan.md", "--to", "mine")[0] == 0
    assert read(tmp_path / "mine", "plan-method")["ablation"]["values"] == ["lorsu", "oft", "lora"]


def test_import_needs_no_torch(tmp_path):
    code = (
        "import sys; from ablate.cli.main import dispatch; "
        f"dispatch(['import', {str(PUBLISHED / 'lorsu-plan.md')!r}, '--to', {str(tmp_path)!r}]); "
        "assert not {'torch', 'transformers', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_help_names_it(capsys):
    from ablate.cli.main import dispatch

    assert dispatch(["--help"]) == 0
    assert "import  turn a written plan into ablation files" in capsys.readouterr().out
    assert dispatch(["import", "--help"]) == 0
    assert "--check" in capsys.readouterr().out
