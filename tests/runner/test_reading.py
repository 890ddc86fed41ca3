"""A model's files are read once: by the first run of a process, and hashed by the first process of all."""

import os
import shutil
import subprocess
import sys
import time

import pytest
from tests.conftest import instead
from tests.models.opened import Watch

from ablate.models import check, files, held, remembered, weights

WEIGHTS = "model.safetensors"


@pytest.fixture
def folder(model_folder, tmp_path):
    """The random model, written a minute ago: what was written just now is never remembered."""
    copy = shutil.copytree(model_folder, tmp_path / "model")
    a_minute_ago = time.time() - 60
    for path in copy.rglob("*"):
        os.utime(path, (a_minute_ago, a_minute_ago))
    return copy


@pytest.fixture(autouse=True)
def new_process(monkeypatch):
    monkeypatch.setattr(remembered, "_known", {})
    monkeypatch.setattr(remembered, "_stored", set())
    monkeypatch.setattr(held, "_held", [])
    for cached in (check._check_vlm, files.check_files, files.read_config, weights._headers):
        cached.cache_clear()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="inotify is Linux's")
def test_later_runs_read_no_weights_and_later_processes_hash_none(folder, ablate_run, arguments):
    words = [f"model.llava={folder}", f"model.clip={folder / 'clip'}"]
    watch = Watch(folder)
    assert ablate_run(*words, "method=lorsu")[0] == 0
    opened, read = watch.seen()
    assert opened[WEIGHTS] >= 3  # its header, its content, its tensors
    assert read[WEIGHTS] >= 1  # its hash

    assert ablate_run(*words, "method=lora")[0] == 0
    opened, read = watch.seen()
    assert opened[WEIGHTS] == read[WEIGHTS] == 0
    # Settings are looked at again, never hashed again: that would read them all.
    assert read["tokenizer.json"] == 0

    command = [
        sys.executable,
        "-c",
        # Neither is called, or the run fails.
        "import ablate.models.files as files; files._check_finite = files.sha256_of = None\n"
        "from ablate.cli.main import main; main()",
        "run",
        *instead(arguments, [*words, "method=full"]),
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    opened, read = watch.seen()
    assert opened[WEIGHTS] >= 1  # to load it
    assert read[WEIGHTS] == 0
