"""What real tensors take: torch's own count of operations, and every byte of its CPU allocator."""

from collections.abc import Callable

from torch import nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from ablate.pricing.meter import FUSED_ATTENTION


def operations(work: Callable[[], object]) -> int:
    """Count the operations of `work`."""
    with FlopCounterMode(display=False, custom_mapping=FUSED_ATTENTION) as counter:
        work()
    return counter.get_total_flops()


def most_bytes(model: nn.Module, work: Callable[[], object]) -> int:
    """Return the most bytes that `work` and the model's own tensors take at once."""
    n_bytes = sum(t.numel() * t.element_size() for t in (*model.parameters(), *model.buffers()))
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        work()
    events = [e for e in profiled.profiler.kineto_results.events() if e.name() == "[memory]"]
    now = most = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        now += event.nbytes()
        most = max(most, now)
    return n_bytes + most
