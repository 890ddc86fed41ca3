"""How far the evaluation of a task is: items that are answered need not be answered again."""

from collections.abc import Callable, Mapping, Sequence

from ablate.results.items import ItemResult

# Results by metric and by the item's number in its task.
Found = dict[str, dict[int, ItemResult]]


class Progress:
    """The answers to a task so far: always the first ones of the order in which it puts its items to a model.

    Attributes:
        found: The results so far; every metric has the same items.
    """

    def __init__(
        self,
        found: Found | None = None,
        on_items: Callable[[int], None] = lambda _: None,
        after_batch: Callable[[], None] = lambda: None,
    ) -> None:
        """Go on.

        Args:
            found: What is answered already; it grows in place.
            on_items: Called with the number of items of every batch.
            after_batch: Called after every batch.
        """
        self.found = {} if found is None else found
        self._on_items, self._after_batch = on_items, after_batch

    @property
    def n(self) -> int:
        """How many items are answered."""
        return min((len(results) for results in self.found.values()), default=0)

    def keep(self, found: Mapping[str, Mapping[int, ItemResult]]) -> None:
        """Take the results of the next batch, by metric and by the item's number in the task."""
        before = self.n
        for metric, results in found.items():
            self.found.setdefault(metric, {}).update(results)
        self._on_items(self.n - before)
        self._after_batch()

    def answers(self) -> dict[str, Sequence[ItemResult]]:
        """Return the results so far by metric, in the order of the task."""
        return {
            metric: tuple(results[number] for number in sorted(results))
            for metric, results in self.found.items()
        }
