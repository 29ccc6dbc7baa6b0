"""Pictures that are drawn from factors: every combination is read back, varied, noisy or as a model might draw it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigen.data import FACES, SHAPES, factored
from minigen.data.factored import Part, Variation, compose, coordinates, coverage, plain
from minigen.random import Generator

BOTH = pytest.mark.parametrize("pictures", [SHAPES, FACES], ids=lambda pictures: pictures.name)


def assert_same(found, expected):
    for name, a, b in zip(expected._fields, found, expected, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=name)


def at_the_ends(n, layers, rng):
    """Every variation as far as it goes, to one side or to the other."""
    sides = [np.sign(rng.uniform(shape, low=-1.0, high=1.0)) for shape in ((n, 2), n, n, (n, layers, 3))]
    limits = (factored.SHIFT, factored.STRETCH, factored.TILT, factored.SHADE)
    shift, stretch, tilt, shade = (side * limit for side, limit in zip(sides, limits, strict=True))
    return Variation(shift, 1 + stretch, tilt, shade, rng.uniform((n, 32, 32), low=-1.0, high=1.0))


# -------------------------------------------------------------------------------------------------------------------------- factors


@BOTH
def test_all_factors_are_every_combination_once(pictures):
    every = pictures.all_factors()
    sizes = [len(names) for names in pictures.values.values()]
    assert tuple(pictures.values) == every._fields
    assert len(every[0]) == np.prod(sizes)
    codes = np.ravel_multi_index(every, sizes)
    np.testing.assert_array_equal(codes, np.arange(np.prod(sizes)))


@BOTH
def test_random_factors_are_reproducible_and_all_values_occur_about_equally_often(pictures):
    one, again, other = (pictures.random_factors(3000, rng=Generator(seed)) for seed in (3, 3, 4))
    assert_same(again, one)
    assert any((a != b).any() for a, b in zip(one, other, strict=True))
    for values, names in zip(one, pictures.values.values(), strict=True):
        share = np.bincount(values, minlength=len(names)) / 3000
        assert np.abs(share - 1 / len(names)).max() < 0.05


@BOTH
def test_the_unseen_combinations_are_in_no_other_split_but_all_their_values_are(pictures):
    sizes = [len(names) for names in pictures.values.values()]
    seen, test, unseen = (pictures.factors(split) for split in ("train", "test", "unseen"))
    combinations = [set(np.ravel_multi_index(factors, sizes).tolist()) for factors in (seen, test, unseen)]
    assert not combinations[2] & (combinations[0] | combinations[1])
    assert len(combinations[0] & combinations[1]) > 0.8 * len(combinations[1])
    assert_same(pictures.factors("train"), seen)
    assert [len(factors[0]) for factors in (seen, test, unseen)] == [5000, 1000, 1000]
    for values, names in zip(seen, pictures.values.values(), strict=True):
        assert set(values.tolist()) == set(range(len(names)))


def test_another_split_is_refused():
    with pytest.raises(ValueError, match="faces: split is 'valid', expected one of 'train', 'test', 'unseen'"):
        FACES.load("valid")


# ------------------------------------------------------------------------------------------------------------------------- pictures


@BOTH
def test_every_plain_picture_is_read_and_is_near_to_itself(pictures):
    every = pictures.all_factors()
    found, distance = pictures.read(pictures.draw(every))
    assert_same(found, every)
    assert distance.max() < 0.5 / 255  # rounding to bytes


@settings(max_examples=3)
@given(seed=st.integers(0, 2**32))
@BOTH
def test_varied_pictures_are_read(pictures, seed):
    told = pictures.random_factors(64, rng=Generator(seed))
    found, distance = pictures.read(pictures.draw(told, rng=Generator(seed + 1)))
    assert_same(found, told)
    assert distance.min() > 0
    assert distance.max() < 0.11


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
@BOTH
def test_every_combination_is_read_where_all_variation_is_at_its_ends(pictures, seed, monkeypatch):
    monkeypatch.setattr(factored, "_varied", at_the_ends)
    every = pictures.all_factors()
    assert_same(pictures.read(pictures.draw(every, rng=Generator(seed))).factors, every)


@BOTH
def test_a_few_combinations_are_read_where_all_variation_is_at_its_ends(pictures, monkeypatch):
    monkeypatch.setattr(factored, "_varied", at_the_ends)
    told = pictures.random_factors(64, rng=Generator(0))
    assert_same(pictures.read(pictures.draw(told, rng=Generator(1))).factors, told)


def test_what_is_read_is_the_nearest_plain_picture_as_found_one_by_one(monkeypatch):
    # Without shift and stretch "nearest" is over the plain pictures alone, which can all be drawn and compared.
    monkeypatch.setattr(factored, "SHIFT", 0.0)
    monkeypatch.setattr(factored, "STRETCH", 0.0)
    fresh = type(SHAPES)()
    every = fresh.all_factors()
    drawn = fresh.draw(every) / np.float32(255)
    unclear = 0.6 * drawn[::400][:3] + 0.4 * np.random.default_rng(0).random((3, 32, 32, 3), np.float32)
    apart = np.array([np.sqrt(np.square(drawn - image).mean(axis=(1, 2, 3))) for image in unclear])
    found, distance = fresh.read(unclear)
    np.testing.assert_allclose(distance, apart.min(axis=1), atol=1e-3)  # those that were drawn are rounded to bytes
    nearest = np.ravel_multi_index(found, [len(names) for names in fresh.values.values()])
    assert (apart[np.arange(3), nearest] < apart.min(axis=1) + 1e-3).all()


@BOTH
def test_noise_is_read_over_and_distances_tell_it(pictures):
    told = pictures.random_factors(48, rng=Generator(0))
    images = pictures.draw(told, rng=Generator(1)) / np.float32(255)
    noisy = np.clip(images + 0.05 * np.random.default_rng(0).normal(size=images.shape), 0, 1)
    found, distance = pictures.read(noisy)
    assert_same(found, told)
    clean = pictures.read(images).distance
    assert (distance > clean).all()
    nonsense = pictures.read(np.random.default_rng(0).random((8, 32, 32, 3))).distance
    assert nonsense.min() > 2 * distance.max()


@BOTH
def test_blurred_pictures_keep_most_of_their_factors(pictures):
    told = pictures.random_factors(48, rng=Generator(0))
    x = pictures.draw(told, rng=Generator(1)) / np.float32(255)
    for axis in (1, 2):
        x = (np.roll(x, 1, axis) + x + np.roll(x, -1, axis)) / 3
    for name, a, b in zip(told._fields, pictures.read(x).factors, told, strict=True):
        assert (a == b).mean() > 0.8, name


@BOTH
def test_bytes_and_floats_are_read_alike_and_so_are_many_at_once_and_few(pictures):
    images = pictures.draw(pictures.random_factors(factored.AT_ONCE + 3, rng=Generator(0)), rng=Generator(1))
    whole = pictures.read(images)
    assert_same(pictures.read(images / 255).factors, whole.factors)
    last = pictures.read(images[-2:])
    assert_same(last.factors, pictures.record(*(values[-2:] for values in whole.factors)))
    np.testing.assert_allclose(last.distance, whole.distance[-2:], rtol=1e-4)


@BOTH
def test_pictures_of_the_same_factors_differ_and_each_draw_can_be_repeated(pictures):
    factors = pictures.record(*(np.repeat(values[:1], 200) for values in pictures.all_factors()))
    one, same, other = (pictures.draw(factors, rng=Generator(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any(axis=(1, 2, 3)).all()
    assert len(np.unique(one.reshape(200, -1), axis=0)) == 200
    again = pictures.draw(factors)
    assert (again == again[:1]).all()
    assert not (one[:50] == again[:50]).all(axis=(1, 2, 3)).any()


@BOTH
def test_no_picture_is_no_problem(pictures):
    none = pictures.random_factors(0, rng=Generator(0))
    images = pictures.draw(none, rng=Generator(0))
    assert images.shape == (0, 32, 32, 3)
    found, distance = pictures.read(images)
    assert [values.shape for values in (*found, distance)] == [(0,)] * (len(found) + 1)


@BOTH
def test_a_set_has_its_pictures_with_the_label_that_is_its_class(pictures, monkeypatch):
    monkeypatch.setattr(factored, "SIZES", {"train": 40, "test": 20, "unseen": 20})
    training, test, unseen = (pictures.load(split) for split in ("train", "test", "unseen"))
    for split, data in (("train", training), ("test", test), ("unseen", unseen)):
        assert_same(pictures.read(data.images).factors, pictures.factors(split))
        labels = getattr(pictures.factors(split), pictures.label)
        np.testing.assert_array_equal(data.labels, labels)
        assert data.classes == pictures.values[pictures.label]
    np.testing.assert_array_equal(pictures.load("train").images, training.images)
    together = np.concatenate([training.images, test.images, unseen.images]).reshape(80, -1)
    assert len(np.unique(together, axis=0)) == 80


def test_factors_that_do_not_fit_are_refused():
    factors = SHAPES.random_factors(3, rng=Generator(0))
    with pytest.raises(ValueError, match=r"draw: colour from 0 to 8, expected 0 to 7"):
        SHAPES.draw(factors._replace(colour=np.array([0, 8, 2])))
    with pytest.raises(ValueError, match=r"draw: size from -1 to 1, expected 0 to 1"):
        SHAPES.draw(factors._replace(size=np.array([0, -1, 1])))
    with pytest.raises(ValueError, match=r"draw: factors of shapes .*\(2,\).*, expected 6 of \(N,\)"):
        SHAPES.draw(factors._replace(row=np.array([0, 1])))
    with pytest.raises(ValueError, match="draw: row has type float64, expected whole numbers"):
        SHAPES.draw(factors._replace(row=np.array([0.0, 1.0, 2.0])))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 28, 28, 3)), r"read: images of shape \(2, 28, 28, 3\), expected \(N, 32, 32, 3\)"),
        (np.zeros((32, 32, 3)), r"read: images of shape \(32, 32, 3\)"),
        (np.full((1, 32, 32, 3), -0.5), r"read: pixels from -0.5 to -0.5, expected floats in \[0, 1\], or uint8"),
        (np.full((1, 32, 32, 3), np.nan), r"read: pixels from nan to nan"),
    ],
)
def test_images_that_cannot_be_read_are_refused(images, message):
    with pytest.raises(ValueError, match=message):
        FACES.read(images)


# -------------------------------------------------------------------------------------------------------------------------- drawing


def test_parts_hide_what_is_behind_them():
    half, full = (np.full((1, 2, 2), share, np.float32) for share in (0.5, 1.0))
    masks = compose([Part(1, full), Part(2, half, 0.8), Part(0, half)], layers=3)[0, :, 0, 0]
    np.testing.assert_allclose(masks, [0.5, 0.25, 0.2])


def test_a_disc_covers_its_area_wherever_it_is_however_it_is_turned():
    n = 50
    rng = Generator(0)
    change = plain(n, 1)._replace(shift=rng.uniform((n, 2), low=-2.0, high=2.0), tilt=rng.uniform(n, high=6.0))
    right, down = coordinates(np.full((n, 2), 16.0), change)
    areas = coverage(np.hypot(right, down) - 6).sum(axis=(1, 2))
    np.testing.assert_allclose(areas, 36 * np.pi, rtol=0.01)
    centre = (coverage(np.hypot(right, down) - 6) * (np.arange(32) + 0.5)).sum(axis=(1, 2)) / areas
    np.testing.assert_allclose(centre, 16 + change.shift[:, 1], atol=0.02)


def test_a_tilt_is_clockwise_and_a_stretch_enlarges():
    change = plain(1, 1)._replace(tilt=np.array([np.pi / 2], "f"), stretch=np.array([2.0], "f"))
    right, down = coordinates(np.array([[16.0, 16.0]]), change)
    # The pixel 8 below the middle shows what was 4 to the right of it.
    np.testing.assert_allclose([right[0, 23, 15], down[0, 23, 15]], [3.75, 0.25], atol=1e-5)
