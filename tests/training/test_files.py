"""Files that are the old one or the new one, and states that come back bitwise or not at all."""

import errno
import json
import math
import os
import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import save

import minigen as mg
from minigen import nn
from minigen.data import Batches, TextStreams
from minigen.lessons import Snapshots
from minigen.nn import Buffer, Parameter
from minigen.optim import EMA, Adam
from minigen.random import Generator
from minigen.training import History, Run, files, load_state, read_state, save_state, write_atomically
from minigen.training.files import ASIDE, UNSUPPORTED, check_writable

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
    left, other, own = tmp_path / f".file.01abcdef{ASIDE}", tmp_path / f".file2.01abcdef{ASIDE}", tmp_path / ".file.x1"
    of_a_longer_name = tmp_path / f".file.x.01abcdef{ASIDE}"
    for path in (left, other, own, of_a_longer_name):
        path.write_bytes(b"half")
    write_atomically(tmp_path / "file", b"whole")
    assert not left.exists()
    assert other.exists()
    assert own.exists()
    assert of_a_longer_name.exists()


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
    with pytest.raises(ValueError, match=f"is in format {found}, but this minigen reads format 2: train again"):
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


# ------------------------------------------------------------------------------------ what an ordinary write would leave alone


def test_a_write_through_a_symbolic_link_reaches_its_target(tmp_path):
    (tmp_path / "disk").mkdir()
    target, link, second = tmp_path / "disk" / "file", tmp_path / "link", tmp_path / "second"
    target.write_bytes(b"old")
    link.symlink_to(Path("disk") / "file")
    second.symlink_to(link)
    write_atomically(second, b"new")
    assert link.is_symlink()
    assert second.is_symlink()
    assert target.read_bytes() == b"new"
    assert os.listdir(target.parent) == ["file"]


def test_the_target_of_a_link_may_be_missing(tmp_path):
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "new" / "file")
    write_atomically(link, b"new")
    assert link.is_symlink()
    assert (tmp_path / "new" / "file").read_bytes() == b"new"


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002, 0o777])
def test_a_new_file_has_the_mode_that_an_ordinary_write_gives(tmp_path, umask):
    before = os.umask(umask)
    try:
        write_atomically(tmp_path / "file", b"new")
        (tmp_path / "ordinary").touch()
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "ordinary").stat().st_mode


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o755, 0o400, 0o000])
def test_a_file_keeps_its_mode(tmp_path, mode):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(mode)
    write_atomically(path, b"new")
    assert stat.S_IMODE(path.stat().st_mode) == mode
    path.chmod(0o600)
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("number", sorted(UNSUPPORTED))
@pytest.mark.parametrize("call", ["fsync", "chmod"])
def test_what_a_file_system_cannot_do_is_not_a_failure(tmp_path, monkeypatch, call, number):
    def unsupported(*arguments):
        raise OSError(number, os.strerror(number))

    path = tmp_path / "file"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, call, unsupported)
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["file"]


def test_a_folder_that_may_not_be_read_can_be_written_into(tmp_path, monkeypatch):
    opened = os.open

    def refuse(path, flags, *mode):
        if Path(path) == tmp_path:
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(path, flags, *mode)

    monkeypatch.setattr(os, "open", refuse)
    write_atomically(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"


@pytest.mark.parametrize("name", ["x" * 255, "ü" * 127, "[a-z]*?" * 30, ".hidden", "a\nb", "-rf"])
def test_a_name_may_be_as_long_and_as_odd_as_the_system_allows(tmp_path, name):
    for content in (b"old", b"new"):
        write_atomically(tmp_path / name, content)
    assert os.listdir(tmp_path) == [name]
    assert (tmp_path / name).read_bytes() == b"new"


def irregular(tmp_path, kind):
    path = tmp_path / "there"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "circle":
        path.symlink_to(path)
    elif kind == "link to a folder":
        (tmp_path / "folder").mkdir()
        path.symlink_to(tmp_path / "folder")
    return path


@pytest.mark.parametrize("kind", ["folder", "pipe", "circle", "link to a folder"])
def test_what_is_not_a_file_is_refused_before_and_when_it_is_written(tmp_path, kind):
    path = irregular(tmp_path, kind)
    before = sorted(os.listdir(tmp_path))
    for write in (check_writable, lambda path: write_atomically(path, b"new")):
        with pytest.raises(OSError, match=str(path)):
            write(path)
    assert sorted(os.listdir(tmp_path)) == before


def test_looking_whether_a_file_can_be_written_changes_nothing(tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    for path in (tmp_path / "file", tmp_path / "new", tmp_path / "missing" / "file"):
        check_writable(path)
    assert os.listdir(tmp_path) == ["file"]


# -------------------------------------------------------------------------------------------- damaged values, damaged bits


class Run3(Run):
    """A run of 9 steps that has taken 3."""

    def __init__(self):
        super().__init__(steps=9, configuration={"widths": [3], "rate": 0.5}, progress=False)
        self.step, self.seconds = 3, 1.5
        self.history.record(0, loss=1.0, curve=[0.5, 1.0])


def all_parts(seed):
    parts = Parts(seed).by_name()
    parts["run"] = Run3()
    parts["text"] = TextStreams(np.arange(50) % 7, streams=2, length=5, rng=Generator(seed))
    parts["snapshots"] = Snapshots(lambda: np.ones((1, 2, 2, 1)), (1, 2, 2, 1), epochs=(0, 5, 10))
    return parts


WRONG = (
    math.nan, math.inf, -3, -1, 0.5, 1e300, 2**31, 2**63, 2**64, 10**400, True, None, "3", "", [], [1], [None], {}, {"a": 1}, [[1.0]],
)  # fmt: skip


def places_in(value, path=()):
    """Every place in a JSON value, the value itself and all parts of it."""
    yield path
    for key, part in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places_in(part, (*path, key))


def all_states(parts):
    return states(SimpleNamespace(by_name=lambda: parts))


def json_values(parts):
    return {
        f"{name}.{key}": value
        for name, part in parts.items()
        for key, value in part.state().items()
        if not hasattr(value, "shape")
    }


ENTRIES = sorted(json_values(all_parts(1)))


def is_refused(path, parts):
    """Whether a file is refused with words, and no part has changed; otherwise it has been loaded."""
    before = all_states(parts)
    try:
        load_state(path, **parts)
    except ValueError as error:
        return bool(str(error)) and all_states(parts) == before
    return False


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_value_of_a_checkpoint_is_checked_before_anything_is_changed(tmp_path, entry):
    path, saved = tmp_path / "checkpoint", all_parts(1)
    tensors = {
        f"{name}.{key}": value
        for name, part in saved.items()
        for key, value in part.state().items()
        if hasattr(value, "shape")
    }
    good, loaded = json_values(saved), all_parts(2)
    for place in places_in(good[entry]):
        for wrong in WRONG:
            values = json.loads(json.dumps(good))
            where = values
            for key in (entry, *place)[:-1]:
                where = where[key]
            where[(entry, *place)[-1]] = wrong
            path.write_bytes(save(tensors, {"minigen": json.dumps({"format": 2, "values": values})}))
            if not is_refused(path, loaded):
                if not entry.startswith("run.configuration"):  # which is compared with that of the run, not loaded
                    assert_makes_sense(entry, place, wrong)
                assert json_values(loaded).keys() == good.keys()
                loaded = all_parts(2)


def assert_makes_sense(entry, place, wrong):
    """A value that was loaded is one that could have been saved."""
    if entry in ("history.rows", "run.rows"):
        if place and place[-1] == "step":
            assert type(wrong) is int
            assert wrong >= 0
        elif len(place) >= 2:  # a figure, or a list of them
            assert isinstance(wrong, int | float | list)
        elif not place:
            assert wrong == []
    elif entry == "run.seconds":
        assert isinstance(wrong, int | float)
        assert 0 <= wrong < math.inf
    elif entry.endswith(".counts") and not place:
        pytest.fail(f"{entry} = {wrong}")
    else:
        assert type(wrong) is int
        assert 0 <= wrong < 2**64


@pytest.mark.parametrize("every", [23, pytest.param(1, marks=pytest.mark.slow)])
def test_no_flipped_bit_of_a_checkpoint_is_loaded(tmp_path, every):
    path, parts = tmp_path / "checkpoint", {"model": nn.Linear(2, 1, rng=Generator(1)), "rng": Generator(1)}
    parts["optimizer"], parts["run"] = Adam(parts["model"]), Run3()
    save_state(path, **parts)
    whole, before = path.read_bytes(), read_state(path)
    for bit in range(0, 8 * len(whole), every):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            found = read_state(path)
        except ValueError:
            continue
        assert found.keys() == before.keys(), bit  # another way to write the same, such as E for e in a number
        for name, value in before.items():
            np.testing.assert_array_equal(found[name], value, err_msg=f"bit {bit}")


@pytest.mark.parametrize("values", [{"rng.key": 8}, {"rng.key": 7, "rng.more": 0}, {}])
def test_values_that_were_changed_do_not_agree_with_the_sum(tmp_path, values):
    good, tensors = {"rng.key": 7}, {"w": np.ones(2)}
    content = {"format": 2, "values": values, "sha256": files.content_sum(tensors, good)}
    (tmp_path / "file").write_bytes(save(tensors, {"minigen": json.dumps(content)}))
    with pytest.raises(ValueError, match="is damaged: its content is not what was written"):
        read_state(tmp_path / "file")


def test_a_file_that_was_written_before_files_had_sums_is_read(tmp_path):
    path = tmp_path / "old"
    state = Generator(7).state()
    values = {f"rng.{name}": value for name, value in state.items()}
    path.write_bytes(save({"m.w": np.ones(2)}, {"minigen": json.dumps({"format": 2, "values": values})}))
    assert read_state(path)["rng.key"] == 7


@pytest.mark.parametrize("name", ["model.a", "."])
def test_a_part_whose_name_has_a_dot_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match="has a dot"):
        save_state(tmp_path / "file", **{name: Generator(0)})


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ([1, 1], "the state has counts of updates for 2 parameters, but there are 4: layers.0.weight"),
        ([1] * 6, "the state has counts of updates for 6 parameters, but there are 4"),
        ([1, 1, 1, 99], "the count of 'layers.2.bias' is 99 in the state, expected a whole number from 0 to 2"),
        ([1, 1, 1, -1], "the count of 'layers.2.bias' is -1"),
        ([1, 1, 1, 1.0], "the count of 'layers.2.bias' is 1.0"),
    ],
)
def test_counts_of_another_model_are_refused(counts, message):
    optimizer = Parts(1).optimizer
    before = all_states({"optimizer": optimizer})
    with pytest.raises(ValueError, match=message):
        optimizer.load_state({**optimizer.state(), "steps": 2, "counts": counts})
    assert all_states({"optimizer": optimizer}) == before
