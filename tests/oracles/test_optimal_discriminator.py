"""Goodfellow et al. 2014, proposition 1 and theorem 1, on Gaussians where all is known.

For a fixed generator of density q and data of density p, the best discriminator is D* = p / (p + q), and the game's value is

    V(D) = E_p[log D] + E_q[log(1 - D)] <= V(D*) = -log 4 + 2 JSD(p, q),

-log 4 where p = q.
"""

import math

import numpy as np
import pytest

import minigen as mg
from minigen import metrics, nn
from minigen.data import Gaussian
from minigen.models import GAN, mlp_gan
from minigen.nn import Module
from minigen.optim import Adam, cosine
from minigen.random import Generator
from minigen.training import Run, train_discriminator_alone

STEPS, BATCH_SIZE = 1500, 512
GRID = np.linspace(-12, 12, 4001)
DX = GRID[1] - GRID[0]


class FixedGenerator(Module):
    """G(z) = mean + scale z, so its density is exactly N(mean, scale^2)."""

    def __init__(self, mean, scale):
        self.mean = nn.Parameter(np.array(mean, np.float32))
        self.scale = nn.Parameter(np.array(scale, np.float32))

    def forward(self, z):
        return self.mean + self.scale * z


def trained(p, q, seed):
    """Return a GAN whose discriminator has learnt to tell p from q."""
    discriminator = mlp_gan(features=1, latent=1, width=32, rng=Generator(seed)).discriminator
    gan = GAN(FixedGenerator(q.mean, q.standard_deviation), discriminator, latent=1)
    data = Generator(seed + 1)
    batches = (mg.tensor(p.sample(BATCH_SIZE, data)) for _ in range(STEPS))
    run = Run(steps=STEPS, every=100, progress=False)
    optimizer = Adam(discriminator, learning_rate=cosine(5e-3, steps=STEPS))
    train_discriminator_alone(gan, batches, optimizer, run, rng=Generator(seed + 2))
    return gan


def value(logits, p, q):
    """V(D) by the trapezoid rule, with log D = -log(1 + exp(-l)) and log(1 - D) = -log(1 + exp(l))."""
    return -np.trapezoid(p * np.logaddexp(0, -logits) + q * np.logaddexp(0, logits), dx=DX)


@pytest.mark.parametrize(
    ("p", "q"),
    [
        (Gaussian(mean=0.0, scale=1.0), Gaussian(mean=1.5, scale=1.0)),  # D* is a logistic curve
        (Gaussian(mean=1.0, scale=1.5), Gaussian(mean=-0.5, scale=0.7)),  # D* falls, and rises again
        (Gaussian(mean=0.5, scale=1.0), Gaussian(mean=0.5, scale=1.0)),  # D* = 1/2
    ],
    ids=["shifted", "narrower", "equal"],
)
def test_a_trained_discriminator_approaches_the_optimum(p, q):
    gan = trained(p, q, seed=0)
    p_x, q_x = p.pdf(GRID), q.pdf(GRID)
    with mg.no_grad():
        logits = gan.discriminator(mg.tensor(GRID[:, None], dtype="float32")).data.ravel().astype(np.float64)
    assert metrics.discriminator_gap(mg.sigmoid(logits), p_x, q_x, DX) < 0.02

    best = value(np.log(p_x / q_x), p_x, q_x)  # the logit of D* is log p/q
    assert best == pytest.approx(-math.log(4) + 2 * metrics.jensen_shannon(p_x, q_x, DX), abs=1e-9)
    # V(D*) - V(D) is about E[(D - D*)^2 / 2 D* (1 - D*)] under p + q: second order in the gap.
    assert best - 1e-3 < value(logits, p_x, q_x) <= best


def test_at_equilibrium_the_discriminators_loss_is_log_4():
    p = q = Gaussian(mean=0.0, scale=1.0)
    gan = trained(p, q, seed=3)
    with mg.no_grad():
        loss, _ = gan.discriminator_loss(p.sample(100_000, Generator(8)), rng=Generator(9))
    assert loss.item() == pytest.approx(math.log(4), abs=1e-3)
