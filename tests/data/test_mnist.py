"""MNIST's loaders on small files of its form, from folders and from a server on this machine; the real files where they are at hand."""

import contextlib
import gzip
import hashlib
import http.server
import os
import re
import struct
import threading
from pathlib import Path

import numpy as np
import pytest

from minigen.data import load_fashion_mnist, load_mnist, mnist
from minigen.data.mnist import FASHION_MNIST, MNIST, PARTS


def idx_bytes(array):
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


IMAGES = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)
LABELS = np.array([3, 1, 4, 1, 9], dtype=np.uint8)
CONTENT = {
    f"{part}-{name}": idx_bytes(array)
    for part in PARTS.values()
    for name, array in (("images-idx3-ubyte", IMAGES), ("labels-idx1-ubyte", LABELS))
}
PACKED = {f"{name}.gz": gzip.compress(content, mtime=0) for name, content in CONTENT.items()}


def fill(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# ------------------------------------------------------------------------------------------------------------------- from folders


@pytest.mark.parametrize("files", [CONTENT, PACKED], ids=["plain", "gz"])
@pytest.mark.parametrize(("load", "name"), [(load_mnist, "mnist"), (load_fashion_mnist, "fashion-mnist")])
def test_a_folder_is_read(tmp_path, files, load, name):
    fill(tmp_path, files)
    for found in (load(folder=tmp_path), load("test", folder=str(tmp_path))):
        assert (found.name, found.levels, len(found.classes)) == (name, 256, 10)
        assert (found.images.dtype, found.labels.dtype) == (np.uint8, np.int64)
        np.testing.assert_array_equal(found.images, IMAGES[..., None])
        np.testing.assert_array_equal(found.labels, LABELS)


def test_the_splits_are_different_files(tmp_path):
    fill(tmp_path, CONTENT | {"t10k-labels-idx1-ubyte": idx_bytes(LABELS[::-1])})
    np.testing.assert_array_equal(load_mnist("test", folder=tmp_path).labels, LABELS[::-1])
    np.testing.assert_array_equal(load_mnist("train", folder=tmp_path).labels, LABELS)


def test_the_environment_names_the_folder_around_both(tmp_path, monkeypatch):
    fill(tmp_path / "mnist", PACKED)
    fill(tmp_path / "fashion-mnist", CONTENT | {"train-labels-idx1-ubyte": idx_bytes(LABELS[::-1])})
    monkeypatch.setenv("MINIGEN_DATA", str(tmp_path))
    np.testing.assert_array_equal(load_mnist().labels, LABELS)
    np.testing.assert_array_equal(load_fashion_mnist().labels, LABELS[::-1])


def test_without_the_environment_the_cache_of_the_user_is_read(tmp_path, monkeypatch):
    fill(tmp_path / ".cache" / "minigen" / "mnist", PACKED)
    monkeypatch.delenv("MINIGEN_DATA", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    np.testing.assert_array_equal(load_mnist().labels, LABELS)


def test_a_folder_that_lacks_a_file_is_said_and_not_filled(tmp_path, server):
    fill(tmp_path, {name: content for name, content in PACKED.items() if "labels" not in name})
    missing = f"load_mnist: {tmp_path} has neither train-labels-idx1-ubyte nor train-labels-idx1-ubyte.gz"
    with pytest.raises(FileNotFoundError, match=re.escape(missing)):
        load_mnist(folder=tmp_path)
    assert server.asked == []


WRONG = {
    "has 4 images, but": {"train-images-idx3-ubyte": idx_bytes(IMAGES[:4])},
    "has the label 10, expected 0 to 9": {"train-labels-idx1-ubyte": idx_bytes(LABELS + np.uint8(1))},
    "has shape (5,) and type uint8, expected 3 axes of uint8": {"train-images-idx3-ubyte": idx_bytes(LABELS)},
    "has shape (5, 4, 3) and type uint8, expected 1 axes": {"train-labels-idx1-ubyte": idx_bytes(IMAGES)},
    "goes on after the 5 bytes": {"train-labels-idx1-ubyte": idx_bytes(LABELS) + b"\0"},
}


@pytest.mark.parametrize("message", WRONG)
def test_files_that_do_not_fit_are_refused(tmp_path, message):
    fill(tmp_path, CONTENT | WRONG[message])
    with pytest.raises(ValueError, match=re.escape(message)):
        load_mnist(folder=tmp_path)


def test_another_split_is_refused(tmp_path):
    with pytest.raises(ValueError, match="load_fashion_mnist: split is 'valid', expected 'train' or 'test'"):
        load_fashion_mnist("valid", folder=tmp_path)


# --------------------------------------------------------------------------------------------------------------------- downloaded


class Server(http.server.ThreadingHTTPServer):
    """Serves PACKED below /mirror/; `answers` replaces files, and `promised` lengths; `asked` notes the paths."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server_port}/mirror/"
        self.asked, self.answers, self.promised = [], dict(PACKED), {}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        name = self.path.removeprefix("/mirror/")
        if name not in self.server.answers:
            self.send_error(404)
            return
        content = self.server.answers[name]
        self.send_response(200)
        self.send_header("Content-Length", str(self.server.promised.get(name, len(content))))
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # the other side may hang up
            self.wfile.write(content)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A server of the small files, the only mirror; downloads go below tmp_path / "data"."""
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("MINIGEN_DATA", str(tmp_path / "data"))
    with Server() as server:
        files = {
            name: (len(PACKED[f"{name}.gz"]), hashlib.sha256(PACKED[f"{name}.gz"]).hexdigest()) for name in CONTENT
        }
        monkeypatch.setattr(mnist, "MNIST", MNIST._replace(mirrors=(server.address,), files=files))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_what_is_missing_is_downloaded_once(tmp_path, server):
    np.testing.assert_array_equal(load_mnist("test").images, IMAGES[..., None])
    assert server.asked == ["/mirror/t10k-images-idx3-ubyte.gz", "/mirror/t10k-labels-idx1-ubyte.gz"]
    place = tmp_path / "data" / "mnist"
    assert names(place) == ["t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"]
    assert all((place / name).read_bytes() == PACKED[name] for name in names(place))
    assert (place / names(place)[0]).stat().st_mode & 0o777 == 0o644
    np.testing.assert_array_equal(load_mnist("test").labels, LABELS)
    assert len(server.asked) == 2


def test_only_the_missing_file_is_downloaded(tmp_path, server):
    fill(tmp_path / "data" / "mnist", {"train-images-idx3-ubyte": CONTENT["train-images-idx3-ubyte"]})
    np.testing.assert_array_equal(load_mnist().labels, LABELS)
    assert server.asked == ["/mirror/train-labels-idx1-ubyte.gz"]


IMAGES_FILE = "train-images-idx3-ubyte.gz"
BROKEN = {
    "its SHA-256 sum is": PACKED[IMAGES_FILE][:-1] + b"\1",
    "it is shorter than expected": PACKED[IMAGES_FILE][:-7],
    "it is longer than expected": PACKED[IMAGES_FILE] + bytes(100_000),
}


@pytest.mark.parametrize("message", BROKEN)
def test_a_broken_download_leaves_nothing_behind(tmp_path, server, message):
    server.answers[IMAGES_FILE] = BROKEN[message]
    server.promised[IMAGES_FILE] = max(len(BROKEN[message]), len(PACKED[IMAGES_FILE]))  # the short one breaks off
    with pytest.raises(OSError, match=message):
        load_mnist()
    assert names(tmp_path / "data" / "mnist") == []
    server.answers[IMAGES_FILE] = PACKED[IMAGES_FILE]
    del server.promised[IMAGES_FILE]
    np.testing.assert_array_equal(load_mnist().images, IMAGES[..., None])


def test_an_interrupted_download_leaves_nothing_behind(tmp_path, server, monkeypatch):
    def interrupt(handle):
        assert len(names(tmp_path / "data" / "mnist")) == 1  # what was written aside
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            load_mnist()
    assert names(tmp_path / "data" / "mnist") == []


def test_a_download_that_does_not_end_is_cut_off(server, monkeypatch):
    server.answers[IMAGES_FILE] = PACKED[IMAGES_FILE] + bytes(5_000_000)
    written = []
    monkeypatch.setattr(os, "fsync", lambda handle: written.append(os.fstat(handle).st_size))
    with pytest.raises(OSError, match="it is longer than expected"):
        load_mnist()
    assert len(PACKED[IMAGES_FILE]) < written[0] < 200_000


def test_the_next_mirror_is_asked_and_all_failures_are_told(tmp_path, server, monkeypatch):
    gone, closed = server.address.replace("mirror", "gone"), "http://127.0.0.1:9/"
    source = mnist.MNIST
    monkeypatch.setattr(mnist, "MNIST", source._replace(mirrors=(gone, closed, server.address)))
    np.testing.assert_array_equal(load_mnist("test").labels, LABELS)

    monkeypatch.setattr(mnist, "MNIST", source._replace(mirrors=(gone, closed)))
    with pytest.raises(OSError, match="load_mnist: ") as caught:
        load_mnist("train")
    place = tmp_path / "data" / "mnist"
    said = str(caught.value)
    assert said.startswith(
        f"load_mnist: {place / IMAGES_FILE} is missing and cannot be downloaded. Put it there by hand"
    )
    assert f"{gone}{IMAGES_FILE}: HTTP Error 404" in said
    assert f"{closed}{IMAGES_FILE}: <urlopen error" in said
    assert "load_mnist(folder=...)" in said
    assert "MINIGEN_DATA" in said


@pytest.mark.parametrize("source", [MNIST, FASHION_MNIST], ids=lambda source: source.name)
def test_the_sources_are_written_right(source):
    assert sorted(source.files) == sorted(CONTENT)
    assert len({sha256 for _, sha256 in source.files.values()}) == 4
    assert all(re.fullmatch("[0-9a-f]{64}", sha256) for _, sha256 in source.files.values())
    assert all(mirror.startswith("https://") and mirror.endswith("/") for mirror in source.mirrors)
    assert len(source.classes) == 10


# ------------------------------------------------------------------------------------------------------------------ the real ones


def real(load):
    try:
        return load("train", folder=FOLDERS[load]), load("test", folder=FOLDERS[load])
    except FileNotFoundError as error:
        pytest.skip(f"needs the real files: {error}")


ROOT = Path(os.environ.get("MINIGEN_DATA") or "~/.cache/minigen").expanduser()
FOLDERS = {load_mnist: ROOT / "mnist", load_fashion_mnist: ROOT / "fashion-mnist"}


def test_the_real_mnist():
    train, test = real(load_mnist)
    assert (train.images.shape, test.images.shape) == ((60_000, 28, 28, 1), (10_000, 28, 28, 1))
    assert train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert np.bincount(test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    # The mean and standard deviation that PyTorch's examples normalize with.
    unit = train.unit()
    assert round(float(unit.mean(dtype=np.float64)), 4) == 0.1307
    assert round(float(unit.std(dtype=np.float64)), 4) == 0.3081
    assert hashlib.md5(idx_bytes(train.images[..., 0])).hexdigest() == "6bbc9ace898e44ae57da46a324031adb"


def test_the_real_fashion_mnist():
    train, test = real(load_fashion_mnist)
    assert (train.images.shape, test.images.shape) == ((60_000, 28, 28, 1), (10_000, 28, 28, 1))
    assert (np.bincount(train.labels) == 6_000).all()
    assert round(float(train.unit().mean(dtype=np.float64)), 4) == 0.2860
