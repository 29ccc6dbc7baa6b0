"""Adversarial losses: against the formulas with probabilities, their gradients in closed form, at extreme logits, at equilibrium."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigen as mg
from minigen.losses import ADVERSARIAL, adversarial

logits = st.lists(st.floats(-10, 10), min_size=1, max_size=6).map(lambda values: np.array(values)[:, None])  # (N, 1)
extreme = st.lists(st.sampled_from([-1e4, 0.0, 1e4]), min_size=1, max_size=6).map(lambda x: np.array(x, np.float32))

NAMES = list(ADVERSARIAL)


def D(x):
    return 1 / (1 + np.exp(-x))


# E[...] is the mean over the batch; the probabilities are formed, which float64 allows for logits up to 10.
DISCRIMINATOR = {
    "minimax": lambda real, fake: np.mean(-np.log(D(real))) + np.mean(-np.log(1 - D(fake))),
    "nonsaturating": lambda real, fake: np.mean(-np.log(D(real))) + np.mean(-np.log(1 - D(fake))),
    "least-squares": lambda real, fake: np.mean((real - 1) ** 2) / 2 + np.mean(fake**2) / 2,
}
GENERATOR = {
    "minimax": lambda fake: np.mean(np.log(1 - D(fake))),
    "nonsaturating": lambda fake: np.mean(-np.log(D(fake))),
    "least-squares": lambda fake: np.mean((fake - 1) ** 2) / 2,
}

# N times the derivative of the losses with respect to one logit.
DISCRIMINATOR_SLOPES = {
    "minimax": (lambda real: -(1 - D(real)), lambda fake: D(fake)),
    "nonsaturating": (lambda real: -(1 - D(real)), lambda fake: D(fake)),
    "least-squares": (lambda real: real - 1, lambda fake: fake),
}
GENERATOR_SLOPES = {
    "minimax": lambda fake: -D(fake),
    "nonsaturating": lambda fake: -(1 - D(fake)),
    "least-squares": lambda fake: fake - 1,
}


def test_every_loss_is_covered():
    assert set(NAMES) == set(DISCRIMINATOR) == set(GENERATOR)
    assert all(name == adversarial(name).name for name in NAMES)
    assert [name for name in NAMES if not adversarial(name).is_probability] == ["least-squares"]


@pytest.mark.parametrize("name", NAMES)
@given(real=logits, fake=logits)
def test_values(name, real, fake):
    loss = adversarial(name)
    value = loss.discriminator(mg.tensor(real), mg.tensor(fake))
    assert value.shape == ()
    assert value.dtype == np.float64
    # 1 - D(10) = 4.5e-5 keeps 11 digits.
    np.testing.assert_allclose(value.item(), DISCRIMINATOR[name](real, fake), rtol=1e-10)
    np.testing.assert_allclose(loss.generator(mg.tensor(fake)).item(), GENERATOR[name](fake), rtol=1e-10)


@pytest.mark.parametrize("name", NAMES)
@given(real=logits, fake=logits)
def test_gradients(name, real, fake):
    loss = adversarial(name)
    x, g = mg.tensor(real, requires_grad=True), mg.tensor(fake, requires_grad=True)
    of_real, of_fake = mg.grad(loss.discriminator(x, g), [x, g])
    slope_real, slope_fake = DISCRIMINATOR_SLOPES[name]
    np.testing.assert_allclose(of_real.data, slope_real(real) / len(real), rtol=1e-10, atol=1e-300)
    np.testing.assert_allclose(of_fake.data, slope_fake(fake) / len(fake), rtol=1e-10, atol=1e-300)
    of_generator = mg.grad(loss.generator(g), g)
    np.testing.assert_allclose(of_generator.data, GENERATOR_SLOPES[name](fake) / len(fake), rtol=1e-10, atol=1e-300)


@pytest.mark.parametrize("name", ["minimax", "nonsaturating"])
@given(real=extreme, fake=extreme)
def test_extreme_logits_in_float32(name, real, fake):
    # At 1e4, -log D is 0 and -log(1 - D) is 1e4, to float32; at 0 both are log 2.
    loss = adversarial(name)
    x, g = mg.tensor(real, requires_grad=True), mg.tensor(fake, requires_grad=True)
    log_2 = np.where(real == 0, math.log(2), 0)
    expected = np.mean(np.maximum(-real, 0) + log_2)
    log_2 = np.where(fake == 0, math.log(2), 0)
    expected += np.mean(np.maximum(fake, 0) + log_2)
    value = loss.discriminator(x, g)
    assert value.dtype == np.float32
    np.testing.assert_allclose(value.item(), expected, rtol=1e-6)
    sign = -1 if name == "minimax" else 1
    expected = sign * np.mean(np.maximum(-sign * fake, 0) + log_2)
    np.testing.assert_allclose(loss.generator(g).item(), expected, rtol=1e-6)
    probability = np.where(fake == 0, 0.5, fake > 0) / len(fake)  # D(G(z)), over N
    np.testing.assert_allclose(mg.grad(value, g).data, probability, rtol=1e-6)
    slope = -probability if name == "minimax" else probability - 1 / len(fake)
    np.testing.assert_allclose(mg.grad(loss.generator(g), g).data, slope, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", NAMES)
def test_equilibrium(name):
    # Where p_g = p_data, real and fake outputs have one distribution; the best D is then constant, at D = 1/2 or the score 1/2.
    loss = adversarial(name)
    best = mg.tensor(np.full((4, 1), 0.0 if loss.is_probability else 0.5), requires_grad=True)
    value = loss.discriminator(best, best)
    assert (value.item(), loss.generator(best).item()) == pytest.approx(loss.equilibrium, rel=1e-15)
    np.testing.assert_allclose(mg.grad(value, best).data, 0, atol=1e-16)
    rng = np.random.default_rng(0)
    for _ in range(20):
        other = mg.tensor(best.data + rng.normal(size=(4, 1)))
        assert loss.discriminator(other, other).item() > value.item()


def test_equilibrium_of_the_game_is_minus_log_4():
    value = {name: -adversarial(name).equilibrium[0] for name in ("minimax", "nonsaturating")}
    assert value == dict.fromkeys(value, -math.log(4))


def test_an_unknown_name_lists_the_known_ones():
    message = r"adversarial loss 'wasserstein' is unknown; it is one of nonsaturating, minimax, least-squares"
    with pytest.raises(ValueError, match=message):
        adversarial("wasserstein")
