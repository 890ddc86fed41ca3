"""The command beside a row composes the very configuration of its run."""

import shlex

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser

from ablate.config.folder import config_folder
from ablate.config.reading import to_plain
from ablate.report.html.provenance import command_of, shared_settings
from ablate.report.loaded import Loaded
from ablate.results.record import AblationRecord, RunRecord
from ablate.sweep.expansion import expand


def expanded(words):
    overrides = OverridesParser.create().parse_overrides(list(words))
    with initialize_config_dir(str(config_folder()), version_base="1.3", job_name="ablate"):
        return expand(overrides, lambda run: compose("config", overrides=run))


def record_of(spec):
    given = spec.config.ablation
    ablation = None
    if given is not None:
        fields = (given.name, given.question, given.key, list(given.values), given.baseline)
        ablation = AblationRecord(*fields, list(given.metrics), given.source)
    row = {"run_id": "r", "seed": spec.config.seed, "status": "ok"}
    return RunRecord(row, ablation=ablation, composed_from=list(spec.overrides))


@pytest.mark.parametrize(
    "words",
    [
        ["+ablation=rank", "ablation.values=[8,64]", "train.epochs=2", "name=mine"],
        [
            "+ablation=method",
            "ablation.values=[lora,lorsu]",
            "ablation.baseline=lora",
            "seeds=[0,3]",
        ],
        [
            "method=lora,lorsu",
            "method.rank=8",
            "seed=3",
            "data.question='what is \\'it\\' for $x?'",
        ],
        [
            "+ablation=encoder",
            "ablation.values=[tiny-vit]",
            "ablation.baseline=tiny-vit",
            "method@language=lora-l",
        ],
        ["~data@controls.source", "seed=0"],
    ],
)
def test_a_command_makes_its_run_again(words):
    for spec in expanded(words):
        command = shlex.split(command_of(record_of(spec)))
        assert command[:2] == ["ablate", "run"]
        (again,) = expanded(command[2:])
        own, other = to_plain(spec.config), to_plain(again.config)
        assert own["name"] != other["name"] == "reproduced", "the sweep keeps its baseline"
        for config in (own, other):
            config.pop("name")
            config.pop("seeds")
            for key in ("values", "baseline"):
                (config["ablation"] or {}).pop(key, None)
        assert own == other


def test_older_records_have_no_command():
    record = RunRecord({"run_id": "r", "seed": 0, "status": "ok"})
    assert command_of(record) is None


def test_settings_that_all_runs_share_are_told_from_those_that_differ(tmp_path):
    records = tuple(
        RunRecord({"run_id": str(n), "seed": 0, "status": "ok"}, settings={"a": 1, "b": n, **extra})
        for n, extra in enumerate([{}, {"c": None}])
    )
    frames = dict.fromkeys(("results", "tasks", "sessions", "stable_tasks"))
    loaded = Loaded((tmp_path,), records, {}, **frames, ablations={})
    assert shared_settings(loaded) == ({"a": 1}, ["b", "c"])
