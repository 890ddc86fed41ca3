"""A Hydra sweeper: ablations in, runs out to whichever launcher was chosen."""

from typing import TYPE_CHECKING

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from ablate.clusters.launcher import StreamingLauncher
from ablate.sweep.cluster import check_cluster, chosen_launcher
from ablate.sweep.expansion import expand

if TYPE_CHECKING:
    from ablate.runner.prepare import PreparedRun


class AblationSweeper(Sweeper):
    """Expand the command line into runs, check all of them, then make those that are missing.

    Hydra imports every sweeper it can find in any program, so torch is imported only when a sweep begins.
    """

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keep what Hydra gives and make the launcher.

        Raises:
            ConfigError: If a key of `cluster` is wrong.
        """
        self._context = hydra_context
        self._config = config
        check_cluster(config)
        launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )
        self._launcher = chosen_launcher(launcher)

    def sweep(self, arguments: list[str]) -> None:
        """Make every run of the command line that is not done.

        Args:
            arguments: The overrides of the command line.

        Raises:
            ConfigError: If any run is misconfigured; nothing has run then.
            RunsFailedError: If a run failed; the others are done.
        """
        loader = self._context.config_loader
        overrides = OverridesParser.create(config_loader=loader).parse_overrides(arguments)
        specs = expand(overrides, self._compose)
        made_here = not isinstance(self._launcher, StreamingLauncher)
        if isinstance(self._launcher, StreamingLauncher):
            self._launcher.check()

        from ablate.runner.prepare import check_output
        from ablate.sweep.execute import execute
        from ablate.sweep.launch import Job
        from ablate.sweep.prepared import prepare_all

        prepared = prepare_all(specs, made_here)
        for folder in dict.fromkeys(run.folder.path.parents[1] for run in prepared):
            check_output(folder)
        jobs = [Job(s.overrides, r) for s, r in zip(specs, _unique(prepared), strict=True) if r]
        execute(jobs, self._launcher)

    def _compose(self, words: list[str]) -> DictConfig:
        """Compose one run; an error says which run of the sweep it belongs to."""
        try:
            return self._context.config_loader.load_sweep_config(self._config, words)
        except HydraException as error:
            error.add_note(f"in the run {' '.join(words)}")
            raise


def _unique(runs: "list[PreparedRun]") -> "list[PreparedRun | None]":
    """Replace every run that is given a second time, in other words, by None."""
    seen: set[object] = set()
    kept: list[PreparedRun | None] = []
    for run in runs:
        kept.append(None if run.folder.path in seen else run)
        seen.add(run.folder.path)
    return kept
