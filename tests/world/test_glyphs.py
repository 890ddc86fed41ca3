import numpy as np

from ablate.world.glyphs import NAMES, draw_glyphs


def test_every_name_has_its_own_pattern():
    images, names = draw_glyphs("tests", np.arange(1500))
    assert set(names) == set(range(len(NAMES)))
    patterns = {}
    for image, name in zip(images, names, strict=True):
        painted = (image != image.reshape(-1, 3).min(axis=0)).any(axis=-1)
        rows, columns = np.flatnonzero(painted.any(axis=1)), np.flatnonzero(painted.any(axis=0))
        pattern = painted[rows[0] : rows[-1] + 1 : 4, columns[0] : columns[-1] + 1 : 4]
        patterns.setdefault(int(name), set()).add(pattern.tobytes() + bytes(pattern.shape))
    assert all(len(found) == 1 for found in patterns.values())
    assert len(set.union(*patterns.values())) == len(NAMES)


def test_glyphs_are_repeatable():
    images, names = draw_glyphs("tests", np.arange(20))
    again, same = draw_glyphs("tests", np.array([7]))
    assert np.array_equal(again[0], images[7])
    assert same[0] == names[7]
