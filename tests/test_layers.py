"""Folders are the architecture: imports run one way."""

import ast
from pathlib import Path

import pytest

import ablate

PACKAGE = Path(ablate.__file__).parent
# Each folder may import itself and what stands below it.
LAYERS = (
    "cli",
    "plans",
    "pricing",
    "sweep",
    "clusters",
    "runner",
    "recipes",
    "training",
    "methods",
    "evaluation",
    "models",
    "report",
    "trackers",
    "results",
    "telemetry",
    "world",
    "data",
    "config",
    "statistics",
)


def imported_folders(file: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
        elif isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
    return {name.split(".")[1] for name in names if name.startswith("ablate.")}


def test_every_folder_is_a_layer():
    folders = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    assert folders == set(LAYERS)


@pytest.mark.parametrize("layer", LAYERS)
def test_imports_run_downward(layer):
    allowed = set(LAYERS[LAYERS.index(layer) :])
    for file in (PACKAGE / layer).rglob("*.py"):
        upward = imported_folders(file) - allowed
        assert not upward, f"{file.relative_to(PACKAGE)} imports {sorted(upward)}"


def test_lorsu_needs_no_runner():
    """The peft method stands alone but for the one error class and, in `method.py`, the hooks."""
    for file in (PACKAGE / "methods" / "lorsu").glob("*.py"):
        if file.name != "method.py":
            assert imported_folders(file) <= {"methods", "config"}, file.name
