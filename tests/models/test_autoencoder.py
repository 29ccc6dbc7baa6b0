"""Autoencoders: their loss worked out by hand, tied weights, what corruption changes, many images at a time, and networks of any kind."""

import copy
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, xlogy

import minigen as mg
from minigen import nn
from minigen.models import conv_autoencoder, mlp_autoencoder
from minigen.models.image_networks import conv_decoder
from minigen.optim import Adam
from minigen.random import Generator
from minigen.testing import gradcheck

SIZE = (4, 4, 1)


def images(n, seed=0, size=SIZE):
    return np.random.default_rng(seed).uniform(size=(n, *size)).astype("float32")


def dense(**changes):
    return mlp_autoencoder(**{"size": SIZE, "hidden": (6,), "code": 3, "rng": Generator(1)} | changes)


KINDS = {
    "linear": {"hidden": (), "likelihood": "gaussian"},
    "tied": {"hidden": (), "likelihood": "gaussian", "tied": True},
    "deep": {},
    "deep tied": {"hidden": (8, 6), "tied": True, "activation": nn.Tanh},
    "scale by pixel": {"likelihood": "gaussian-pixel"},
    "learned scale": {"likelihood": "gaussian-learned"},
}


# ------------------------------------------------------------------------------------------------------------- the loss


def by_hand(model, x):
    """E and D as matrix products in float64; what the decoder says of each pixel, (N, H W C)."""
    state = {name: array.astype(np.float64) for name, array in model.state().items()}
    a = x.reshape(len(x), -1).astype(np.float64)
    for network, weights in (("encoder", (1, 3)), ("decoder", (0, 2))):
        for i in weights:
            a = a @ state[f"{network}.layers.{i}.weight"] + state[f"{network}.layers.{i}.bias"]
            if i == min(weights):
                a = np.maximum(a, 0)
    return a


def test_the_cross_entropy_and_the_squared_error_are_sums_over_pixels_and_means_over_images():
    model, x = dense(), images(5)
    q, pixels = expit(by_hand(model, x)), x.reshape(5, -1).astype(np.float64)
    loss, terms = model.loss(x)
    cross_entropy = -(xlogy(pixels, q) + xlogy(1 - pixels, 1 - q)).sum(axis=1).mean()
    assert loss.item() == pytest.approx(cross_entropy, rel=1e-5)
    assert terms["loss"].item() == loss.item()
    assert terms["squared_error"].item() == pytest.approx(((pixels - q) ** 2).sum(axis=1).mean(), rel=1e-5)


@given(scale=st.floats(0.05, 3.0))
@settings(max_examples=10)
def test_the_gaussian_loss_is_the_squared_error_weighed_by_the_scale(scale):
    model, x = dense(likelihood="gaussian", scale=scale), images(5)
    squared = ((by_hand(model, x) - x.reshape(5, -1)) ** 2).sum(axis=1).mean()
    loss, terms = model.loss(x)
    assert terms["squared_error"].item() == pytest.approx(squared, rel=1e-4)
    assert loss.item() == pytest.approx(
        squared / (2 * scale**2) + 16 * np.log(scale * np.sqrt(2 * np.pi)), rel=1e-4, abs=1e-3
    )


def test_terms_have_no_graph():
    loss, terms = dense().loss(images(2))
    assert loss.requires_grad
    assert not any(term.requires_grad for term in terms.values())


@pytest.mark.parametrize("kind", ["linear", "tied", "deep", "scale by pixel", "learned scale"])
def test_gradients_by_all_weights(kind):
    small = {"size": (2, 2, 1), "code": 2, "activation": nn.Tanh} | (
        {"hidden": (3,)} if kind in ("deep", "scale by pixel") else {"hidden": ()}
    )
    model = dense(**KINDS[kind] | small)
    holders = [
        (module, name, value)
        for module in model.named_modules().values()
        for name, value in vars(module).items()
        if isinstance(value, nn.Parameter)
    ]
    parameters = model.parameters()
    x = images(3, size=(2, 2, 1)).astype(np.float64)

    def loss(*values):
        for module, name, parameter in holders:  # a tied weight has two holders
            position = next(i for i, own in enumerate(parameters) if own is parameter)
            setattr(module, name, values[position])
        return model.loss(x)[0]

    gradcheck(loss, [parameter.data.astype(np.float64) for parameter in parameters], order=1)


# ------------------------------------------------------------------------------------------------------- tied weights


def test_a_tied_weight_gets_the_gradients_of_both_of_its_uses():
    tied, untied = dense(**KINDS["tied"]), dense(**KINDS["linear"])
    there, back = untied.encoder[1], untied.decoder[0]
    there.weight.assign(tied.encoder[1].weight.data)
    there.bias.assign(tied.encoder[1].bias.data)
    back.weight.assign(tied.encoder[1].weight.data.T)
    back.bias.assign(tied.decoder[0].bias.data)
    for model in (tied, untied):
        model.loss(images(4))[0].backward()
    both = there.weight.grad.data + back.weight.grad.data.T
    assert abs(back.weight.grad.data).max() > 0.01
    np.testing.assert_allclose(tied.encoder[1].weight.grad.data, both, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["tied", "deep tied"])
def test_tied_weights_are_one_array_and_stay_so(kind):
    model = dense(**KINDS[kind])
    count = sum(parameter.size for parameter in model.parameters())
    hidden = KINDS[kind]["hidden"]
    sizes = (16, *hidden, 3)
    weights = sum(a * b for a, b in pairwise(sizes))
    assert count == weights + sum(sizes[1:]) + sum(sizes[:-1])
    optimizer = Adam(model, learning_rate=0.1)
    model.loss(images(4))[0].backward()
    optimizer.step()
    for now in (model, copy.deepcopy(model)):
        assert now.decoder[0].weight is now.encoder[len(now.encoder) - 1].weight
        assert now.decoder[len(now.decoder) - 2].weight is now.encoder[1].weight


def test_what_is_drawn_per_pixel_twice_cannot_be_tied():
    with pytest.raises(ValueError, match="'gaussian-pixel' needs 2 numbers a pixel, but with tied weights"):
        dense(likelihood="gaussian-pixel", tied=True)


# --------------------------------------------------------------------------------------------------------- corruption


def test_the_encoder_sees_the_spoiled_image_and_the_loss_the_whole_one():
    seen = []

    def blacken(x, *, rng):
        seen.append((x, rng))
        return 0 * x

    x, rng = images(4), Generator(3)
    model = dense(corrupt=blacken)
    spoiled_loss, _ = model.loss(mg.tensor(x), rng=rng)
    assert seen[0][1] is rng
    np.testing.assert_array_equal(seen[0][0], x)
    p = model.decode(model.encode(0 * x))
    assert spoiled_loss.item() == pytest.approx(-p.log_prob(x).data.sum(axis=(1, 2, 3)).mean(), rel=1e-5)
    assert not np.allclose(model.reconstruct(x), model.reconstruct(0 * x))  # outside training nothing is spoiled
    assert len(seen) == 1


# ----------------------------------------------------------------------------------------------- many images at a time


def test_many_images_are_described_as_single_ones_are():
    model, x = dense(), images(503)  # more than a batch
    for function in (model.codes, model.reconstruct):
        together = function(x)
        assert isinstance(together, np.ndarray)
        assert len(together) == 503
        for n in (0, 499, 500, 502):
            np.testing.assert_allclose(function(x[n : n + 1])[0], together[n], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.mean_images(model.codes(x)), model.reconstruct(x), rtol=1e-5, atol=1e-6)


def test_codes_may_have_any_leading_axes():
    model, z = dense(), np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")
    several = model.mean_images(z)
    assert several.shape == (2, 5, *SIZE)
    np.testing.assert_allclose(several[1, 2], model.mean_images(z[1, 2:3])[0], rtol=1e-5)


def test_it_says_the_same_on_another_device(gpu_or_double):
    model, x = dense(), images(3)
    expected = model.codes(x), model.reconstruct(x), model.loss(x)[0].item()
    model.to(gpu_or_double)
    loss, _ = model.loss(mg.tensor(x, device=gpu_or_double))
    loss.backward()
    for found, known in zip((model.codes(x), model.reconstruct(x), loss.item()), expected, strict=True):
        np.testing.assert_allclose(found, known, rtol=1e-5)


# ------------------------------------------------------------------------------------------------------------ networks


def test_the_default_is_the_network_of_hinton_and_salakhutdinov():
    model = mlp_autoencoder(size=(28, 28, 1), rng=Generator(0))
    sizes = [784, 1000, 500, 250, 30, 250, 500, 1000, 784]
    weights = [parameter.shape for parameter in model.parameters() if parameter.ndim == 2]
    assert weights == list(pairwise(sizes))


@pytest.mark.parametrize("upsample", [False, True])
@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian-pixel"])
def test_convolutions_halve_twice_and_double_twice(upsample, likelihood):
    settings = {"widths": (3, 5), "code": 4, "likelihood": likelihood, "upsample": upsample}
    model = conv_autoencoder(size=(8, 12, 3), rng=Generator(0), **settings)
    x = images(2, size=(8, 12, 3))
    assert model.codes(x).shape == (2, 4)
    assert model.reconstruct(x).shape == x.shape
    loss, _ = model.loss(x)
    loss.backward()
    assert all(np.abs(parameter.grad.data).max() > 0 for parameter in model.parameters())


@pytest.mark.parametrize("upsample", [False, True])
def test_the_way_back_gives_all_inner_pixels_equally_many_terms(upsample):
    decoder = conv_decoder(latent=2, widths=(2, 2), size=(16, 16, 1), upsample=upsample, rng=Generator(0))
    for name, parameter in decoder.named_parameters().items():
        parameter.assign(np.full(parameter.shape, float(name.endswith("weight")), "float32"))
    made = decoder(np.ones((1, 2), "float32")).data[0, 4:-4, 4:-4, 0]
    assert made.min() == made.max() > 0


@pytest.mark.parametrize("height", [6, 9])
def test_images_that_cannot_be_halved_twice_are_refused(height):
    with pytest.raises(ValueError, match=rf"conv_encoder: images of {height} x 8 pixels cannot be halved twice"):
        conv_autoencoder(size=(height, 8, 1), rng=Generator(0))


@pytest.mark.parametrize("kind", [*KINDS, "conv", "upsample", "denoising"])
def test_it_learns_a_few_images(kind):
    if kind in ("conv", "upsample"):
        model = conv_autoencoder(size=SIZE, widths=(4, 8), code=8, upsample=kind == "upsample", rng=Generator(0))
    else:
        noise = {"corrupt": lambda x, *, rng: x * rng.bernoulli(0.8, x.shape)} if kind == "denoising" else {}
        model = dense(**{"code": 8, "hidden": (32,)} | KINDS.get(kind, {}) | noise)
    x = (images(64) > 0.5).astype("float32")
    optimizer, rng = Adam(model, learning_rate=1e-2), Generator(2)
    before = model.loss(x, rng=rng)[1]
    for _ in range(60):
        optimizer.zero_grad()
        loss, after = model.loss(x, rng=rng)
        loss.backward()
        optimizer.step()
    for name, start in before.items():
        assert after[name].item() < start.item() * (0.98 if start.item() > 0 else 1.0), name


def test_images_of_another_size_and_pixels_out_of_range_are_refused():
    with pytest.raises(
        ValueError, match=r"Autoencoder: images of shape \(2, 5, 4, 1\), expected \(N, H, W, C\) = \(N, 4, 4, 1\)"
    ):
        dense().loss(images(2, size=(5, 4, 1)))
    with pytest.raises(ValueError, match=r"Autoencoder: pixels from 0\S* to 2\S*, but BernoulliLikelihood"):
        dense().loss(2.5 * images(4))
