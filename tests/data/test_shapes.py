"""Captioned shapes: each caption says what is in its picture, and no two are the same."""

import numpy as np
import pytest

from minigen.data import SHAPE_WORDS, SHAPES, ShapeFactors
from minigen.data.shapes import BACKGROUNDS, COLOURS
from minigen.random import Generator


@pytest.fixture(scope="module")
def pictures():
    """Every combination of factors, its plain picture, and how far each pixel is from the background."""
    every = SHAPES.all_factors()
    images = SHAPES.draw(every) / np.float32(255)
    background = np.array(list(BACKGROUNDS.values()), np.float32)[every.background]  # (N, 3)
    return every, images, np.abs(images - background[:, None, None]).max(axis=3)


def one(**named):
    """The factors of one picture, by the names of their values."""
    values = {
        factor: SHAPES.values[factor].index(named.get(factor, SHAPES.values[factor][0])) for factor in SHAPES.values
    }
    return ShapeFactors(**{factor: np.array([value]) for factor, value in values.items()})


def test_captions_are_english_sentences_of_known_words_and_all_different():
    captions = SHAPES.captions(SHAPES.all_factors())
    assert len(set(captions)) == len(captions) == 2592
    assert {word for caption in captions for word in caption.split()} == set(SHAPE_WORDS)
    assert len(set(SHAPE_WORDS)) == len(SHAPE_WORDS)
    middle = {"row": "middle", "column": "middle"}
    assert SHAPES.captions(one(shape="circle", colour="red", size="large", background="white")) == [
        "a large red circle at the top left on white"
    ]
    assert SHAPES.captions(one(shape="ring", colour="blue", **middle)) == ["a small blue ring in the middle on white"]
    assert SHAPES.captions(one(**middle | {"column": "right"}))[0].endswith("at the right on white")
    assert SHAPES.captions(one(**middle | {"row": "bottom"}))[0].endswith("at the bottom on white")


def test_colours_and_places_are_what_the_words_say(pictures):
    every, images, away = pictures
    figure = away > 0.02  # (N, S, S)
    places = np.arange(32) + 0.5
    for axis, factor in ((2, every.row), (1, every.column)):
        middle = (figure.any(axis=axis) * places).sum(axis=1) / figure.any(axis=axis).sum(axis=1)
        np.testing.assert_allclose(middle, 8 * (1 + factor), atol=1.5)
    # Where a large shape covers whole pixels, they have its colour.
    large = every.size == 1
    colour = np.array(list(COLOURS.values()), np.float32)[every.colour]
    covered = (np.abs(images - colour[:, None, None]).max(axis=3) < 0.5 / 255 + 1e-6).sum(axis=(1, 2))
    assert covered[large].min() > 20
    assert not figure[:, 0, 0].any()


def test_a_large_shape_is_larger_than_a_small_one_of_its_kind(pictures):
    every, _, away = pictures
    areas = (away > 0.1).sum(axis=(1, 2))
    for kind in range(6):
        small, large = (areas[(every.shape == kind) & (every.size == size)] for size in (0, 1))
        assert large.min() > 1.8 * small.max()


def test_swapping_a_word_of_the_caption_changes_the_picture_where_it_should():
    told = one(shape="square", colour="green", size="large", row="bottom", column="right", background="grey")
    images = [SHAPES.draw(told._replace(colour=np.array([k])), rng=Generator(0)) for k in range(8)]
    changed = np.ptp(images, axis=0)[0].any(axis=2)
    assert changed[24, 24]
    assert not changed[:14, :14].any()
