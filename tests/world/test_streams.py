import numpy as np

from ablate.world.streams import uniforms


def test_item_does_not_depend_on_its_neighbours():
    together = uniforms("a", np.arange(50), 7)
    alone = uniforms("a", np.array([31]), 7)
    fewer = uniforms("a", np.arange(50), 3)
    assert np.array_equal(together[31:32], alone)
    assert np.array_equal(together[:, :3], fewer)


def test_streams_are_uniform_and_unrelated():
    first = uniforms("a", np.arange(2000), 10)
    second = uniforms("b", np.arange(2000), 10)
    assert first.min() >= 0
    assert first.max() < 1
    deciles = np.bincount((first.ravel() * 10).astype(int), minlength=10)
    assert np.all(np.abs(deciles - 2000) < 200)
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.03
    assert abs(np.corrcoef(first[:-1, 0], first[1:, 0])[0, 1]) < 0.08
