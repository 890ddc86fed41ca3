"""Which folders a call will use."""

import sys

import pytest

from ablate.cli.run import run


@pytest.fixture
def folders_of(monkeypatch):
    """Return a function from a call's words to its run folders, by the ablation's value; it runs nothing."""

    def prepare(words):
        folders = {}
        with monkeypatch.context() as patched:
            patched.setattr(sys, "argv", ["ablate"])
            patched.delenv("HYDRA_FULL_ERROR", raising=False)
            patched.setattr(
                "ablate.sweep.execute.execute",
                lambda jobs, _: folders.update(
                    {job.run.config.ablation.value: job.run.folder for job in jobs}
                ),
            )
            assert run(words) == 0
        return folders

    return prepare
