"""A large file is read once, until it changes."""

import os
import time

import pytest

from ablate.models import remembered
from ablate.results.files import sha256_of


@pytest.fixture(autouse=True)
def new_process(monkeypatch):
    forget(monkeypatch)


def forget(monkeypatch):
    monkeypatch.setattr(remembered, "_known", {})
    monkeypatch.setattr(remembered, "_stored", set())


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"weights")
    settle(path)
    return path


def settle(path):
    long_ago = time.time() - 60
    os.utime(path, (long_ago, long_ago))


class Counted:
    """Hashes, and counts how often."""

    n = 0

    def __call__(self, file):
        self.n += 1
        return sha256_of(file)


def test_it_is_read_once_and_by_no_other_process(file, tmp_path, monkeypatch):
    compute, cache = Counted(), tmp_path / ".cache"
    values = {remembered.remembered("sha256", file, compute) for _ in range(3)}
    assert values == {sha256_of(file)}
    remembered.store(cache)
    forget(monkeypatch)
    remembered.recall(cache)
    assert remembered.remembered("sha256", file, compute) == sha256_of(file)
    assert compute.n == 1


def test_a_file_that_changed_is_read_again(file):
    compute = Counted()
    remembered.remembered("sha256", file, compute)
    file.write_bytes(b"WEIGHTS")
    settle(file)
    os.utime(file, (time.time() - 50, time.time() - 50))
    assert remembered.remembered("sha256", file, compute) == sha256_of(file)
    assert compute.n == 2


def test_a_file_that_was_written_just_now_is_not_remembered(file):
    compute = Counted()
    os.utime(file)
    for content in (b"one", b"two"):
        file.write_bytes(content)
        assert remembered.remembered("sha256", file, compute) == sha256_of(file)
    assert compute.n == 2


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"sha256|x": 3}', '{"a": "no hash"}'])
def test_a_damaged_memory_is_no_loss(tmp_path, content):
    (tmp_path / "files.json").write_text(content)
    remembered.recall(tmp_path)
    assert remembered._known == {}


def test_two_processes_add_to_each_other(file, tmp_path, monkeypatch):
    cache = tmp_path / ".cache"
    other = tmp_path / "other.safetensors"
    other.write_bytes(b"more")
    settle(other)
    for path in (file, other):
        remembered.remembered("sha256", path, sha256_of)
        remembered.store(cache)
        forget(monkeypatch)
    remembered.recall(cache)
    assert set(remembered._known.values()) == {sha256_of(file), sha256_of(other)}
