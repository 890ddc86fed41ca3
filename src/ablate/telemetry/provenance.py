"""Which code made a row."""

import subprocess
from functools import lru_cache


@lru_cache
def git_state() -> tuple[str | None, bool | None]:
    """Return the commit of the working folder's repository, and whether files differ from it.

    Both are None outside a repository.
    """
    commit = _git("rev-parse", "HEAD")
    if commit is None:
        return None, None
    return commit, bool(_git("status", "--porcelain", "--untracked-files=no"))


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], capture_output=True, text=True, check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
