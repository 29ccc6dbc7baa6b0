"""Emoji from a folder of the form of their package, a small one made here."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from minigen.data import load_emoji, load_images

ENTRIES = [
    {"name": "RED APPLE", "image": "a.png", "category": "Food & Drink", "has_img_google": True},
    {"name": "GRINNING FACE", "image": "b.png", "category": "Activities", "has_img_google": True},
    {"name": "ONLY ELSEWHERE", "image": "c.png", "category": "Flags", "has_img_google": False},
    {"name": "SKIN TONE", "image": "d.png", "category": "Component", "has_img_google": True},
    {"name": "KEY", "image": "e.png", "category": "Activities", "has_img_google": True},
]
PIXELS = {"a": ("RGBA", (255, 0, 0, 128)), "b": ("LA", (40, 255)), "e": ("P", 0)}


def fill(folder, entries=ENTRIES):
    (folder / "img" / "google" / "64").mkdir(parents=True)
    (folder / "emoji.json").write_text(json.dumps(entries))
    for name, (mode, colour) in PIXELS.items():
        Image.new(mode, (64, 64), colour).save(folder / "img" / "google" / "64" / f"{name}.png")
    return folder


def test_pictures_on_white_with_names_and_categories(tmp_path):
    images, names = load_emoji(folder=fill(tmp_path))
    assert names == ["red apple", "grinning face", "key"]
    assert (images.name, images.levels, images.classes) == ("emoji", 256, ("Activities", "Food & Drink"))
    assert (images.images.shape, images.images.dtype) == ((3, 64, 64, 3), np.uint8)
    np.testing.assert_array_equal(images.labels, [1, 0, 0])
    np.testing.assert_array_equal(images.images[:, 5, 5], [[255, 127, 127], [40, 40, 40], [0, 0, 0]])


def test_the_environment_and_the_cache_are_looked_in(tmp_path, monkeypatch):
    fill(tmp_path / "data" / "emoji")
    monkeypatch.setenv("MINIGEN_DATA", str(tmp_path / "data"))
    assert len(load_emoji().names) == 3
    monkeypatch.delenv("MINIGEN_DATA")
    monkeypatch.setenv("HOME", str(tmp_path))
    words = f"{tmp_path}/.cache/minigen/emoji/emoji.json is missing; get the npm package emoji-datasource-google and unpack it"
    with pytest.raises(FileNotFoundError, match=re.escape(words)):
        load_emoji()
    fill(tmp_path / ".cache" / "minigen" / "emoji")
    assert len(load_emoji().names) == 3


def test_a_fifth_is_held_out(tmp_path):
    entries = [ENTRIES[0] | {"name": str(i), "category": "ab"[i % 2]} for i in range(10)]
    training, test = load_images("emoji", folder=fill(tmp_path, entries))
    assert (len(training.images), len(test.images)) == (8, 2)


def test_a_picture_that_is_not_there_is_named(tmp_path):
    fill(tmp_path)
    (tmp_path / "img" / "google" / "64" / "b.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"load_emoji: .*b.png is missing; get the npm package"):
        load_emoji(folder=tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not the list of the package: JSONDecodeError"),
        ("[3]", "is not the list of the package: TypeError"),
        ('[{"name": "x"}]', "is not the list of the package: KeyError"),
        ("[]", "names no emoji"),
        (json.dumps([ENTRIES[0] | {"name": None}]), "or lacks the name, image or category of one"),
    ],
)
def test_a_list_that_is_not_the_packages_is_refused(tmp_path, text, message):
    fill(tmp_path)
    (tmp_path / "emoji.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        load_emoji(folder=tmp_path)


def test_pictures_of_another_size_or_form_are_refused(tmp_path):
    fill(tmp_path)
    path = tmp_path / "img" / "google" / "64" / "a.png"
    Image.new("RGB", (64, 32)).save(path)
    with pytest.raises(ValueError, match=r"load_emoji: .*a.png has 64 x 32 pixels, expected 64 x 64"):
        load_emoji(folder=tmp_path)
    path.write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"load_emoji: .*a.png cannot be read as a picture"):
        load_emoji(folder=tmp_path)
