"""The zero-shot side of every comparison: each data set asked once per process."""

from collections.abc import Callable
from typing import Literal

from ablate.config.schema import FewShotData, RunConfig
from ablate.data.types import ImageClassification
from ablate.models.compute import Compute
from ablate.models.vlm import VisionLanguageModel
from ablate.runner.evaluate import EvaluationSet, Outcome, evaluate, evaluation_set

_ASKED: dict[str, tuple[EvaluationSet, Outcome]] = {}


def ask_untouched(
    vlm: VisionLanguageModel,
    data: ImageClassification,
    config: FewShotData,
    kind: Literal["target", "control"],
    run: RunConfig,
    compute: Compute,
    on_batch: Callable[[int], None],
) -> tuple[EvaluationSet, Outcome]:
    """Return a data set ready to be asked, and what the untouched model says to it.

    The answer depends on neither seed nor method, so the runs of one process share it.

    Args:
        vlm: The model before any adaptation.
        data: The data set.
        config: Its configuration.
        kind: Whether it is the target or a control.
        run: The run that asks.
        compute: Device and precision.
        on_batch: Called with the number of items answered in every batch.
    """
    key = repr((run.model, config, data.fingerprint, kind, run.eval, compute))
    if key not in _ASKED:
        asked = evaluation_set(data, config, kind, run.eval, vlm)
        _ASKED[key] = (asked, evaluate(vlm, asked, run.eval, on_batch))
    return _ASKED[key]
