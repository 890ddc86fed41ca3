"""`make` finds a Python that ablate runs on, or says in one line what it needs."""

import shutil
import subprocess
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).parents[1] / "Makefile"
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


def make(folder: Path, versions: dict[str, tuple[int, int]], *words: str):
    """Show what `make lint` would run where there are only these interpreters, by name, of these versions."""
    for name, (major, minor) in versions.items():
        fits = (3, 11) <= (major, minor) <= (3, 13)
        (folder / name).write_text(f"#!/bin/sh\nexit {int(not fits)}\n")
        (folder / name).chmod(0o755)
    return subprocess.run(
        [
            str(shutil.which("make")),
            "-n",
            "-f",
            str(MAKEFILE),
            f"VENV={folder / 'venv'}",
            *words,
            "lint",
        ],
        cwd=MAKEFILE.parent,
        env={"PATH": f"{folder}"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("versions", "chosen"),
    [
        ({"python3.11": (3, 11), "python3.13": (3, 13), "python3": (3, 13)}, "python3.11"),
        ({"python3.13": (3, 13), "python3.12": (3, 12)}, "python3.12"),
        ({"python3.13": (3, 13), "python3": (3, 10)}, "python3.13"),
        ({"python3": (3, 12)}, "python3"),
    ],
)
def test_it_takes_the_first_python_that_fits(versions, chosen, tmp_path):
    done = make(tmp_path, versions)
    assert done.returncode == 0, done.stderr
    assert f"\n{chosen} -m venv " in f"\n{done.stdout}"


@pytest.mark.parametrize("versions", [{}, {"python3": (3, 10)}, {"python3": (3, 14)}])
def test_it_says_what_it_needs_where_none_fits(versions, tmp_path):
    done = make(tmp_path, versions)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "needs Python 3.11, 3.12 or 3.13" in done.stderr
    assert "PYTHON=" in done.stderr


def test_another_python_may_be_given(tmp_path):
    done = make(tmp_path, {}, "PYTHON=/opt/mine/python")
    assert "/opt/mine/python -m venv " in done.stdout
