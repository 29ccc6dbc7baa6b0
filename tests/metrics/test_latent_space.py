import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigen.metrics import active_units, latent, normal_like, regularity
from minigen.random import Generator


def test_a_unit_is_active_if_its_mean_varies_enough():
    means = np.random.default_rng(0).normal(size=(20_000, 4)) * [1.0, 0.11, 0.09, 0.0] + [0.0, 5.0, 5.0, 5.0]
    found = active_units(means)
    assert found.number == 2
    np.testing.assert_allclose(found.activity, [1.0, 0.0121, 0.0081, 0.0], rtol=0.05, atol=1e-12)
    assert active_units(means, threshold=0.5).number == 1


@settings(max_examples=10)
@given(seed=st.integers(0, 100), n=st.integers(2, 30), dimensions=st.integers(1, 4))
def test_draws_have_the_mean_and_covariance_of_the_codes(seed, n, dimensions):
    rng = np.random.default_rng(seed)
    codes = rng.normal(size=(n, dimensions)) @ rng.normal(size=(dimensions, dimensions)) + 3
    draws = normal_like(codes, 5000, rng=Generator(seed))
    covariance = np.cov(codes.T, bias=True).reshape(dimensions, dimensions)
    scale = max(np.sqrt(np.trace(covariance)), 1e-6)
    np.testing.assert_allclose(draws.mean(axis=0), codes.mean(axis=0), atol=0.07 * scale)
    np.testing.assert_allclose(np.cov(draws.T, bias=True).reshape(covariance.shape), covariance, atol=0.12 * scale**2)


# Images of two pixels: class 0 around (0, 0), class 1 around (10, 0). The code is the image.


def clusters(n, seed):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    return (rng.normal(size=(n, 2)) + 10 * labels[:, None] * [1, 0]).astype(np.float32), labels


def measured(decode=lambda z: z, encode=lambda x: x, places=((0.0, 0.0),), **settings):
    return regularity(
        encode, decode, training=clusters(200, 0), held_out=clusters(100, 1), places=np.array(places, np.float32),
        rng=Generator(0), **settings,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("place", "is_image"),
    [((0.0, 0.0), True), ((10.0, 0.0), True), ((5.0, 0.0), False), ((0.0, 30.0), False)],
    ids=["class 0", "class 1", "between", "far away"],
)
def test_a_place_means_an_image_if_it_is_near_some_of_one_class(place, is_image):
    assert measured(places=[place]).completeness == is_image


@pytest.mark.parametrize(("place", "is_image"), [(-1.0, True), (0.0, False), (1.0, True)])
def test_a_place_that_is_near_two_classes_is_ambiguous(place, is_image):
    images = np.array([-1.4, -1.2, -1.0, -0.9, -0.8, 0.8, 0.9, 1.0, 1.2, 1.4])[:, None]
    found = regularity(
        lambda x: x, lambda z: z, training=(images, np.sign(images[:, 0])), held_out=(3 * images, np.ones(10)),
        places=np.array([[place]]), rng=Generator(0),
    )  # fmt: skip
    assert found.completeness == is_image


def test_shares_are_of_places_and_held_out_images_have_their_own():
    found = measured(places=[(0.0, 0.0), (10.0, 0.0), (5.0, 0.0), (0.0, 30.0)])
    assert found.completeness == 0.5
    assert found.held_out == pytest.approx(0.95)  # classes this far apart are never ambiguous
    assert found.agreement == 1


def test_codes_that_mix_classes_do_not_agree():
    found = measured(encode=lambda x: (x % 3).astype(np.float32) * 0 + x[:, 1:] * [[1, 0]])
    assert 0.35 < found.agreement < 0.65


@pytest.mark.parametrize(
    ("decode", "evenness"),
    [
        (lambda z: z, 1.0),
        (lambda z: -7 * z, 1.0),
        (lambda z: (z[:, :1] > 5).astype(float), 1 / latent.STEPS),
        (lambda z: np.zeros((len(z), 3)), 1.0),
    ],
    ids=["identity", "linear", "a step", "constant"],
)
def test_evenness_is_that_of_known_maps(decode, evenness):
    images = np.array([[0.0], [1.0], [2.0], [8.0], [9.0], [10.0]] * 5)
    ends = np.array([[0.0], [10.0]])
    found = regularity(
        lambda x: x,
        decode,
        training=(images, np.zeros(30)),
        held_out=(ends, np.zeros(2)),
        places=ends,
        rng=Generator(0),
    )
    assert found.evenness == pytest.approx(evenness)


def test_a_line_has_two_different_ends():
    ends = np.arange(4.0)[:, None]
    lines = []

    def decode(z):
        lines.append(z)
        return z

    training = (np.zeros((5, 1)), np.zeros(5))
    regularity(
        lambda x: x, decode, training=training, held_out=(ends, np.zeros(4)), places=ends, lines=50, rng=Generator(0)
    )
    drawn = {(line[0, 0], line[-1, 0]) for line in lines[1:]}  # after the places
    assert len(lines) == 51
    assert drawn == {(a, b) for a in range(4) for b in range(4) if a != b}


def test_batches_make_no_difference(monkeypatch):
    whole = measured(places=clusters(50, 3)[0])
    monkeypatch.setattr(latent, "BATCH", 7)
    assert measured(places=clusters(50, 3)[0]) == pytest.approx(whole)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: active_units(np.zeros((0, 3))), r"\(0, 3\)"),
        (lambda: active_units(np.zeros(3)), r"\(3,\)"),
        (
            lambda: regularity(
                lambda x: x, lambda z: z, training=clusters(4, 0), held_out=clusters(5, 0), places=np.zeros((1, 2)),
                rng=Generator(0),
            ),
            "training has images .* at least 5",
        ),
        (
            lambda: regularity(
                lambda x: x, lambda z: z, training=clusters(9, 0), held_out=(np.zeros((5, 2)), np.zeros(4)),
                places=np.zeros((1, 2)), rng=Generator(0),
            ),
            "held_out has images",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
