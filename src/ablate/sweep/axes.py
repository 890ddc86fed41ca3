"""An axis has to have an effect: two of its values must not give the same run."""

from collections.abc import Sequence

from ablate.config.errors import ConfigError
from ablate.runner.prepare import PreparedRun


def check_axes(runs: Sequence[PreparedRun]) -> None:
    """Compare the runs of each ablation, seed by seed.

    Raises:
        ConfigError: If two values of an ablation give runs that differ in nothing that determines their numbers.
    """
    seen: dict[tuple[str, str, int, str], object] = {}
    for run in runs:
        ablation = run.config.ablation
        if ablation is None:
            continue
        digest = run.folder.run_id.rsplit("-", 1)[-1]
        key = (run.config.name, ablation.name, run.config.seed, digest)
        other = seen.setdefault(key, ablation.value)
        if other != ablation.value:
            raise ConfigError(
                f"ablation.key is '{ablation.key}', but its values {other!r} and "
                f"{ablation.value!r} give the same run: it has no effect on the results. Fix: vary a key that has one."
            )
