"""Judges: their losses and verdicts, penalties each round and now and then, the pool of images, conditions."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from devices import on_host

import minigen as mg
from minigen import nn
from minigen.backend import to_device
from minigen.losses import adversarial, gradient_penalty, r1_penalty
from minigen.models import GAN, ImagePool, Judge, mlp_gan
from minigen.optim import EMA, SGD, Adam
from minigen.random import Generator
from minigen.training import Run, fit_game


def judge(loss="nonsaturating", **settings):
    rng = Generator(0)
    network = nn.Sequential(nn.Linear(2, 8, rng=rng), nn.Tanh(), nn.Linear(8, 1, rng=rng))
    return Judge(network, loss=loss, **settings)


REAL, FAKE = (Generator(seed).normal((6, 2)) for seed in (1, 2))


def test_penalties_are_terms_beside_the_loss():
    rules = replace(adversarial("hinge"), penalty=2.0, r1=3.0)
    one = judge(rules)
    loss, terms = one.loss(REAL, FAKE, rng=Generator(3))
    assert terms["discriminator"].item() == rules.discriminator(one(REAL), one(FAKE)).item()
    assert terms["gradient_penalty"].item() == gradient_penalty(one, REAL, FAKE, rng=Generator(3)).item()
    assert terms["r1"].item() == r1_penalty(one, REAL).item()
    total = terms["discriminator"].item() + 2.0 * terms["gradient_penalty"].item() + 1.5 * terms["r1"].item()
    assert loss.item() == pytest.approx(total, rel=1e-6)
    assert not any(term.requires_grad for term in terms.values())


def test_one_step_of_the_maker_raises_the_mean_score():
    for loss in ("nonsaturating", "minimax", "hinge", "wasserstein", "reverse-kl"):
        gan = mlp_gan(features=2, latent=2, width=8, loss=loss, rng=Generator(0))
        z = Generator(1).normal((200, 2))
        before = gan.discriminator(gan.generate(z)).data.mean()
        loss = gan.discriminator.verdict(gan.generate(z))
        optimizer = SGD(gan.generator, learning_rate=0.01)
        loss.backward(inputs=gan.generator.parameters())
        optimizer.step()
        assert gan.discriminator(gan.generate(z)).data.mean() > before


def test_the_makers_gradient_goes_through_the_judge_as_it_is_after_its_own_turn():
    gan = mlp_gan(features=1, latent=1, width=4, rng=Generator(0))
    weight = gan.generator.parameters()[0]
    seen = []

    class Noting(SGD):
        def step(self):
            seen.append((weight.grad.data.copy(), copied(gan)))
            super().step()

    optimizers = {
        "discriminator": SGD(gan.discriminator, learning_rate=1.0),
        "generator": Noting(gan.generator, learning_rate=0.1),
    }
    rng = Generator(1)
    fit_game(gan, itertools.repeat(np.ones((50, 1), np.float32)), optimizers, Run(steps=1, progress=False), rng=rng)
    ((gradient, state),) = seen
    gan.load_state(state)

    def loss_at(change):
        noise = Generator(1)
        noise.normal((50, 1))  # D's turn drew first
        with mg.no_grad():
            weight.assign(state["generator.layers.0.weight"] + change)
            return gan.generator_loss(np.ones((50, 1)), rng=noise)[0].item()

    direction = np.random.default_rng(0).normal(size=weight.shape).astype(np.float32)
    step = 1e-2
    slope = (loss_at(step * direction) - loss_at(-step * direction)) / (2 * step)
    assert float((gradient * direction).sum()) == pytest.approx(slope, rel=2e-2)


def copied(module):
    return {name: array.copy() for name, array in module.state().items()}


def test_lazy_r1_is_a_turn_of_its_own_every_nth_round_with_n_times_the_weight():
    rules = replace(adversarial("nonsaturating"), r1=0.5, r1_every=3)
    gan = mlp_gan(features=2, latent=2, width=4, loss=rules, rng=Generator(0))
    assert [(turn.player, turn.every) for turn in gan.turns()] == [
        ("discriminator", 1),
        ("discriminator", 3),
        ("generator", 1),
    ]
    assert [turn.draws for turn in gan.turns()] == [True, False, False]
    loss, terms = gan.discriminator_loss(REAL, rng=Generator(1))
    assert list(terms) == ["discriminator"]
    loss, terms = gan.r1_loss(REAL, rng=Generator(1))
    assert loss.item() == pytest.approx(0.25 * 3 * r1_penalty(gan.discriminator, REAL).item(), rel=1e-6)
    assert len(mlp_gan(features=2, latent=2, width=4, loss=replace(rules, r1_every=1), rng=Generator(0)).turns()) == 2


# ------------------------------------------------------------------------------------------------------------- the pool


def numbered(first, count):
    return np.arange(first, first + count, dtype=np.float32)[:, None]


def test_the_pool_fills_and_then_turns_over(device):
    pool, rng = ImagePool(10, (1,)).to(device), Generator(0, device=device)
    seen = []
    for i in range(400):
        shown = on_host(pool.exchange(to_device(numbered(4 * i, 4), device), rng=rng).data)
        assert len(set(shown.ravel())) == 4
        if 4 * (i + 1) <= 10:
            np.testing.assert_array_equal(shown, numbered(4 * i, 4))
        seen.append(shown.ravel() < 4 * i)
    assert on_host(pool.count.data) == 10
    held = on_host(pool.examples.data).ravel()
    assert len(set(held)) == 10
    assert held.min() > 1200
    # Once it is full, half of what is shown is old: 1,588 coins.
    assert np.mean(seen[3:]) == pytest.approx(0.5, abs=0.05)


def test_a_batch_larger_than_the_pool_meets_each_of_it_once_at_most():
    pool, rng = ImagePool(3, (1,)), Generator(0)
    pool.exchange(numbered(0, 3), rng=rng)
    for i in range(1, 30):
        held = pool.examples.data.copy()
        fake = numbered(8 * i, 8)
        shown = pool.exchange(fake, rng=rng).data
        old = set(shown.ravel()) - set(fake.ravel())
        assert old <= set(held.ravel())
        # What was shown of the pool has left it, and as many new ones stand there.
        assert set(pool.examples.data.ravel()) == (set(held.ravel()) - old) | (set(fake.ravel()) - set(shown.ravel()))


def test_the_pool_holds_constants_and_is_saved():
    one = judge(pool=ImagePool(4, (2,)))
    x = mg.tensor(FAKE, requires_grad=True)
    loss, _ = one.loss(REAL, 2.0 * x, rng=Generator(0))
    loss.backward()
    assert x.grad is None
    state = copied(one)
    np.testing.assert_array_equal(state["pool.examples"], 2 * FAKE[:4])
    other = judge(pool=ImagePool(4, (2,)))
    other.load_state(state)
    values = [each.loss(REAL, FAKE + 1, rng=Generator(9))[0].item() for each in (one, other)]
    assert values[0] == values[1]


def test_examples_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r"ImagePool: examples of shape \(3,\), but those of the pool have \(2,\)"):
        ImagePool(4, (2,)).exchange(np.zeros((5, 3), np.float32), rng=Generator(0))


# ------------------------------------------------------------------------------------------------------------ conditions


class Conditional(nn.Module):
    """A linear map with a bias for each class."""

    def __init__(self, features, out, rng):
        self.linear, self.table = nn.Linear(features, out, rng=rng), nn.Embedding(3, out, rng=rng)

    def forward(self, x, labels):
        return self.linear(x) + self.table(labels)


def conditional_gan(loss="wasserstein-gp", **settings):
    rng = Generator(0)
    return GAN(Conditional(2, 2, rng), Judge(Conditional(2, 1, rng), loss=loss), latent=2, **settings)


def test_a_condition_is_every_networks_second_argument():
    gan, labels = conditional_gan(), np.array([0, 1, 2, 0, 1, 2])
    loss, terms = gan.discriminator_loss((REAL, labels), rng=Generator(1))
    with mg.no_grad():
        fake = gan.generator(Generator(1).normal((6, 2)), labels)
        expected = gan.discriminator.network(fake, labels) - gan.discriminator.network(REAL, labels)
    assert terms["discriminator"].item() == pytest.approx(expected.data.mean(), rel=1e-6)
    assert list(terms) == ["discriminator", "gradient_penalty"]
    loss, _ = gan.generator_loss((REAL, labels), rng=Generator(1))
    assert loss.item() == pytest.approx(-gan.discriminator.network(fake, labels).data.mean(), rel=1e-6)
    np.testing.assert_array_equal(gan.sample(6, labels, rng=Generator(1)).data, fake.data)


# ------------------------------------------------------------------------------------------------- averages and evaluation


def normalized_gan():
    rng = Generator(0)
    generator = nn.Sequential(nn.Linear(2, 8, rng=rng), nn.BatchNorm(8), nn.ReLU(), nn.Linear(8, 2, rng=rng))
    return GAN(generator, judge(), latent=2)


def test_an_averaged_generator_has_statistics_of_its_own_and_one_z_gives_one_example():
    gan = normalized_gan()
    optimizers = {name: Adam(getattr(gan, name), learning_rate=0.05) for name in ("discriminator", "generator")}
    average = EMA(optimizers["generator"], decay=0.99)
    fit_game(
        gan,
        itertools.repeat(3 + REAL),
        optimizers,
        Run(steps=40, progress=False),
        rng=Generator(1),
        averages={"generator": average},
    )
    before = copied(gan)
    z = Generator(2).normal((2000, 2))
    with gan.averaged(average, rng=Generator(3)):
        hidden = gan.generator[0](z).data
        np.testing.assert_allclose(gan.generator[1].running_mean.data, hidden.mean(0), atol=0.1 * hidden.std())
        np.testing.assert_allclose(gan.generator[1].running_var.data, hidden.var(0), rtol=0.2)
        together = gan.generate(z[:5]).data
        np.testing.assert_allclose(together[:1], gan.generate(z[:1]).data, rtol=1e-6)
        averaged = gan.state()["generator.layers.0.weight"].copy()
    assert not np.array_equal(averaged, before["generator.layers.0.weight"])
    for name, array in gan.state().items():
        np.testing.assert_array_equal(array, before[name])
    assert gan.generator.training


def test_the_latent_is_normal_or_uniform():
    z = GAN(nn.ReLU(), judge(), latent=3, noise="uniform").draw_latent(2000, rng=Generator(0))
    assert z.shape == (2000, 3)
    assert -1 <= z.min() < -0.99 < 0.99 < z.max() <= 1
    assert z.var() == pytest.approx(1 / 3, rel=0.05)
    with pytest.raises(
        ValueError, match=r"GAN: truncation is 1\.0 of uniform noise; expected a bound above 0 for normal"
    ):
        GAN(nn.ReLU(), judge(), latent=3, noise="uniform").draw_latent(5, truncation=1.0, rng=Generator(0))
    with pytest.raises(ValueError, match="GAN: noise is 'gaussian', expected 'normal' or 'uniform'"):
        GAN(nn.ReLU(), judge(), latent=3, noise="gaussian")
    with pytest.raises(ValueError, match="GAN: latent 0 and critic_steps 1 must be at least 1"):
        GAN(nn.ReLU(), judge(), latent=0)


@pytest.mark.parametrize("bound", [0.1, 1.0, 3.0])
def test_a_truncated_latent_has_the_moments_of_a_truncated_normal(bound):
    gan = GAN(nn.ReLU(), judge(), latent=50)
    z = gan.draw_latent(20_000, truncation=bound, rng=Generator(0))
    assert z.dtype == np.float32
    assert np.abs(z).max() <= bound
    density, below = math.exp(-bound * bound / 2) / math.sqrt(2 * math.pi), math.erf(bound / math.sqrt(2))
    variance = 1 - 2 * bound * density / below
    assert z.var(dtype=np.float64) == pytest.approx(variance, rel=5e-3)
    assert abs(z.mean(dtype=np.float64)) < 5e-3 * bound
