"""Walks through latent spaces: ends, angles and lengths of interpolations; what inpainting keeps, and what its chain comes to."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigen as mg
from minigen import nn
from minigen.models import VAE, inpaint, interpolate, mlp_vae
from minigen.models.likelihoods import GaussianLikelihood
from minigen.random import Generator


def on(device, array):
    return mg.tensor(array, device=device).data


def off(array):
    return mg.tensor(array).to("cpu").numpy()


def angle(a, b):
    cosine = (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)
    return np.arccos(np.clip(cosine, -1, 1))


# --------------------------------------------------------------------------------------------------------------- interpolation


@settings(max_examples=20)
@given(seed=st.integers(0, 1000), d=st.integers(2, 60), steps=st.integers(2, 9))
def test_a_spherical_walk_turns_evenly_and_its_length_goes_straight(seed, d, steps):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, 3, d))
    z = interpolate(a, b, steps=steps, spherical=True)
    assert z.shape == (steps, 3, d)
    np.testing.assert_allclose(z[[0, -1]], [a, b], atol=1e-12)
    t = np.linspace(0, 1, steps)[:, None]
    lengths = [np.linalg.norm(end, axis=-1) for end in (a, b)]
    np.testing.assert_allclose(np.linalg.norm(z, axis=-1), (1 - t) * lengths[0] + t * lengths[1], rtol=1e-9)
    np.testing.assert_allclose(angle(z, a[None]), t * angle(a, b), atol=1e-6)


def test_a_straight_walk_between_draws_of_many_dimensions_leaves_the_shell_and_a_spherical_one_does_not():
    a, b = np.random.default_rng(0).normal(size=(2, 500, 1000))
    middles = [interpolate(a, b, steps=3, spherical=spherical)[1] for spherical in (False, True)]
    straight, spherical = (np.linalg.norm(middle, axis=1).mean() / 1000**0.5 for middle in middles)
    assert straight == pytest.approx(0.5**0.5, rel=0.01)
    assert spherical == pytest.approx(1, rel=0.01)


@pytest.mark.parametrize("scale", [2.0, -1.0, 0.0])
def test_where_there_is_no_great_circle_a_walk_is_straight(scale):
    a = np.array([[1.0, 2.0, -1.0]], np.float32)
    walks = [interpolate(a, scale * a, steps=5, spherical=spherical) for spherical in (False, True)]
    np.testing.assert_allclose(*walks, atol=1e-6)
    assert walks[1].dtype == np.float32


def test_walks_stay_on_the_device(device):
    a, b = np.random.default_rng(0).normal(size=(2, 4, 3)).astype("float32")
    z = interpolate(on(device, a), on(device, b), steps=4, spherical=True)
    np.testing.assert_allclose(off(z), interpolate(a, b, steps=4, spherical=True), rtol=1e-5, atol=1e-6)


def test_a_walk_needs_two_codes_of_one_size_and_two_steps():
    with pytest.raises(ValueError, match=r"interpolate: from \(2,\) to \(3,\) in 5 steps"):
        interpolate(np.zeros(2), np.zeros(3), steps=5)
    with pytest.raises(ValueError, match="in 1 steps; expected one shape, and at least 2 steps"):
        interpolate(np.zeros(2), np.ones(2), steps=1)


# ------------------------------------------------------------------------------------------------------------------ inpainting


def test_visible_pixels_stay_and_hidden_ones_are_not_looked_at(device):
    vae = mlp_vae(size=(4, 4, 1), hidden=(8,), latent=2, rng=Generator(0, device=device))
    images = Generator(1).bernoulli(0.5, (6, 4, 4, 1))
    visible = np.random.default_rng(0).uniform(size=(6, 4, 4, 1)) < 0.5
    spoiled = np.where(visible, images, np.float32(np.nan))
    one, other = (
        off(inpaint(vae, on(device, x), on(device, visible), steps=3, rng=Generator(2, device=device)))
        for x in (images, spoiled)
    )
    np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(one[visible], images[visible])
    assert one.dtype == np.float32
    assert 0 < one[~visible].min() < one[~visible].max() < 1


def test_the_chain_comes_to_the_exact_conditional_where_the_posterior_is_exact():
    # x_j = w_j z + s e_j, z ~ N(0, 1): p(z|x) is normal, and so is p(h|v), whose mean is W_h E[z|v].
    w, s = np.array([1.0, -0.5, 2.0, 0.8], np.float32), 0.5
    precision = 1 + (w**2).sum() / s**2
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, rng=Generator(0)))
    encoder[1].weight.data[...] = np.stack([w / s**2 / precision, 0 * w], axis=1)
    encoder[1].bias.data[...] = [0, -np.log(precision)]
    decoder = nn.Sequential(nn.Linear(1, 4, rng=Generator(0)), nn.Reshape(2, 2, 1))
    decoder[0].weight.data[...] = w
    decoder[0].bias.data[...] = 0
    vae = VAE(encoder, decoder, size=(2, 2, 1), latent=1, likelihood=GaussianLikelihood(scale=s))

    visible = np.array([True, True, False, False])
    x = np.array([1.5, -1.0, 9.0, 9.0], np.float32)
    expected = (w[visible] @ x[visible]) / s**2 / (1 + (w[visible] ** 2).sum() / s**2)  # E[z|v]
    n = 20_000
    images = np.tile(x.reshape(1, 2, 2, 1), (n, 1, 1, 1))
    found = inpaint(vae, images, visible.reshape(2, 2, 1), steps=60, rng=Generator(1)).reshape(n, 4)
    np.testing.assert_allclose(found[:, ~visible].mean(axis=0), w[~visible] * expected, atol=0.03)
    # What is returned is E[h|z] for z ~ p(z|v), whose variance is known too.
    spread = 1 / (1 + (w[visible] ** 2).sum() / s**2)
    np.testing.assert_allclose(found[:, ~visible].var(axis=0), w[~visible] ** 2 * spread, rtol=0.05)


def test_a_chain_has_a_step():
    vae = mlp_vae(size=(4, 4, 1), hidden=(8,), latent=2, rng=Generator(0))
    with pytest.raises(ValueError, match="inpaint: steps = 0 must be at least 1"):
        inpaint(vae, np.zeros((1, 4, 4, 1), "float32"), np.ones((4, 4, 1), bool), steps=0, rng=Generator(0))
