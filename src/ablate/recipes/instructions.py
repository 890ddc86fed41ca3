"""LLaVA's two stages on instructions: align the projector, then train what the run trains (arXiv 2304.08485)."""

import logging
from collections.abc import Callable
from dataclasses import replace

from ablate.config.schema import InstructionDataConfig, RunConfig
from ablate.data.types import InstructionData
from ablate.methods.build import build_method
from ablate.methods.full import Full
from ablate.methods.joint import Joint
from ablate.models.vlm import VisionLanguageModel
from ablate.training.audit import Probes
from ablate.training.instruction_loss import InstructionLoss
from ablate.training.stage import Examples, Stage

log = logging.getLogger(__name__)

# The label of the stage that trains the projector alone.
ALIGN = "align"


def stages(
    config: RunConfig, data: InstructionDataConfig, instructions: InstructionData | None
) -> list[Stage]:
    """Return the alignment, where the run has one, and the fine-tuning.

    Every run sees the same conversations in the same order for the same number of steps, whatever
    its encoder.

    Args:
        config: The run.
        data: Its data's configuration.
        instructions: The conversations; None where stages are only replayed.

    Raises:
        ValueError: If the run has no method for the language model.
    """
    if config.language is None:
        raise ValueError(f"run '{config.name}' has no method for its language model")
    fine_tune = Stage(
        label="fine-tune",
        method=Joint(
            {
                "encoder": build_method(config.method, config.loss),
                "language_model": build_method(config.language, config.loss),
                "projector": Full("projector", 1.0),
            }
        ),
        train=config.train,
        examples=_examples(config, data, instructions, is_alignment=False),
        prefix="",
        starts_from_base=False,
    )
    if config.align is None:
        return [fine_tune]
    align = replace(
        fine_tune,
        label=ALIGN,
        method=Full("projector", 1.0),
        train=config.align,
        # A projector alone learns nothing from text.
        examples=_examples(config, data, instructions, is_alignment=True),
        prefix=None,
    )
    return [align, fine_tune]


def _examples(
    config: RunConfig,
    data: InstructionDataConfig,
    instructions: InstructionData | None,
    is_alignment: bool,
) -> Callable[[VisionLanguageModel], Examples]:
    def examples(vlm: VisionLanguageModel) -> Examples:
        if instructions is None:
            raise ValueError("a stage that is only replayed has no examples")
        shown = instructions.with_images_only() if is_alignment else instructions
        loss = InstructionLoss(vlm, shown, data.max_tokens, str(config.model.turn))
        if loss.n_left_out:
            log.warning(
                "%d of %d conversations have no answer within %d tokens and are left out",
                loss.n_left_out,
                len(shown.conversations),
                data.max_tokens,
            )
        return Examples(loss, None if is_alignment else Probes(loss, contrastive=None))

    return examples
