"""A checkpoint comes back bit for bit, or not at all."""

import pytest
import torch

from ablate.results.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from ablate.results.run_folder import RunFolder
from ablate.results.tensors import DamagedTensorsError, read_tensors, write_tensors

OF = {"run": "lorsu-seed0", "version": "0.1.0", "device": "cpu", "threads": 2}


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder(tmp_path, "lorsu-seed0")
    folder.path.mkdir(parents=True)
    shared = torch.arange(6.0)
    state = {
        "trainer": {"step": 3, "moments": {"0": {"step": torch.tensor(3.0)}}, "generators": None},
        "model": {"half": torch.ones(2, dtype=torch.bfloat16), "one": shared, "two": shared[:3]},
        "losses": [0.1, float("nan"), 1 / 3],
        "bytes": torch.get_rng_state(),
        "empty": torch.empty(0, 4),
    }
    updates = [{"a.b": torch.tensor([1, -1], dtype=torch.int32)}, {}]
    checkpoint = Checkpoint(updates, state, {"n": 5, "frozen": None}, {"train": 0.1}, 7)
    write_checkpoint(folder, checkpoint, OF)
    return folder


def test_everything_comes_back(folder):
    found, line = read_checkpoint(folder, OF)
    assert line is None
    assert (found.columns, found.seconds) == ({"n": 5, "frozen": None}, {"train": 0.1})
    assert found.peak_memory_bytes == 7
    assert torch.equal(found.updates[0]["a.b"], torch.tensor([1, -1], dtype=torch.int32))
    assert found.updates[1] == {}
    model = found.state["model"]
    assert model["half"].dtype == torch.bfloat16
    assert torch.equal(model["two"], torch.arange(3.0))
    assert found.state["empty"].shape == (0, 4)
    assert str(found.state["losses"]) == str([0.1, float("nan"), 1 / 3])
    assert found.state["trainer"]["moments"]["0"]["step"].shape == ()
    assert torch.equal(found.state["bytes"], torch.get_rng_state())
    assert [path.name for path in folder.path.iterdir()] == ["checkpoint.safetensors"]


def test_none_is_none(tmp_path):
    assert read_checkpoint(RunFolder(tmp_path, "lorsu-seed0"), OF) == (None, None)


@pytest.mark.parametrize("place", [0, 9, 60, 1200, -1])
def test_a_flipped_bit_anywhere_is_damage(folder, place):
    content = bytearray(folder.checkpoint_path.read_bytes())
    content[place] ^= 1
    folder.checkpoint_path.write_bytes(content)
    assert_set_aside(folder)


@pytest.mark.parametrize("content", [b"", b"{}", b"\x00" * 200, None])
def test_what_is_no_checkpoint_is_damage(folder, content):
    if content is None:
        write_tensors({"of": OF, "state": {}}, folder.checkpoint_path)
    else:
        folder.checkpoint_path.write_bytes(content)
    assert_set_aside(folder)


def assert_set_aside(folder):
    found, line = read_checkpoint(folder, OF)
    assert found is None
    assert "\n" not in line
    assert "checkpoint.safetensors is damaged (" in line
    assert "set aside in" in line
    assert not folder.checkpoint_path.exists()
    assert len(list((folder.sweep_path / "damaged").iterdir())) == 1


@pytest.mark.parametrize(
    ("key", "value"), [("run", "other"), ("version", "9"), ("device", "cuda"), ("threads", 1)]
)
def test_that_of_another_run_version_or_machine_is_left_and_named(folder, key, value):
    found, line = read_checkpoint(folder, {**OF, key: value})
    assert found is None
    assert line == (
        f"lorsu-seed0: its checkpoint.safetensors is of {key} {OF[key]}, not {value}: training begins anew"
    )
    assert folder.checkpoint_path.exists()


def test_a_full_disk_leaves_the_checkpoint_before(folder, monkeypatch):
    before = folder.checkpoint_path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ablate.results.checkpoint.write_tensors", full)
    write_checkpoint(folder, Checkpoint([], {}, {}, {}, 0), OF)
    assert folder.checkpoint_path.read_bytes() == before
    assert [path.name for path in folder.path.iterdir()] == ["checkpoint.safetensors"]


def test_a_mapping_of_one_tensor_is_no_tensor(tmp_path):
    write_tensors({"tensor": {"tensor": torch.ones(1)}}, tmp_path / "file")
    assert torch.equal(read_tensors(tmp_path / "file")["tensor"]["tensor"], torch.ones(1))
    with pytest.raises(DamagedTensorsError):
        read_tensors(tmp_path / "missing")
