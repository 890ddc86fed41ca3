"""Tensors without content: shapes as of real ones, content where there is some, and no number made up for a shape."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from ablate.pricing.hollow import ContentNeededError, HollowTensor, hollow, hollow_out
from ablate.pricing.meter import Meter


def test_a_real_mask_beside_hollow_values_keeps_its_content():
    values = hollow(4, 6, 8, dtype=torch.float32)
    mask = torch.zeros(4, 6, dtype=torch.bool)
    mask[1, 2] = mask[3, 5] = True
    assert values[mask].shape == (2, 8)
    values[mask] = hollow(2, 8, dtype=torch.float32)
    assert functional.embedding(torch.tensor([1, 2, 3]), values[0]).shape == (3, 8)


@pytest.mark.parametrize(
    "ask", [torch.nonzero, lambda t: t[t > 0], lambda t: t.masked_select(t > 0)]
)
def test_a_shape_that_depends_on_content_is_refused(ask):
    with pytest.raises(ContentNeededError):
        ask(hollow(3, dtype=torch.float32))


def test_autocast_and_gradients_are_those_of_real_tensors():
    layer = nn.Linear(8, 8, device="meta")
    hollow_out(layer)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = layer(hollow(2, 8, dtype=torch.float32))
    assert result.dtype == torch.bfloat16
    result.float().sum().backward()
    assert layer.weight.grad.shape == (8, 8)
    assert layer.weight.grad.dtype == torch.float32


def test_what_remembers_a_parameter_sees_it_hollow():
    layer = nn.Linear(8, 8, device="meta")
    remembered = layer.weight
    hollow_out(layer)
    assert isinstance(remembered, HollowTensor)
    assert remembered is layer.weight


def test_a_view_takes_no_bytes_and_what_is_let_go_is_no_longer_counted():
    given = hollow(1000, dtype=torch.float32)
    with Meter([given]) as meter:
        values = torch.zeros_like(given)
        values.view(10, 100).t()
        assert meter.peak_bytes == 8000
        del values
        torch.zeros_like(given)
    assert meter.peak_bytes == 8000


def test_large_masks_lose_their_content_and_large_places_keep_theirs():
    places = torch.zeros(2_000_000, dtype=torch.int32)
    with Meter([]):
        mask = torch.arange(2000)[:, None] > torch.arange(2000)[None]
        assert isinstance(mask, HollowTensor)
        assert 7 not in places
        assert 0 in places


def test_operations_in_a_block_count_as_often_as_it_says():
    layer = nn.Linear(8, 8, bias=False, device="meta")
    hollow_out(layer)
    with Meter([]) as meter, torch.no_grad():
        with meter.times(2.5):
            layer(hollow(4, 8, dtype=torch.float32))
        assert meter.lap() == 2.5 * 2 * 4 * 8 * 8
        layer(hollow(4, 8, dtype=torch.float32))
        assert meter.lap() == 2 * 4 * 8 * 8
