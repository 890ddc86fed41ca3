"""The command: exit codes, one-line errors, and no torch where none is needed."""

import os
import subprocess
import sys

import pytest

from ablate import __version__
from ablate.cli.main import dispatch

LIGHT = """
import sys
from ablate.cli.main import dispatch
dispatch({arguments!r})
heavy = {{"torch", "transformers", "pandas"}} & set(sys.modules)
assert not heavy, heavy
"""


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["list"], ["list", "methods"], ["list", "--help"]]
)
def test_light_commands_import_nothing_heavy(arguments):
    code = LIGHT.format(arguments=arguments)
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_hydra_finds_the_sweeper_without_torch():
    code = "import sys, hydra_plugins.ablate_sweeper; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("given", "expected"), [({}, "passive"), ({"OMP_WAIT_POLICY": "active"}, "active")]
)
def test_threads_sleep_while_they_wait_unless_told_otherwise(given, expected):
    code = """
import os, sys
from ablate.cli.main import main
sys.argv = ["ablate", "--version"]
try:
    main()
finally:
    print(os.environ["OMP_WAIT_POLICY"])
"""
    environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"} | given
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == expected


def test_help_and_version(capsys):
    assert dispatch([]) == 0
    assert "ablate run +ablation=rank" in capsys.readouterr().out
    assert dispatch(["--version"]) == 0
    assert capsys.readouterr().out == f"ablate {__version__}\n"


def test_an_unknown_command_is_a_usage_error(capsys):
    assert dispatch(["rnu"]) == 2
    assert "Did you mean 'run'" in capsys.readouterr().err


def test_list_shows_every_shipped_choice(capsys):
    assert dispatch(["list", "ablations"]) == 0
    shown = capsys.readouterr().out
    assert "rank" in shown
    assert "How does the rank" in shown
    assert dispatch(["list", "ablatoins"]) == 2
    assert "Did you mean 'ablations'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["+ablation=rnak"], "Unknown ablation 'rnak'. Did you mean 'rank'?"),
        (["method=lorsuu"], "Unknown method 'lorsuu'. Did you mean 'lorsu'?"),
        (["model=tinny"], "Unknown model 'tinny'. Did you mean 'tiny'?"),
        (["data=shaeps"], "Unknown data 'shaeps'. Did you mean 'shapes'?"),
        (["method.rnak=8"], "Unknown key 'method.rnak'. Did you mean 'method.rank'?"),
        (["+method.rnak=8"], "Unknown key 'method.rnak'. Did you mean 'method.rank'?"),
        (["methd=lora"], "Unknown key 'methd'. Did you mean 'method'?"),
        (["data.shot=5"], "Unknown key 'data.shot'. Did you mean 'data.shots'?"),
        (["method.rank=0"], "method.rank is 0"),
        (["method.rank=eight"], "method.rank is 'eight'"),
        (["method.top_k_heads=9"], "method.top_k_heads is 9"),
        (["method.sparsity=1.5"], "method.sparsity is 1.5"),
        (["+ablation=rank", "ablation.values=[]"], "at least one value"),
        (["+ablation=rank", "ablation.baseline=7"], "not among the values"),
        (["data=imagefolder", "data.path=/nowhere"], "/nowhere"),
        (["data.shots=100000"], "data.shots=100000"),
        (["output_dir=/dev/null/outputs"], "cannot be written"),
        (["method.rank"], "KEY=VALUE"),
        (["ablation=rank"], "+ablation="),
        (["device=cuda:7"], "device is 'cuda:7'"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(ablate_run, capsys, words, message):
    code, outputs = ablate_run(*words)
    shown = capsys.readouterr()
    assert code == 2
    assert message in shown.err
    assert shown.err.count("\n") == 1
    assert shown.out == ""
    assert not outputs.exists()


def test_an_unknown_key_of_ones_own_choice_is_answered_by_that_choice(tmp_path):
    file = tmp_path / "own configs" / "data" / "manuals.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("defaults: [choices, _self_]\nname: manuals\npath: manuals.jsonl\n")
    command = [sys.executable, "-m", "ablate.cli.main", "run", "--config-dir", "own configs"]
    words = ["data=manuals", "data.wehre=3"]
    done = subprocess.run(
        [*command, *words], check=False, capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 2
    assert "Did you mean 'data.where'" in done.stderr
    assert "data.columns" in done.stderr


def test_damaged_weights_are_named(ablate_run, capsys, model_folder, tmp_path):
    import shutil

    copy = tmp_path / "damaged"
    shutil.copytree(model_folder, copy)
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    code, outputs = ablate_run(f"model.llava={copy}")
    assert code == 2
    assert str(weights) in capsys.readouterr().err
    assert not outputs.exists()


def test_completion_knows_groups_and_keys():
    def complete(line):
        done = subprocess.run(
            [sys.executable, "-m", "ablate.cli.main", "-sc", "query=bash"],
            env={**__import__("os").environ, "COMP_LINE": line, "COMP_POINT": str(len(line))},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.split()

    assert "+ablation=rank" in complete("ablate run +ablation=")
    assert "method=lora" in complete("ablate run method=")
