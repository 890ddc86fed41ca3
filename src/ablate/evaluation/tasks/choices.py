"""Tasks of questions whose every possible answer is an option."""

import copy
import hashlib
import math
from collections.abc import Sequence

from PIL import Image

from ablate.config.errors import ConfigError
from ablate.config.schema import EvalConfig
from ablate.config.schema.tasks import ShapesTask, WordsTask
from ablate.data.blank import BLANK
from ablate.data.types import MultipleChoiceItem
from ablate.evaluation.progress import Progress
from ablate.evaluation.task import Metric, Task, fingerprint_of
from ablate.evaluation.verbs.multiple_choice import answer_items, choice_results
from ablate.evaluation.verbs.pixels import Pixels
from ablate.models.vlm import VisionLanguageModel

# A chance level in a config file has at least this many correct digits: 0.3333 for a third.
_CHANCE_TOLERANCE = 1e-4


class ChoiceTask(Task):
    """Questions with a fixed number of options, about an image each or about none."""

    def __init__(
        self,
        name: str,
        config: ShapesTask | WordsTask,
        items: Sequence[MultipleChoiceItem],
        images: Sequence[Image.Image],
    ) -> None:
        """Check the chance level against the items.

        Args:
            name: Name in the tables.
            config: How they are put to the model.
            items: The questions; `image` is an index into `images`.
            images: The images; empty for questions about text.

        Raises:
            ConfigError: If the chance level is not one over the number of options.
        """
        self.name, self.kind, self.n = name, config.kind, len(items)
        self.metrics = (Metric(config.metric, config.chance),)
        self._items, self._scoring = items, config.scoring
        self._pixels = Pixels(lambda rows: [images[row] for row in rows]) if images else None
        for n_options in {len(item.options) for item in items}:
            if not math.isclose(config.chance, 1 / n_options, abs_tol=_CHANCE_TOLERANCE):
                raise ConfigError(
                    f"Task '{name}' says chance: {config.chance}, but its questions have "
                    f"{n_options} options. Fix: chance: {1 / n_options:.5g} in its config file."
                )
        pixels = hashlib.sha256(b"".join(image.tobytes() for image in images)).hexdigest()
        questions = [(item.id, item.question, item.options, item.answer) for item in items]
        self.fingerprint = fingerprint_of(questions, pixels, config.scoring)

    def evaluate(self, vlm: VisionLanguageModel, config: EvalConfig, progress: Progress) -> None:
        """Answer every question, as `answer_items` does."""
        answer_items(
            vlm,
            self._pixels.reader(vlm) if self._pixels else None,
            self._items,
            self._scoring,
            config.batch_size,
            config.max_new_tokens,
            lambda found: progress.keep({self.metrics[0].name: choice_results(self._items, found)}),
            progress.n,
        )

    def sample(self, rows: Sequence[int]) -> "ChoiceTask":
        """Return some of the questions."""
        part = copy.copy(self)
        part.n, part._items = len(rows), [self._items[row] for row in rows]
        if self._pixels is not None:
            part._pixels = Pixels(lambda shown: [BLANK] * len(shown))
        return part
