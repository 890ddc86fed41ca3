"""F-EWC: full fine-tuning of the image encoder that is held back where earlier data needs its weights."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ablate.config.schema import EwcMethod, LossName
from ablate.methods.base import Session
from ablate.methods.full import Full


class Ewc(Full):
    """Elastic weight consolidation (Kirkpatrick et al., arXiv 1612.00796).

    The loss grows by `penalty_weight / 2 * sum_i F_i * (theta_i - anchor_i)^2`. The anchor is the
    weights that the session starts from. F is the sum over all earlier sessions of the diagonal
    Fisher information of their data, each at the weights that its session ended with.

    In the first session, and so offline, there is no earlier data and that of the pre-training is
    not available. F is then that of the session's own few-shot set at the pre-trained weights; it is
    dropped as soon as there is an earlier session.
    """

    def __init__(self, config: EwcMethod, loss: LossName) -> None:
        super().__init__("encoder", config.learning_rate_scale)
        self._penalty_weight = config.penalty_weight
        self._batch_size = config.fisher_batch_size[loss]
        self._last_session: Session | None = None
        self._earlier_fisher: dict[str, Tensor] = {}
        self._fisher: dict[str, Tensor] = {}
        self._anchors: dict[str, Tensor] = {}

    def measure(self, session: Session) -> None:
        """Measure what must not move."""
        if self._last_session is None:
            self._fisher = diagonal_fisher(self._trained, session, self._batch_size)
        else:
            fisher = diagonal_fisher(self._trained, self._last_session, self._batch_size)
            for name, values in fisher.items():
                self._earlier_fisher[name] = self._earlier_fisher.get(name, 0) + values
            self._fisher = self._earlier_fisher
        self._anchors = {name: self._trained[name].detach().clone() for name in self._fisher}
        self._last_session = session

    def state_dict(self) -> dict[str, Any]:
        """Return the Fisher information, whether it is that of earlier sessions, and the anchors."""
        return {
            "fisher": self._fisher,
            "is_of_earlier": bool(self._earlier_fisher),
            "anchors": self._anchors,
        }

    def load_state_dict(self, state: Mapping[str, Any], session: Session) -> None:
        """Take over the Fisher information and the anchors."""
        own = self._trained
        self._fisher = {name: tensor.to(own[name]) for name, tensor in state["fisher"].items()}
        self._anchors = {name: tensor.to(own[name]) for name, tensor in state["anchors"].items()}
        self._earlier_fisher = self._fisher if state["is_of_earlier"] else {}
        self._last_session = session

    def penalty(self) -> Tensor | None:
        """Return the weighted squared distance from where the session started; None where no weight matters."""
        distances = [
            (values * (self._trained[name] - self._anchors[name]).square()).sum()
            for name, values in self._fisher.items()
        ]
        return self._penalty_weight / 2 * torch.stack(distances).sum() if distances else None


def diagonal_fisher(
    parameters: Mapping[str, nn.Parameter], session: Session, batch_size: int
) -> dict[str, Tensor]:
    """Estimate the diagonal of the empirical Fisher information of a training set.

    F = (1 / N) * sum over batches of (batch_size * gradient of the batch's mean loss)^2. With
    batches of one this is the mean squared gradient; larger ones serve losses that compare the
    examples of a batch, and are drawn at random because a training set is ordered by class.

    Args:
        parameters: Weights by name; they require gradients.
        session: The training set of N examples, and its loss.
        batch_size: Examples per gradient.

    Returns:
        Non-negative values in the shape of each weight; weights that the loss does not depend on are left out.
    """
    weights = list(parameters.values())
    totals = [torch.zeros_like(weight) for weight in weights]
    generator = torch.Generator().manual_seed(session.seed)
    for batch in torch.randperm(session.n_examples, generator=generator).split(batch_size):
        gradients = torch.autograd.grad(session.loss(batch), weights, materialize_grads=True)
        for total, gradient in zip(totals, gradients, strict=True):
            total.addcmul_(gradient, gradient, value=len(batch) ** 2 / session.n_examples)
    return {
        name: total for name, total in zip(parameters, totals, strict=True) if bool(total.any())
    }
