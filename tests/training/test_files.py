"""Files that are the old one or the new one, and states that come back bitwise or not at all."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

import minigen as mg
from minigen import nn
from minigen.data import Batches
from minigen.nn import Buffer, Parameter
from minigen.optim import EMA, Adam
from minigen.random import Generator
from minigen.training import History, load_state, read_state, save_state, write_atomically
from minigen.training.files import ASIDE

# ------------------------------------------------------------------------------------------------------------- writing


def test_write_atomically_makes_folders_and_replaces(tmp_path):
    path = tmp_path / "new" / "folder" / "file"
    for content in (b"first", b"", b"second\x00\xff"):
        write_atomically(path, content)
        assert path.read_bytes() == content
    assert os.listdir(path.parent) == ["file"]


@pytest.mark.parametrize("fails", ["fsync", "replace", "fdopen"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_a_failing_write_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch, fails, error):
    def fail(*arguments, **keywords):
        raise error

    path = tmp_path / "file"
    path.write_bytes(b"old")
    with monkeypatch.context() as patched:
        patched.setattr(os, fails, fail)
        with pytest.raises(type(error)):
            write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_folder_is_not_overwritten(tmp_path):
    (tmp_path / "file").mkdir()
    with pytest.raises(OSError):  # noqa: PT011 -- which one is the system's affair
        write_atomically(tmp_path / "file", b"new")
    assert os.listdir(tmp_path) == ["file"]


def test_a_write_removes_what_a_killed_one_left_of_the_same_file_only(tmp_path):
    left, other, own = tmp_path / f".file.x1{ASIDE}", tmp_path / f".file2.x1{ASIDE}", tmp_path / ".file.x1"
    for path in (left, other, own):
        path.write_bytes(b"half")
    write_atomically(tmp_path / "file", b"whole")
    assert not left.exists()
    assert other.exists()
    assert own.exists()


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_100_kills_while_saving_lose_nothing(tmp_path):
    script = Path(__file__).parent / "kill_while_saving.py"
    done = subprocess.run([sys.executable, script, tmp_path, "100"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 10  # so many were in the middle of writing


# ---------------------------------------------------------------------------------------------------------- round trip

ODD = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, 3.4e38], np.float32)


class Parts:
    """One of everything that has a state, from a seed."""

    def __init__(self, seed, *, examples=10, width=3):
        self.rng = Generator(seed)
        self.model = nn.Sequential(nn.Linear(2, width, rng=self.rng), nn.Tanh(), nn.Linear(width, 1, rng=self.rng))
        self.model.odd = Buffer(np.full(7, seed, np.float32))
        self.model.count = Buffer(np.full((), seed, np.int64))
        self.optimizer = Adam(self.model, learning_rate=0.1)
        self.average = EMA(self.optimizer, decay=0.9)
        data = np.linspace(-1, 1, 2 * examples, dtype=np.float32).reshape(examples, 2)
        self.batches = Batches(data, batch_size=3, rng=self.rng)
        self.history = History()

    def by_name(self):
        return vars(self)

    def train(self, steps):
        for step in range(steps):
            self.optimizer.zero_grad()
            loss = mg.mean(self.model(next(self.batches)) ** 2) + mg.mean(self.rng.normal(2)[0] * self.model[0].bias)
            loss.backward()
            self.optimizer.step()
            self.average.update()
            self.history.record(step, loss=loss.item())


def states(parts):
    """Return everything's state with arrays as bytes, so that == is bitwise."""
    return {
        f"{name}.{key}": (value.tobytes(), value.shape, value.dtype.str) if hasattr(value, "shape") else value
        for name, part in parts.by_name().items()
        for key, value in part.state().items()
    }


def test_everything_comes_back_bitwise_and_goes_on_alike(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    parts = Parts(1)
    parts.model.odd.assign(ODD)
    parts.train(7)
    saved = states(parts)
    save_state(path, **parts.by_name())
    assert states(parts) == saved  # saving changes nothing
    others = Parts(2)
    others.train(2)
    load_state(path, **others.by_name())
    assert states(others) == saved
    parts.train(5)
    others.train(5)
    assert states(others) == states(parts) != saved


def test_the_file_is_safetensors_with_flat_names(tmp_path):
    from safetensors import safe_open

    path = tmp_path / "checkpoint.safetensors"
    parts = Parts(1)
    save_state(path, **parts.by_name())
    with safe_open(path, framework="numpy") as file:
        names = set(file.keys())
        content = json.loads(file.metadata()["minigen"])
        np.testing.assert_array_equal(file.get_tensor("model.layers.0.weight"), parts.model[0].weight.data)
    assert {"model.odd", "optimizer.layers.2.bias.first_moment", "average.layers.0.weight.average"} < names
    assert content["format"] == 2
    values = content["values"]
    assert values["rng.key"] == 1
    assert values["optimizer.steps"] == 0
    assert values["history.rows"] == []


@pytest.mark.parametrize(
    ("metadata", "found"), [({"minigen-1": "{}"}, "1"), ({"minigen": json.dumps({"format": 3, "values": {}})}, "3")]
)
def test_a_file_in_another_format_is_refused(metadata, found, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(save({"w": np.ones(2)}, metadata))
    with pytest.raises(ValueError, match=f"is in format {found}, but this minigen reads format 2: train anew"):
        read_state(path)


def test_saving_replaces_the_file_whole(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_state(path, wide=Parts(1, width=500).model)
    save_state(path, model=Parts(2).model)
    model = Parts(3).model
    load_state(path, model=model)
    assert model.odd.data[0] == 2
    assert os.listdir(tmp_path) == ["weights.safetensors"]


def test_one_state_gives_one_file_bitwise(tmp_path):
    parts = Parts(1)
    parts.train(2)
    for i in range(8):
        save_state(tmp_path / str(i), **parts.by_name())
    assert len({(tmp_path / str(i)).read_bytes() for i in range(8)}) == 1


def test_parts_whose_names_begin_alike_stay_apart(tmp_path):
    path = tmp_path / "file"
    save_state(path, d=Generator(1), d_rng=Generator(2))
    d, d_rng = Generator(3), Generator(4)
    load_state(path, d=d, d_rng=d_rng)
    assert (d.state()["key"], d_rng.state()["key"]) == (1, 2)


# ----------------------------------------------------------------------------------------------------------- bad files


def assert_refused(path, message, parts):
    """Loading raises one ValueError, and no part has changed."""
    before = states(parts)
    with pytest.raises(ValueError, match=message) as raised:
        load_state(path, **parts.by_name())
    assert states(parts) == before
    return str(raised.value)


def test_a_missing_file(tmp_path):
    for path in (tmp_path / "nothing.safetensors", tmp_path):
        with pytest.raises(FileNotFoundError, match=f"read_state: there is no file {path}"):
            load_state(path, rng=Generator(0))


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    parts = Parts(1)
    parts.train(2)
    save_state(path, **parts.by_name())
    return path


@pytest.mark.parametrize("kept", [0, 1, 7, 8, 100, 0.5, -1])
def test_a_truncated_file(checkpoint, kept):
    whole = checkpoint.read_bytes()
    checkpoint.write_bytes(whole[: int(kept * len(whole)) if isinstance(kept, float) else kept])
    message = assert_refused(checkpoint, "is not a whole safetensors file; it may be truncated", Parts(2))
    assert f"{checkpoint} ({checkpoint.stat().st_size:,} bytes)" in message


@pytest.mark.parametrize("content", [b"garbage", b"PK\x03\x04" + bytes(100), bytes(1000), b'{"json": true}' * 20])
def test_garbage(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    assert_refused(tmp_path / "file", "not a whole safetensors file", Parts(2))


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_a_foreign_safetensors_file(tmp_path, metadata):
    (tmp_path / "file").write_bytes(save({"rng.key": np.zeros(2)}, metadata))
    assert_refused(tmp_path / "file", f"{tmp_path / 'file'} was not written by minigen", Parts(2))


def test_all_differences_are_named_together(tmp_path):
    path = tmp_path / "file"
    saved = Parts(1, width=4).by_name()
    saved["noise"] = saved.pop("rng")
    save_state(path, **saved)
    message = assert_refused(path, r"the state does not fit \(\d+ differences\)", Parts(2))
    for difference in (
        "missing rng.key",
        "missing rng.counter",
        "unexpected noise.key",
        "model.layers.0.weight is (2, 4) float32, expected (2, 3) float32",
        "optimizer.layers.2.weight.first_moment is (4, 1) float32, expected (3, 1) float32",
        "average.layers.0.bias.average is (4,) float32, expected (3,) float32",
    ):
        assert difference in message
    assert message.startswith(str(path))


class Fixed:
    """A part whose state is what it is given."""

    def __init__(self, state):
        self.contents = state

    def state(self):
        return self.contents

    def load_state(self, state):
        self.contents = dict(state)


@pytest.mark.parametrize(
    ("saved", "own"),
    [({"a": 1.0, "b": 2.0}, {"a": np.zeros(2), "b": 0.0}), ({"a": np.zeros(2), "b": 2.0}, {"a": 1.0, "b": 0.0})],
    ids=["number for array", "array for number"],
)
def test_a_number_is_no_array(tmp_path, saved, own):
    save_state(tmp_path / "file", part=Fixed(saved))
    part = Fixed(own)
    with pytest.raises(ValueError, match=r"part\.a"):
        load_state(tmp_path / "file", part=part)
    assert part.contents is own


def test_a_part_that_refuses_its_state_leaves_all_others_unchanged(tmp_path):
    # Names and shapes fit, but the position lies outside the smaller data: only Batches itself can know.
    parts = Parts(1, examples=12)
    parts.train(4)
    assert parts.batches.state()["position"] == 12
    save_state(tmp_path / "file", **parts.by_name())
    assert_refused(tmp_path / "file", "position is 12, but there are 9 examples", Parts(2, examples=9))


def test_a_damaged_header_is_refused_or_read_but_never_half(tmp_path):
    path = tmp_path / "damaged"
    save_state(path, model=nn.Linear(2, 1, rng=Generator(1)), rng=Generator(1), history=History())
    whole = path.read_bytes()
    model, rng, history = nn.Linear(2, 1, rng=Generator(2)), Generator(2), History()
    weights, state = model.weight.data.copy(), rng.state()
    for place in range(8, 8 + int.from_bytes(whole[:8], "little")):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        try:
            load_state(path, model=model, rng=rng, history=history)
        except ValueError:
            np.testing.assert_array_equal(model.weight.data, weights)
            assert rng.state() == state
            assert history.rows == []
        else:  # it was a number in the state
            model.weight.assign(weights)
            rng.load_state(state)


def test_a_parameter_keeps_its_place_in_the_arena(checkpoint):
    parts = Parts(2)
    load_state(checkpoint, **parts.by_name())
    weight = parts.model[0].weight
    assert isinstance(weight, Parameter)
    assert np.shares_memory(weight.data, parts.optimizer.arena.values)
