"""Where the shipped configuration is, and its choices."""

from pathlib import Path

import ablate

GROUPS = {
    "ablations": "ablation",
    "methods": "method",
    "models": "model",
    "encoders": "encoder",
    "data": "data",
    "tasks": "tasks",
    "task": "task",
    "protocols": "protocol",
    "conversations": "conversation",
    "trackers": "tracker",
}


def config_folder() -> Path:
    """Return the folder of shipped configs: inside an installed wheel, beside `src/` in a checkout."""
    package = Path(ablate.__file__).parent
    inside_wheel = package / "configs"
    return inside_wheel if inside_wheel.is_dir() else package.parents[1] / "configs"


def group_files(group: str, folders: list[Path]) -> dict[str, Path]:
    """List a config group's choices.

    Args:
        group: Name of the group, such as `ablation`.
        folders: Config folders, the most important first.

    Returns:
        File by choice name, in alphabetical order.
    """
    found: dict[str, Path] = {}
    for folder in reversed(folders):
        found.update({path.stem: path for path in (folder / group).glob("*.yaml")})
    return dict(sorted(found.items()))
