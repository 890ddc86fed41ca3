"""A configuration file cannot run code: one test for each way in, and what stays allowed."""

import sys

import pytest

from ablate.cli.run import run
from ablate.config.errors import ConfigError
from ablate.config.folder import config_folder
from ablate.config.user_files import FileConfigSource, guard_config_files

CALLBACK = "x: {_target_: os.makedirs, name: made}\n"
HANDLER = "version: 1\nhandlers: {f: {class: logging.FileHandler, filename: made}}\n"
GLOBAL = "# @package _global_\n"

SLURM = (
    "kind: slurm, account: null, qos: null, constraint: null, minutes: 1, memory_gb: 1, gpus: 1, cpus: 1, "
    "at_once: 1, warning_seconds: 1, requeues: 0, partition: "
)

# Files, the words that pull them in, and what is said.
WAYS_IN = {
    "callback": (
        {"ablation/x.yaml": f"{GLOBAL}hydra: {{callbacks: {{{CALLBACK.strip()}}}}}\n"},
        ["+ablation=x"],
        "x.yaml has the key _target_",
    ),
    "callback without a target": (
        {"ablation/x.yaml": f"{GLOBAL}hydra: {{callbacks: {{x: {{name: made}}}}}}\n"},
        ["+ablation=x"],
        "x.yaml sets hydra.callbacks",
    ),
    "package header": (
        {"ablation/x.yaml": "# @package hydra.callbacks\nx: {name: made}\n"},
        ["+ablation=x"],
        "x.yaml sets hydra.callbacks",
    ),
    "target by package header": (
        {"ablation/x.yaml": "# @package hydra.launcher._target_\nname: made\n"},
        ["+ablation=x"],
        "x.yaml sets hydra.launcher._target_",
    ),
    "package of the defaults list": (
        {"ablation/x.yaml": "defaults: [/y@hydra.callbacks]\n", "y.yaml": "x: {name: made}\n"},
        ["+ablation=x"],
        "in its defaults",
    ),
    "package on the command line": (
        {"y/z.yaml": "version: 1\n"},
        ["+y@hydra.job_logging=z"],
        "z.yaml sets hydra.job_logging",
    ),
    "group of hydra": (
        {"hydra/callbacks/y.yaml": CALLBACK},
        ["+hydra/callbacks=y"],
        "a config folder may only hold hydra/launcher",
    ),
    "group of hydra in the defaults": (
        {
            "ablation/x.yaml": "defaults: [/hydra/callbacks: y]\n",
            "hydra/callbacks/y.yaml": "x: 1\n",
        },
        ["+ablation=x"],
        "may only choose hydra/launcher",
    ),
    "override of a group of hydra": (
        {"ablation/x.yaml": "defaults: [override /hydra/sweeper: basic]\n"},
        ["+ablation=x"],
        "may only choose hydra/launcher",
    ),
    "log handler": (
        {"hydra/job_logging/y.yaml": HANDLER},
        ["hydra/job_logging=y"],
        "a config folder may only hold hydra/launcher",
    ),
    "log handler of hydra": (
        {"ablation/x.yaml": f"{GLOBAL}hydra: {{hydra_logging: {{version: 1}}}}\n"},
        ["+ablation=x"],
        "x.yaml sets hydra.hydra_logging",
    ),
    "environment of a job": (
        {"ablation/x.yaml": f"{GLOBAL}hydra: {{job: {{env_set: {{LD_PRELOAD: /x}}}}}}\n"},
        ["+ablation=x"],
        "x.yaml sets hydra.job",
    ),
    "launcher": (
        {"hydra/launcher/y.yaml": "_target_: hydra_plugins.evil.Launcher\n"},
        ["hydra/launcher=y"],
        "y.yaml has the key _target_",
    ),
    "command of a launcher": (
        {"hydra/launcher/y.yaml": "setup: [touch made]\n"},
        ["hydra/launcher=y"],
        "y.yaml sets hydra.launcher.setup",
    ),
    "line of a cluster's script": (
        {"hydra/launcher/y.yaml": 'partition: "a\\ntouch made"\n'},
        ["hydra/launcher=y"],
        "one number, switch or line of text",
    ),
    "line of a cluster's script, by cluster": (
        {"ablation/x.yaml": f'{GLOBAL}cluster: {{{SLURM}"a\\ntouch made"}}\n'},
        ["+ablation=x"],
        "cluster.partition is 'a\\ntouch made'; allowed",
    ),
    "environment in a cluster's script": (
        {"ablation/x.yaml": f"{GLOBAL}cluster: {{{SLURM}'${{oc.env:HOME}}'}}\n"},
        ["+ablation=x"],
        "cluster.partition takes its value from the environment",
    ),
    "target by resolver": (
        {
            "hydra/launcher/y.yaml": """comment: "${oc.create:${oc.decode:'{_target_: os.getcwd}'}}"\n"""
        },
        ["hydra/launcher=y"],
        "one number, switch or line of text",
    ),
    "hydra is an interpolation": (
        {"ablation/x.yaml": f"{GLOBAL}hydra: ${{train}}\n"},
        ["+ablation=x"],
        "x.yaml sets hydra;",
    ),
    "Hydra's own defaults": (
        {"hydra/config.yaml": "callbacks: {x: {name: made}}\n"},
        [],
        "a config folder may only hold hydra/launcher",
    ),
    "primary config": (
        {"mine.yaml": "defaults: [config]\nhydra: {searchpath: ['pkg://os']}\n"},
        ["--config-name", "mine"],
        "mine.yaml sets hydra.searchpath",
    ),
    "target anywhere": (
        {"method/y.yaml": "name: lora\ntarget_modules: [{_target_: os.getcwd}]\n"},
        ["method=y"],
        "y.yaml has the key _target_",
    ),
    "arguments of a target": (
        {"method/y.yaml": "name: lora\n_args_: [1]\n"},
        ["method=y"],
        "y.yaml has the key _args_",
    ),
    "folder above": (
        {"ablation/x.yaml": "defaults: [../../outside]\n"},
        ["+ablation=x"],
        "is outside the config folders",
    ),
}


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """Write config files into `my`, beside a file that no config folder holds."""
    monkeypatch.setattr(sys, "argv", ["ablate"])
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outside.yaml").write_text(
        f"{GLOBAL}hydra: {{callbacks: {{{CALLBACK.strip()}}}}}\n"
    )

    def write(files):
        for name, text in files.items():
            path = tmp_path / "my" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write


@pytest.mark.parametrize("case", WAYS_IN)
def test_a_way_in_is_closed(folder, capsys, case):
    files, words, said = WAYS_IN[case]
    root = folder(files)
    assert run(["--config-dir", "my", *words]) == 2
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert said in shown
    assert not (root / "made").exists()
    assert not (root / "outputs").exists()


def test_the_search_path_is_no_other_way_in(folder, capsys):
    root = folder({"ablation/x.yaml": f"{GLOBAL}hydra: {{callbacks: {{x: {{name: made}}}}}}\n"})
    assert run([f"hydra.searchpath=[file://{root}/my]", "+ablation=x"]) == 2
    assert "x.yaml sets hydra.callbacks" in capsys.readouterr().err


TASK = "{source: lm-eval, kind: text, chance: 0, items: null, task: t, metric: acc, filter: none, shots: 0}"


@pytest.mark.parametrize(
    "task",
    [
        f"{TASK[:-1]}, include_path: ., allow_task_code: true}}",
        f"""${{oc.decode:"{TASK[:-1]}, include_path: '.', allow_task_code: true}}"}}""",
    ],
)
def test_a_file_cannot_allow_the_code_of_a_task(folder, capsys, task):
    task = task if task.startswith("{") else "'" + task.replace("'", "''") + "'"
    folder({"tasks/mine.yaml": f"defaults: [tiny]\ntasks: {{own: {task}}}\n"})
    assert run(["--config-dir", "my", "tasks=mine"]) == 2
    assert "which lets a task run code; a file cannot" in capsys.readouterr().err


def test_what_a_file_may_hold(folder, capsys):
    folder(
        {
            "ablation/x.yaml": "\n".join(
                [
                    "# @package _global_",
                    "defaults: [override /method: mine, override /hydra/launcher: cluster]",
                    "train: {epochs: 3}",
                    "output_dir: ${oc.env:HOME}/results",
                    "ablation: {name: x, key: method.rank, values: &v [1, 2], baseline: 1}",
                    "seeds: *v",
                ]
            ),
            "method/mine.yaml": "defaults: [lora]\nrank: 3\n",
            "hydra/launcher/cluster.yaml": "timeout_min: 60\npartition: gpu\nmem_gb: 8\n",
        }
    )
    words = ["--config-dir", "my", "+ablation=x"]
    assert run([*words, "--cfg", "job"]) == 0
    shown = capsys.readouterr()
    assert "rank: 3" in shown.out
    assert "epochs: 3" in shown.out
    assert shown.err == ""
    assert run([*words, "--cfg", "hydra", "-p", "hydra.launcher"]) == 0
    assert "partition: gpu" in capsys.readouterr().out


def test_ones_own_command_line_may_do_all_that_hydra_does(folder, capsys):
    folder({})
    assert run(["+hydra.callbacks.x._target_=nowhere.Callback"]) == 2
    assert "Error locating target 'nowhere.Callback'" in capsys.readouterr().err


def test_a_copy_of_a_shipped_config_is_no_mistake(folder, capsys):
    shipped = (config_folder() / "method" / "lora.yaml").read_text(encoding="utf-8")
    folder({"method/lora.yaml": shipped})
    assert run(["--config-dir", "my", "method=lora", "--cfg", "job"]) == 0
    assert "name: lora" in capsys.readouterr().out


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    guard_config_files()
    (tmp_path / "x.yaml").mkdir()
    with pytest.raises(ConfigError, match=r"x\.yaml cannot be read"):
        FileConfigSource("test", f"file://{tmp_path}").load_config("x")
