"""DCGAN: the guidelines, sizes, classes and how they enter, features, refusals, and a short training."""

import itertools
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

import minigen as mg
from minigen import kernels, nn
from minigen.data import load_digits
from minigen.losses import adversarial, gradient_penalty
from minigen.models import DCGANDiscriminator, DCGANGenerator, dcgan
from minigen.models.dcgan import one_hot
from minigen.optim import EMA, Adam
from minigen.random import Generator
from minigen.training import Run, fit_game, load_state, save_state

Z, X = Generator(1).normal((6, 5)), Generator(2).uniform((6, 8, 8, 1), low=-1, high=1)
LABELS = np.array([0, 1, 2, 2, 1, 0])


def parts(module, kind):
    return [part for part in module.named_modules().values() if isinstance(part, kind)]


@pytest.mark.parametrize(
    ("size", "widths"),
    [
        ((8, 8, 1), [8, 4]),
        ((16, 16, 3), [8, 4]),
        ((28, 28, 1), [8, 4]),
        ((32, 32, 3), [16, 8, 4]),
        ((64, 64, 3), [32, 16, 8, 4]),
        ((32, 64, 2), [16, 8, 4]),
        ((36, 36, 1), [8, 4]),
    ],
)
def test_images_of_every_size_and_guidelines_1_to_5(size, widths):
    gan = dcgan(size=size, latent=5, width=4, rng=Generator(0))
    assert gan.sample(2, rng=Generator(1)).shape == (2, *size)
    assert gan.discriminator(np.zeros((2, *size), np.float32)).shape == (2, 1)
    g, d = gan.generator, gan.discriminator.network
    # 1: strides, each of 2 but the first of G and the last of D
    assert [layer.stride for layer in parts(g, nn.ConvTranspose2d)] == [1] + [2] * len(widths)
    assert [layer.stride for layer in parts(d, nn.Conv2d)] == [2] * len(widths) + [1]
    # 2: every layer of G but the output, every one of D but the input, and the scores
    assert [layer.features for layer in parts(g, nn.BatchNorm)] == widths
    assert [layer.features for layer in parts(d, nn.BatchNorm)] == widths[::-1][1:]
    # 3 and 5
    assert not parts(gan, nn.Linear)
    assert {layer.slope for layer in parts(d, nn.LeakyReLU)} == {0.2}
    # 4
    image = gan.sample(50, rng=Generator(2)).data
    assert -1 <= image.min() < image.max() <= 1


def test_the_first_weights_are_normal_with_deviation_002():
    gan = dcgan(size=(32, 32, 3), latent=50, width=16, rng=Generator(0))
    for part in [*parts(gan, nn.ConvTranspose2d), *parts(gan, nn.Conv2d)]:
        weight = part.weight.data
        assert abs(weight.mean()) < 0.1 * 0.02
        assert weight.std() == pytest.approx(0.02, rel=0.1)


def test_the_loss_decides_what_normalizes_the_discriminator():
    def kinds(loss):
        d = dcgan(size=(8, 8, 1), latent=5, width=4, loss=loss, rng=Generator(0)).discriminator.network
        return len(parts(d, nn.BatchNorm)), len(parts(d, nn.SpectralNorm))

    assert kinds("nonsaturating") == kinds("least-squares") == kinds("wasserstein") == (1, 0)
    assert kinds("hinge") == (0, 3)
    assert kinds("wasserstein-gp") == kinds(replace(adversarial("nonsaturating"), r1=1.0)) == (0, 0)


# ------------------------------------------------------------------------------------------------------------- classes


@pytest.mark.parametrize("way", ["concatenation", "normalization"])
def test_a_class_changes_the_image_and_only_its_own(way):
    g = DCGANGenerator(size=(8, 8, 1), latent=5, width=4, classes=3, condition=way, rng=Generator(0))
    if way == "normalization":
        for norm in parts(g, nn.ConditionalBatchNorm):
            norm.weight.assign(1 + 0.1 * Generator(3).normal(norm.weight.shape))
    g(Z, LABELS)
    g.eval()
    image = g(Z, LABELS).data
    changed = g(Z, np.array([0, 1, 0, 2, 1, 0])).data
    same = np.abs(image - changed).reshape(6, -1).max(axis=1) < 1e-6
    np.testing.assert_array_equal(same, [True, True, False, True, True, True])


def test_at_the_start_normalization_by_class_is_plain_batch_normalization():
    told, plain = (
        DCGANGenerator(size=(8, 8, 1), latent=5, width=4, classes=classes, rng=Generator(0)) for classes in (3, 0)
    )
    np.testing.assert_array_equal(told(Z, LABELS).data, plain(Z).data)


def test_concatenated_labels_are_planes_beside_the_image():
    d = DCGANDiscriminator(size=(8, 8, 1), width=4, norm="none", classes=3, condition="concatenation", rng=Generator(0))
    planes = np.broadcast_to(np.eye(3, dtype=np.float32)[LABELS][:, None, None], (6, 8, 8, 3))
    x = np.concatenate([X, planes], axis=3)
    for block in d.blocks:
        x = block(x)
    np.testing.assert_array_equal(d(X, LABELS).data, d.last(x).data.reshape(6, 1))


def test_projection_adds_the_inner_product_of_features_and_the_classs_vector():
    d, plain = (DCGANDiscriminator(size=(8, 8, 1), width=4, norm="none", classes=k, rng=Generator(0)) for k in (3, 0))
    phi = d.layers(X)[-1].data.sum(axis=(1, 2))  # (N, features)
    expected = plain(X).data + (phi * d.projection.weight.data[LABELS]).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(d(X, LABELS).data, expected, rtol=1e-5, atol=1e-7)


def test_projection_can_be_the_exact_log_ratio_of_gaussian_classes():
    # Of p(x | c) = N(m_c, 1) and q(x | c) = N(n_c, 1), x the brightness of a plain image:
    # log p/q = (m_c - n_c) x - (m_c^2 - n_c^2)/2. With phi = (x, 1), psi = 0 and v_c = (m_c - n_c, (n_c^2 - m_c^2)/2) it is l(x, c).
    m, n = np.array([-1.0, 0.0, 2.0]), np.array([0.5, -1.0, 1.0])
    d = DCGANDiscriminator(size=(8, 8, 1), width=1, norm="none", classes=3, rng=Generator(0))
    brightness = np.random.default_rng(0).normal(size=6)
    d.layers = lambda x: [mg.tensor(np.stack([brightness, np.ones(6)], 1)[:, None, None, :], dtype="float32")]
    d.last = lambda phi: phi[..., :1] * 0.0
    d.projection.weight.assign(np.stack([m - n, (n**2 - m**2) / 2], 1).astype("float32"))
    mean_p, mean_q = m[LABELS], n[LABELS]
    exact = ((brightness - mean_q) ** 2 - (brightness - mean_p) ** 2) / 2
    np.testing.assert_allclose(d(X, LABELS).data.ravel(), exact, rtol=1e-5, atol=1e-6)


def test_what_is_told_or_not_told_wrongly_is_refused():
    told = dcgan(size=(8, 8, 1), latent=5, width=4, classes=3, rng=Generator(0))
    plain = dcgan(size=(8, 8, 1), latent=5, width=4, rng=Generator(0))
    with pytest.raises(
        ValueError, match="DCGANGenerator: the labels are missing; the network is told one of 3 classes"
    ):
        told.sample(2, rng=Generator(0))
    with pytest.raises(
        ValueError, match="DCGANDiscriminator: there are labels, but the network was made without classes"
    ):
        plain.discriminator(X, LABELS)
    for way in ("concatenation", "projection"):
        d = DCGANDiscriminator(size=(8, 8, 1), width=4, classes=3, condition=way, rng=Generator(0))
        with pytest.raises(IndexError, match=r"labels in \[0, 3\]; expected integers in \[0, 3\)"):
            d(X, LABELS + (LABELS == 2))
    with pytest.raises(
        ValueError, match="DCGANGenerator: condition is 'projection', expected 'concatenation' or 'normalization'"
    ):
        dcgan(size=(8, 8, 1), classes=3, tell_generator="projection", rng=Generator(0))
    with pytest.raises(ValueError, match="DCGANDiscriminator: norm is 'layer', expected 'batch', 'spectral' or 'none'"):
        DCGANDiscriminator(size=(8, 8, 1), width=4, norm="layer", rng=Generator(0))


@pytest.mark.parametrize("size", [(30, 32, 1), (9, 9, 1), (2, 2, 1)])
def test_sizes_that_cannot_be_halved_are_refused(size):
    words = f"images of {size[0]} x {size[1]} pixels cannot be halved twice; expected multiples of 4"
    with pytest.raises(ValueError, match=f"DCGANGenerator: {words}"):
        dcgan(size=size, rng=Generator(0))


def test_one_hot_of_float64_labels_is_refused():
    with pytest.raises(TypeError, match="one_hot: labels of float64"):
        one_hot(np.array([0.0]), 3)


# ------------------------------------------------------------------------------------------------------------- features


def test_features_are_all_layers_pooled_by_their_maxima():
    d = DCGANDiscriminator(size=(32, 32, 3), width=4, rng=Generator(0)).eval()
    x = Generator(3).uniform((2, 32, 32, 3), low=-1, high=1)
    found = d.features(x).data
    layers = [layer.data for layer in d.layers(x)]
    assert [layer.shape for layer in layers] == [(2, 16, 16, 4), (2, 8, 8, 8), (2, 4, 4, 16)]
    assert found.shape == (2, 16 * (4 + 8 + 16))
    first = layers[0].reshape(2, 4, 4, 4, 4, 4).max(axis=(2, 4))
    np.testing.assert_array_equal(found[:, : 16 * 4], first.reshape(2, -1))
    np.testing.assert_array_equal(found[:, -16 * 16 :], layers[-1].reshape(2, -1))


# ----------------------------------------------------------------------------------------------- the gradient penalty's cost


def test_the_penalty_differentiates_nothing_that_is_zero(monkeypatch):
    # Four convolutions with leaky ReLUs between them: the penalty's gradient takes the way up through all layers but the last, and each
    # weight's product once; nothing goes back down through the scores, since a leaky ReLU has no second derivative.
    calls = []
    for name in ("convolve", "convolve_transposed", "convolve_weight"):
        monkeypatch.setattr(kernels, name, noting(getattr(kernels, name), name, calls))
    d = DCGANDiscriminator(size=(32, 32, 3), width=2, norm="none", rng=Generator(0))
    real, fake = (Generator(seed).normal((2, 32, 32, 3)) for seed in (1, 2))
    penalty = gradient_penalty(d, real, fake, rng=Generator(3))
    assert Counter(calls) == {"convolve": 4, "convolve_transposed": 4}
    calls.clear()
    penalty.backward(inputs=d.parameters())
    assert Counter(calls) == {"convolve": 3, "convolve_weight": 4}


def noting(function, name, calls):
    def noted(*arguments, **keywords):
        calls.append(name)
        return function(*arguments, **keywords)

    return noted


# ------------------------------------------------------------------------------------------------------------- training


@pytest.mark.parametrize("loss", ["nonsaturating", "hinge", "least-squares", "wasserstein", "wasserstein-gp"])
def test_the_discriminator_lowers_its_loss_on_64_digits(loss):
    x = 2 * load_digits().unit()[:64] - 1
    gan = dcgan(size=(8, 8, 1), latent=8, width=8, loss=loss, rng=Generator(0))
    optimizer = Adam(gan.discriminator, learning_rate=2e-3, beta1=0.5)
    before = gan.discriminator_loss(x, rng=Generator(1))[0].item()
    for _ in range(20):
        optimizer.zero_grad()
        value, _ = gan.discriminator_loss(x, rng=Generator(1))
        value.backward(inputs=gan.discriminator.parameters())
        optimizer.step()
    assert value.item() < before - 0.02


def training(folder, steps, **settings):
    digits = load_digits()
    images, labels = 2 * digits.unit()[:64] - 1, digits.labels[:64]
    rules = replace(adversarial("nonsaturating"), r1=0.1, r1_every=2)
    rng = Generator(0)
    gan = dcgan(size=(8, 8, 1), latent=8, width=4, loss=rules, classes=10, pool=32, rng=rng)
    optimizers = {player: Adam(getattr(gan, player), learning_rate=1e-3) for player in ("discriminator", "generator")}
    average = EMA(optimizers["generator"])
    run = Run(steps=steps, every=1, checkpoint=folder / "checkpoint.safetensors", progress=False, parts={
        "gan": gan, "d": optimizers["discriminator"], "g": optimizers["generator"], "average": average, "rng": rng,
    })  # fmt: skip
    run.begin(**settings)
    fit_game(gan, itertools.repeat((images, labels)), optimizers, run, rng=rng, averages={"generator": average})
    return gan, average, run


def test_a_resumed_game_with_a_pool_and_lazy_r1_ends_where_an_unbroken_one_does(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    unbroken, _, run = training(tmp_path / "one", 6)
    training(tmp_path / "two", 3)
    resumed, _, resumed_run = training(tmp_path / "two", 6, resume=True)
    for name, array in unbroken.state().items():
        np.testing.assert_array_equal(array, resumed.state()[name], err_msg=name)
    assert run.history.rows == resumed_run.history.rows
    assert ["r1" in row for row in run.history.rows] == [True, False] * 3


def test_a_checkpoint_samples_and_the_average_gives_one_image_for_one_z_in_any_company(tmp_path):
    gan, average, _ = training(tmp_path, 3)
    z, labels = gan.draw_latent(10, rng=Generator(5)), np.arange(10)
    with gan.averaged(average, rng=Generator(6), conditions=labels), mg.no_grad():
        together = gan.generate(z, labels).data
        alone = np.concatenate([gan.generate(z[i : i + 1], labels[i : i + 1]).data for i in range(10)])
        np.testing.assert_allclose(alone, together, rtol=1e-5, atol=1e-6)
        save_state(tmp_path / "weights.safetensors", gan=gan)
    other = dcgan(
        size=(8, 8, 1),
        latent=8,
        width=4,
        loss=gan.discriminator.adversarial_loss,
        classes=10,
        pool=32,
        rng=Generator(9),
    )
    load_state(tmp_path / "weights.safetensors", gan=other)
    with nn.evaluating(other), mg.no_grad():
        np.testing.assert_array_equal(other.generate(z, labels).data, together)
