"""Train nothing: the zero-shot row of every table."""

from collections.abc import Mapping

from torch import Tensor

from ablate.methods.base import Method, Session
from ablate.models.vlm import VisionLanguageModel


class Frozen(Method):
    """Leave the model as it is."""

    def parts(self) -> frozenset[str]:
        """Return no part."""
        return frozenset()

    def make_trainable(self, vlm: VisionLanguageModel, session: Session) -> None:
        """Make nothing trainable."""
        del vlm, session

    def update(self) -> dict[str, Tensor]:
        """Return an empty update."""
        return {}

    def load(self, vlm: VisionLanguageModel, update: Mapping[str, Tensor], seed: int) -> None:
        """Leave the model as it is."""
        del vlm, update, seed

    def merge(self) -> None:
        """Leave the model as it is."""
