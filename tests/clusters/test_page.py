"""The commands of docs/clusters.md are commands of this version."""

import re
import shlex
import sys
from pathlib import Path

import pytest
import yaml

from ablate.cli.run import run

pytestmark = pytest.mark.cluster

PAGE = (Path(__file__).parents[2] / "docs" / "clusters.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^ablate run (.+)$", PAGE, flags=re.MULTILINE)


@pytest.mark.parametrize("command", [*COMMANDS, "+ablation=rank --config-dir my cluster=lab"])
def test_a_command_composes(command, tmp_path, monkeypatch, capsys):
    title, text = re.search(r'```yaml title="(.+)"\n(.+?)```', PAGE, flags=re.DOTALL).groups()
    (tmp_path / title).parent.mkdir(parents=True)
    (tmp_path / title).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["ablate"])
    assert run([*shlex.split(command), "--cfg", "job"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    kind = re.search(r"cluster=(\w+)", command)
    expected = {"lab": "slurm"}.get(kind[1], kind[1]) if kind else "none"
    assert shown["cluster"]["kind"] == expected


def test_the_keys_of_slurm_are_those_of_the_page(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["ablate"])
    assert run(["cluster=slurm", "--cfg", "job"]) == 0
    keys = set(yaml.safe_load(capsys.readouterr().out)["cluster"]) - {"kind"}
    table = PAGE.partition("| key | Slurm's | shipped |")[2].partition("\n\n")[0]
    named = [
        re.findall(r"`(?:cluster\.)?(\w+)`", row.split("|")[1]) for row in table.splitlines()[2:]
    ]
    assert keys == {key for row in named for key in row}
