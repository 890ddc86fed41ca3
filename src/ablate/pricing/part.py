"""A loss over some of its examples."""

from torch import Tensor, nn

from ablate.training.losses import Loss


class Part(Loss):
    """A loss over chosen examples."""

    def __init__(self, loss: Loss, rows: Tensor) -> None:
        """Choose examples.

        Args:
            loss: The loss.
            rows: int64, at least one position among its examples.
        """
        self.name = loss.name  # type: ignore[misc]  # that of the loss it is a part of
        self.n = len(rows)
        self._loss, self._rows = loss, rows

    @property
    def lengths(self) -> Tensor:
        """Tokens of every chosen example."""
        return self._loss.lengths[self._rows]

    def __call__(self, model: nn.Module, indices: Tensor) -> Tensor:
        """Return the mean loss of the chosen examples at `indices`."""
        return self._loss(model, self._rows[indices])

    def n_terms(self, indices: Tensor) -> int:
        """Count what that mean is taken over."""
        return self._loss.n_terms(self._rows[indices])

    def n_images(self, indices: Tensor) -> int:
        """Count the images at `indices`."""
        return self._loss.n_images(self._rows[indices])
