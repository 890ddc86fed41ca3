"""Whole processes: pipes that close, terminals that lack letters, folders that are gone, disks that are full."""

import os
import resource
import subprocess
import sys

import pandas as pd
import pytest

COMMAND = [sys.executable, "-m", "ablate.cli.main"]


def ablate(*words, shell="", **options):
    """Call `ablate` with its output where a shell's redirection sends it."""
    script = f'exec "$@" {shell}'
    return subprocess.run(
        ["sh", "-c", script, "sh", *COMMAND, *words],
        capture_output=True,
        timeout=300,
        check=False,
        **options,
    )


def statuses(folder):
    return list(pd.read_csv(folder / "outputs" / "run" / "results.csv")["status"])


def test_a_reader_that_leaves_does_not_stop_the_sweep(arguments, tmp_path):
    process = subprocess.Popen(
        [*COMMAND, "run", *arguments, "seeds=[0,1]"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    process.stderr.close()
    assert process.wait(timeout=300) == 0
    assert statuses(tmp_path) == ["ok", "ok"]


def test_closed_streams_do_not_stop_a_run(arguments, tmp_path):
    assert ablate("run", *arguments, shell=">&- 2>&-").returncode == 0
    assert statuses(tmp_path) == ["ok"]


def test_an_ascii_terminal_shows_the_table(arguments):
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    done = ablate("run", *arguments, "seeds=[0,1]", env=environment)
    assert done.returncode == 0
    assert b"+/-" in done.stdout
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("shell", [">&-", ">/dev/full", "2>&-", "<&-"])
def test_light_commands_do_not_mind(shell):
    done = ablate("list", shell=shell)
    assert done.returncode == 0
    assert done.stderr == b""


def refused(done, said):
    assert done.returncode == 2
    assert done.stderr.startswith(b"ablate run: ")
    assert done.stderr.count(b"\n") == 1, done.stderr
    assert said in done.stderr


@pytest.mark.parametrize(
    ("room", "said"),
    [(0, b"No usable temporary directory"), (4096, b"cannot be written (File too large)")],
)
def test_a_full_disk_is_one_line_before_anything_runs(arguments, room, said):
    # A limit on the size of files stands for the disk: the same call fails, with another errno.
    done = ablate(
        "run",
        *arguments,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)),
    )
    refused(done, said)


def test_a_working_folder_that_is_gone_is_one_line(tmp_path):
    folder = tmp_path / "gone"
    folder.mkdir()
    done = subprocess.run(
        ["sh", "-c", 'rmdir "$PWD" && exec "$@"', "sh", *COMMAND, "run"],
        capture_output=True,
        cwd=folder,
        check=False,
    )
    refused(done, b"The working folder no longer exists")


def test_a_word_that_is_not_utf_8_is_one_line():
    refused(ablate("run", b"+ablation=caf\xe9"), b"is not UTF-8")


def test_a_line_break_in_a_word_is_one_line():
    refused(ablate("run", "+ablation=a\nb"), b"ablation")


def test_a_file_whose_name_is_not_utf_8_is_listed(tmp_path):
    folder = os.fsencode(tmp_path) + b"/ablation"
    os.mkdir(folder)  # noqa: PTH102 - pathlib has no names in bytes
    with open(folder + b"/caf\xe9.yaml", "w") as file:  # noqa: PTH123
        file.write("ablation: {question: What?}\n")
    done = ablate("list", "ablations", "--config-dir", str(tmp_path))
    assert done.returncode == 0
    assert rb"caf\udce9" in done.stdout
    refused(ablate("run", "--config-dir", str(tmp_path), "+ablation=rnak"), b"Did you mean 'rank'")
