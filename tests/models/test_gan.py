"""GAN: who gets a gradient from which loss, and what the model says of itself."""

from dataclasses import replace

import numpy as np
import pytest

import minigen as mg
from minigen import nn
from minigen.losses import ADVERSARIAL, adversarial, gradient_penalty
from minigen.models import GAN, Judge, Packed, mlp_gan
from minigen.random import Generator


def small_gan(loss="nonsaturating", features=2):
    return mlp_gan(features=features, latent=3, width=8, rng=Generator(0), loss=loss)


def test_the_perceptrons_have_the_stated_sizes():
    gan = mlp_gan(features=2, latent=3, width=8, rng=Generator(0))
    weights = [p.shape for name, p in gan.named_parameters().items() if name.endswith("weight")]
    assert weights == [(3, 8), (8, 8), (8, 2), (2, 8), (8, 8), (8, 1)]


def test_the_perceptrons_begin_with_the_default_weights_of_linear_layers_the_generator_first():
    rng = Generator(0)
    expected = [nn.Linear(a, b, rng=rng) for a, b in ((3, 8), (8, 8), (8, 2), (2, 8), (8, 8), (8, 1))]
    gan = mlp_gan(features=2, latent=3, width=8, rng=Generator(0))
    drawn = [part for part in gan.named_modules().values() if isinstance(part, nn.Linear)]
    for layer, one in zip(drawn, expected, strict=True):
        np.testing.assert_array_equal(layer.weight.data, one.weight.data)


def test_sample_maps_normal_noise():
    gan = small_gan()
    expected = gan.generator(Generator(1).normal((5, 3)))
    np.testing.assert_array_equal(gan.sample(5, rng=Generator(1)).data, expected.data)


@pytest.mark.parametrize("loss", ADVERSARIAL)
def test_losses_are_those_of_the_players_outputs(loss):
    gan = small_gan(loss)
    x = Generator(2).normal((6, 2))
    with mg.no_grad():
        fake = gan.discriminator(gan.sample(6, rng=Generator(1)))
        real = gan.discriminator(x)
    value, terms = gan.discriminator_loss(x, rng=Generator(1))
    assert terms["discriminator"].item() == adversarial(loss).discriminator(real, fake).item()
    if loss != "wasserstein-gp":
        assert list(terms) == ["discriminator"]
        assert value.item() == terms["discriminator"].item()
    assert not any(term.requires_grad for term in terms.values())
    value, terms = gan.generator_loss(x, rng=Generator(1))
    assert value.item() == terms["generator"].item() == adversarial(loss).generator(fake).item()
    assert not terms["generator"].requires_grad


def test_the_penalty_is_added_to_the_critics_loss_with_its_weight():
    x = Generator(2).normal((6, 2))
    for weight in (10.0, 0.5):
        gan = small_gan(replace(adversarial("wasserstein-gp"), penalty=weight))
        value, terms = gan.discriminator_loss(x, rng=Generator(1))
        rng = Generator(1)
        fake = gan.sample(6, rng=rng)
        penalty = gradient_penalty(gan.discriminator, x, fake.data, rng=rng).item()  # goes on with the model's noise
        assert terms["gradient_penalty"].item() == penalty
        assert value.item() == pytest.approx(terms["discriminator"].item() + weight * penalty, rel=1e-6)
        value.backward()
        assert all(p.grad.data.any() for name, p in gan.discriminator.named_parameters().items() if "weight" in name)
        assert all(p.grad is None for p in gan.generator.parameters())


def test_packs_are_neighbours_side_by_side():
    seen = []
    packed = Packed(lambda x: seen.append(x) or x[:, :1], size=3)
    x = np.arange(12.0).reshape(6, 2)
    packed(x)
    np.testing.assert_array_equal(seen[0], [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]])
    with pytest.raises(ValueError, match=r"Packed: 4 examples do not divide into packs of 3"):
        packed(x[:4])


def test_generated_examples_are_constants_to_the_discriminator():
    gan = small_gan()
    gan.discriminator_loss(np.ones((4, 2), np.float32), rng=Generator(1))[0].backward()
    assert all(p.grad is None for p in gan.generator.parameters())
    assert all(p.grad.data.any() for p in gan.discriminator.parameters())


def test_the_generators_gradient_flows_through_the_discriminator():
    # With a linear D(x) = x w and G(z) = z v of least squares: loss = E[(z v w - 1)^2] / 2, d/dv = E[(z v w - 1) z w].
    rng = Generator(0)
    gan = GAN(
        nn.Linear(1, 1, rng=rng, bias=False),
        Judge(nn.Linear(1, 1, rng=rng, bias=False), loss="least-squares"),
        latent=1,
    )
    z = Generator(1).normal((7, 1))
    v, w = gan.generator.weight.item(), gan.discriminator.network.weight.item()
    gan.generator_loss(np.zeros((7, 1)), rng=Generator(1))[0].backward(inputs=gan.generator.parameters())
    expected = np.mean((z * v * w - 1) * z * w)
    np.testing.assert_allclose(gan.generator.weight.grad.item(), expected, rtol=1e-5)
    assert gan.discriminator.network.weight.grad is None


def test_discriminate_gives_a_probability_where_the_loss_has_one():
    x = Generator(2).normal((6, 2))
    for loss in ADVERSARIAL:
        gan = small_gan(loss)
        scores = gan.discriminator(x).data
        expected = mg.sigmoid(scores) if adversarial(loss).is_probability else scores
        np.testing.assert_array_equal(gan.discriminator.discriminate(x), expected)


def test_a_critic_with_a_gradient_penalty_may_not_hold_batch_normalization():
    rng = Generator(0)
    critic = nn.Sequential(
        nn.Linear(2, 8, rng=rng), nn.Sequential(nn.BatchNorm(8), nn.ReLU()), nn.Linear(8, 1, rng=rng)
    )
    others = [replace(adversarial("nonsaturating"), penalty=1.0), replace(adversarial("hinge"), r1=1.0)]
    for loss in ("wasserstein-gp", *others):
        with pytest.raises(ValueError, match=r"each example on its own.* layers\.1\.layers\.0 is a BatchNorm"):
            Judge(critic, loss=loss)
    Judge(critic, loss="wasserstein")  # no penalty


def test_an_unknown_loss_is_refused():
    with pytest.raises(ValueError, match="adversarial loss 'hings' is unknown"):
        small_gan("hings")
