import numpy as np
import pytest

from ablate.world.scenes import sample_scenes


@pytest.mark.parametrize("draw", ["development", "test"])
@pytest.mark.parametrize("stream", ["train", "development", "test", "instruction-0-filled"])
def test_no_scene_of_a_task_is_in_a_stream_of_other_data(draw, stream):
    indices = np.arange(320)
    ours = sample_scenes(f"task-shape-{draw}", indices, np.ones_like(indices))
    theirs = sample_scenes(stream, np.arange(4096), np.ones(4096, dtype=np.int64))
    assert not np.isin(ours.background, theirs.background).any()
