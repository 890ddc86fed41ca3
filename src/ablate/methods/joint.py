"""Several methods at once, each on a part of the model of its own."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from ablate.methods.base import Method, Session
from ablate.models.parts import PART_PATHS, part_of
from ablate.models.vlm import VisionLanguageModel


class Joint(Method):
    """What instructions train: image encoder, projector and language model, each by its own method."""

    def __init__(self, by_part: Mapping[str, Method]) -> None:
        """Join methods.

        Args:
            by_part: The method of each part, a key of `PART_PATHS`; it trains nothing outside its part.
        """
        self._by_part = dict(by_part)
        self._adapted: VisionLanguageModel | None = None
        self._peft_configs: dict[str, object] = {}

    def parts(self) -> frozenset[str]:
        """Return what any of the methods trains."""
        return frozenset().union(*(method.parts() for method in self._by_part.values()))

    def learning_rate_scale_of(self, path: str) -> float:
        """Return what the method of the parameter's part says."""
        part = part_of(path)
        return self._by_part[part].learning_rate_scale_of(path) if part else 1.0

    def importance_parameters(self, vlm: VisionLanguageModel) -> dict[str, nn.Parameter]:
        """Name the weights that any of the methods ranks."""
        named: dict[str, nn.Parameter] = {}
        for method in self._by_part.values():
            named |= method.importance_parameters(vlm)
        return named

    def make_trainable(self, vlm: VisionLanguageModel, session: Session) -> None:
        """Make one part after the other trainable; an adapter freezes all but itself, so again those before it."""
        trained: list[nn.Parameter] = []
        for part, method in self._by_part.items():
            with self._own_adapter(vlm, part):
                method.make_trainable(vlm, session)
            trained += [p for p in vlm.parameters() if p.requires_grad]
        for parameter in trained:
            parameter.requires_grad_(True)

    def measure(self, session: Session) -> None:
        """Let one method after the other measure a model in which it alone is trained."""
        if self._adapted is None:
            raise RuntimeError("Joint is not attached to a model.")
        trained = {n: p for n, p in self._adapted.named_parameters() if p.requires_grad}
        try:
            for method in self._by_part.values():
                for name, parameter in trained.items():
                    parameter.requires_grad_(part_of(name) in method.parts())
                method.measure(session)
        finally:
            for parameter in trained.values():
                parameter.requires_grad_(True)

    def penalty(self) -> Tensor | None:
        """Return the sum of all penalties, if there is any."""
        penalties = [p for m in self._by_part.values() if (p := m.penalty()) is not None]
        return sum(penalties[1:], penalties[0]) if penalties else None

    def after_step(self, step: int) -> None:
        """Let every method adjust its update."""
        for method in self._by_part.values():
            method.after_step(step)

    def state_dict(self) -> dict[str, Any]:
        """Return every method's state, by its part."""
        return {part: method.state_dict() for part, method in self._by_part.items()}

    def load_state_dict(self, state: Mapping[str, Any], session: Session) -> None:
        """Give every method its own."""
        for part, method in self._by_part.items():
            method.load_state_dict(state[part], session)

    def update(self) -> dict[str, Tensor]:
        """Return every method's update, the name of its part in front; a method sees adapters of the others, too."""
        others = {
            part: [path for other, path in PART_PATHS.items() if other != part]
            for part in self._by_part
        }
        return {
            f"{part}.{name}": tensor
            for part, method in self._by_part.items()
            for name, tensor in method.update().items()
            if not any(path in name for path in others[part])
        }

    def load(self, vlm: VisionLanguageModel, update: Mapping[str, Tensor], seed: int) -> None:
        """Load every method's share."""
        for part, method in self._by_part.items():
            prefix = f"{part}."
            own = {n.removeprefix(prefix): t for n, t in update.items() if n.startswith(prefix)}
            with self._own_adapter(vlm, part):
                method.load(vlm, own, seed)

    def merge(self) -> None:
        """Merge every method's update."""
        for part, method in self._by_part.items():
            if part in self._peft_configs:
                vars(self._adapted)["peft_config"] = self._peft_configs.pop(part)
            method.merge()

    @contextmanager
    def _own_adapter(self, vlm: VisionLanguageModel, part: str) -> Iterator[None]:
        """Let a part have an adapter beside another part's: peft notes one per model, and warns of a second."""
        self._adapted = vlm
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*with PEFT for a second time")
            yield
        if "peft_config" in vars(vlm):
            self._peft_configs[part] = vars(vlm).pop("peft_config")
