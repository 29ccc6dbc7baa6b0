"""Critics between N(0, 1) and N(mu, 1), whose distance is W1 = |mu|: what a penalty adds, and what clipped weights scale.

With slope s = f', D = F_q - F_p the difference of the distribution functions, and r the density of the points between real and generated
examples, the critic of WGAN-GP maximises

    E_p[f] - E_q[f] - lambda E_r[(|s| - 1)^2] = integral of s D - lambda r (|s| - 1)^2.

At its best s = 1 + D / (2 lambda r) at every point, for which

    E_p[f] - E_q[f] = |mu| + integral of D^2 / (2 lambda r):

more than W1. What is more is the penalty's bias. The penalty does not tell s from -s, so there is a second maximum, with
s = -1 + D / (2 lambda r) and the value -|mu| + the same bias; a critic that begins with the wrong sign ends there.
"""

import numpy as np
import pytest
from scipy.stats import norm

import minigen as mg
from minigen import nn
from minigen.kernels.threads import one_blas_thread
from minigen.losses import gradient_penalty, wasserstein_discriminator
from minigen.optim import Adam, cosine
from minigen.random import Generator

GRID = np.linspace(-9, 11, 4001)
QUANTILES = norm.ppf((np.arange(512) + 0.5) / 512).astype(np.float32)[
    :, None
]  # evenly spread: no sampling noise in E_p and E_q


def density_between(mu):
    """r: of e x + (1 - e) y with e uniform, x ~ N(mu, 1), y ~ N(0, 1); given e it is normal."""
    e, weights = np.polynomial.legendre.leggauss(200)
    e, weights = (e + 1) / 2, weights / 2
    scale = np.sqrt(e**2 + (1 - e) ** 2)
    return norm.pdf(GRID[:, None], loc=e * mu, scale=scale) @ weights


def exact_value(mu, penalty):
    difference = norm.cdf(GRID) - norm.cdf(GRID - mu)
    return mu + np.trapezoid(difference**2 / (2 * penalty * density_between(mu)), GRID)


def critic_value(critic, mu):
    """E_p[f] - E_q[f], the expectations by quadrature."""
    with mg.no_grad():
        f = critic(GRID[:, None].astype(np.float32)).data.ravel().astype(np.float64)
    return np.trapezoid(f * (norm.pdf(GRID - mu) - norm.pdf(GRID)), GRID)


def trained_critic(mu, *, width, activation, penalty=0.0, weight_bound=None, start=0.0, steps=1500):
    """Train a critic between N(start + mu, 1), real, and N(start, 1)."""
    rng = Generator(0)
    critic = nn.Sequential(
        nn.Linear(1, width, rng=rng), activation(), nn.Linear(width, width, rng=rng), activation(), nn.Linear(width, 1, rng=rng)
    )  # fmt: skip
    if (
        weight_bound
    ):  # begin with all paths rising: else some end in a local optimum, two falling layers after each other
        for weight in critic.parameters():
            weight.assign(abs(weight.data))
    optimizer = Adam(critic, learning_rate=cosine(1e-2, steps=steps), beta1=0.5 if penalty else 0.0, beta2=0.99)
    with one_blas_thread():
        for step in range(steps):
            real, fake = (QUANTILES[rng.permutation(len(QUANTILES))] + np.float32(start + s) for s in (mu, 0))
            optimizer.zero_grad()
            loss = wasserstein_discriminator(critic(real), critic(fake))
            if penalty and step >= 20:  # the first steps find the sign
                loss = loss + penalty * gradient_penalty(critic, real, fake, rng=rng)
            loss.backward()
            optimizer.step()
            if weight_bound:
                optimizer.clip_values(weight_bound)
    return critic


@pytest.mark.parametrize(
    ("mu", "penalty", "published"), [(1, 10, 1.0545), (2, 10, 2.2103), (1, 100, 1.0054), (2, 100, 2.0210)]
)
def test_the_exact_optimum_is_the_published_one(mu, penalty, published):
    assert exact_value(mu, penalty) == pytest.approx(published, abs=1e-4)


@pytest.mark.parametrize(
    ("mu", "penalty"),
    [(1, 10), pytest.param(2, 10, marks=pytest.mark.slow), pytest.param(1, 100, marks=pytest.mark.slow), (2, 100), (-1, 10)],
)  # fmt: skip
def test_the_penalized_critic_finds_the_distance_and_the_bias(mu, penalty):
    value = critic_value(trained_critic(mu, penalty=penalty, width=32, activation=nn.Softplus), mu)
    exact = exact_value(abs(mu), penalty)
    print(
        f"mu = {mu}, lambda = {penalty}: critic {value:.4f}, exact {exact:.4f}, W1 {abs(mu)}, bias {exact - abs(mu):.4f}"
    )
    assert value == pytest.approx(exact, rel=0.002)
    assert value > abs(mu)


def test_a_penalized_critic_with_the_wrong_sign_stays_there():
    # It learns with real and generated examples exchanged until the 20th step, and so has the wrong sign when the penalty sets in.
    critic = trained_critic(-1, penalty=10, width=32, activation=nn.Softplus, steps=300)
    optimizer = Adam(critic, learning_rate=cosine(1e-2, steps=1000), beta1=0.5, beta2=0.99)
    rng = Generator(1)
    with one_blas_thread():
        for _ in range(1000):
            real, fake = (QUANTILES[rng.permutation(len(QUANTILES))] + np.float32(s) for s in (1, 0))
            optimizer.zero_grad()
            penalty = gradient_penalty(critic, real, fake, rng=rng)
            (wasserstein_discriminator(critic(real), critic(fake)) + 10 * penalty).backward()
            optimizer.step()
    assert critic_value(critic, 1) == pytest.approx(exact_value(1, 10) - 2, rel=0.01)


@pytest.mark.parametrize("bound", [0.1, 0.05])
def test_a_clipped_critic_finds_the_distance_up_to_a_scale(bound):
    # At x > 1 no unit of the first layer with |w| = c and a bias in [-c, c] has its kink; the steepest slope is that of all n^2 paths
    # together, K = c^3 n^2.
    start, width = 6.0, 16
    for mu in (0.5, 1.0, 2.0):
        critic = trained_critic(
            mu, width=width, activation=lambda: nn.LeakyReLU(slope=0.2), weight_bound=bound, start=start, steps=300
        )
        value = critic_value(lambda x, critic=critic: critic(x + np.float32(start)), mu)
        assert value == pytest.approx(bound**3 * width**2 * mu, rel=0.01)
