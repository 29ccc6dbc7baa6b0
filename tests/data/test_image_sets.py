"""Images by the name of their set: the digits' parts are always the same, some are drawn, the others come from a folder."""

import re
import struct

import numpy as np
import pytest

from minigen.data import IMAGE_SETS, factored, load_digits, load_images


@pytest.fixture
def folder(tmp_path):
    """MNIST's files, few images of noise: 5 to learn from, 3 to test on."""
    for part, n in (("train", 5), ("t10k", 3)):
        pixels = np.random.default_rng(n).integers(0, 256, (n, 28, 28), dtype=np.uint8)
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(
            struct.pack(">4I", 0x803, *pixels.shape) + pixels.tobytes()
        )
        labels = (np.arange(n) % 10).astype(np.uint8)
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 0x801, n) + labels.tobytes())
    return tmp_path


def test_the_digits_parts_are_a_partition_and_the_same_each_time():
    (training, test), (again, _) = load_images("digits"), load_images("digits")
    assert (len(training.images), len(test.images)) == (1438, 359)
    np.testing.assert_array_equal(training.images, again.images)
    together = np.concatenate([training.images, test.images]).reshape(1797, 64)
    every = load_digits().images.reshape(1797, 64)
    np.testing.assert_array_equal(np.sort(together.view("V64").ravel()), np.sort(every.view("V64").ravel()))


@pytest.mark.parametrize(("name", "first_class"), [("mnist", "0"), ("fashion", "T-shirt")])
def test_the_others_are_read_from_a_folder(folder, name, first_class):
    training, test = load_images(name, folder=folder)
    assert (training.images.shape, test.images.shape) == ((5, 28, 28, 1), (3, 28, 28, 1))
    assert training.classes[0] == test.classes[0] == first_class
    np.testing.assert_array_equal(test.labels, [0, 1, 2])


@pytest.mark.parametrize("name", ["shapes", "faces"])
def test_drawn_images_have_the_sizes_and_parts_of_their_set(name, monkeypatch):
    monkeypatch.setattr(factored, "SIZES", {"train": 30, "test": 10, "unseen": 10})
    training, test = load_images(name)
    assert (training.name, training.images.shape, test.images.shape) == (name, (30, 32, 32, 3), (10, 32, 32, 3))
    assert (training.images.dtype, training.labels.dtype, training.levels) == (np.uint8, np.int64, 256)
    assert training.classes == test.classes


@pytest.mark.parametrize("name", ["digits", "shapes", "faces"])
def test_a_folder_of_what_the_package_has_is_refused(tmp_path, name):
    words = f"load_images: the {name} are part of the package; the folder {tmp_path} is for mnist, fashion and emoji"
    with pytest.raises(ValueError, match=re.escape(words)):
        load_images(name, folder=tmp_path)


def test_another_name_or_a_folder_without_the_files_is_refused(tmp_path):
    with pytest.raises(
        ValueError, match="load_images: data set 'cifar' is unknown; it is one of digits, mnist, fashion"
    ):
        load_images("cifar")
    assert IMAGE_SETS == ("digits", "mnist", "fashion", "shapes", "faces", "emoji")
    for name in ("mnist", "fashion"):
        with pytest.raises(FileNotFoundError, match="train-images"):
            load_images(name, folder=tmp_path)
    with pytest.raises(FileNotFoundError, match=r"load_emoji: .*emoji.json is missing"):
        load_images("emoji", folder=tmp_path)
