"""Adversarial losses: against the formulas with probabilities, their gradients in closed form, at extreme logits, at equilibrium."""

import math
from inspect import isfunction

import numpy as np
import pytest
from annotations import checked, run_example, tells, untold
from hypothesis import given
from hypothesis import strategies as st

import minigen as mg
from minigen import losses
from minigen.losses import ADVERSARIAL, adversarial, gradient_penalty
from minigen.random import Generator

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
    "reverse-kl": lambda real, fake: (
        np.mean(np.exp(-real)) - np.mean(1 - fake)
    ),  # of T = -exp(-l): -E[T] + E[-1 - log(-T)]
    "wasserstein": lambda real, fake: np.mean(fake) - np.mean(real),
    "wasserstein-gp": lambda real, fake: np.mean(fake) - np.mean(real),
}
GENERATOR = {
    "minimax": lambda fake: np.mean(np.log(1 - D(fake))),
    "nonsaturating": lambda fake: np.mean(-np.log(D(fake))),
    "least-squares": lambda fake: np.mean((fake - 1) ** 2) / 2,
    "reverse-kl": lambda fake: np.mean(-fake),
    "wasserstein": lambda fake: np.mean(-fake),
    "wasserstein-gp": lambda fake: np.mean(-fake),
}

# N times the derivative of the losses with respect to one logit.
DISCRIMINATOR_SLOPES = {
    "minimax": (lambda real: -(1 - D(real)), lambda fake: D(fake)),
    "nonsaturating": (lambda real: -(1 - D(real)), lambda fake: D(fake)),
    "least-squares": (lambda real: real - 1, lambda fake: fake),
    "reverse-kl": (lambda real: -np.exp(-real), np.ones_like),
    "wasserstein": (lambda real: -np.ones_like(real), np.ones_like),
    "wasserstein-gp": (lambda real: -np.ones_like(real), np.ones_like),
}
GENERATOR_SLOPES = {
    "minimax": lambda fake: -D(fake),
    "nonsaturating": lambda fake: -(1 - D(fake)),
    "least-squares": lambda fake: fake - 1,
    "reverse-kl": lambda fake: -np.ones_like(fake),
    "wasserstein": lambda fake: -np.ones_like(fake),
    "wasserstein-gp": lambda fake: -np.ones_like(fake),
}


def test_every_loss_is_covered():
    assert set(NAMES) == set(DISCRIMINATOR) == set(GENERATOR)
    assert all(name == adversarial(name).name for name in NAMES)
    scores = ["least-squares", "wasserstein", "wasserstein-gp"]
    assert [name for name in NAMES if not adversarial(name).is_probability] == scores
    assert [name for name in NAMES if adversarial(name).weight_bound] == ["wasserstein"]
    assert [name for name in NAMES if adversarial(name).penalty] == ["wasserstein-gp"]


@pytest.mark.parametrize("name", NAMES)
@given(real=logits, fake=logits)
def test_values(name, real, fake):
    loss = adversarial(name)
    value = loss.discriminator(mg.tensor(real), mg.tensor(fake))
    assert value.shape == ()
    assert value.dtype == np.float64
    # 1 - D(10) = 4.5e-5 keeps 11 digits.
    np.testing.assert_allclose(value.item(), DISCRIMINATOR[name](real, fake), rtol=1e-10, atol=1e-11)
    np.testing.assert_allclose(loss.generator(mg.tensor(fake)).item(), GENERATOR[name](fake), rtol=1e-10, atol=1e-14)


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


@pytest.mark.parametrize("name", ["minimax", "nonsaturating", "least-squares", "reverse-kl"])
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


def test_a_critic_of_equal_distributions_finds_no_distance():
    for name in ("wasserstein", "wasserstein-gp"):
        scores = mg.tensor(np.array([[3.0], [-1.0]]))
        assert adversarial(name).discriminator(scores, scores).item() == 0 == adversarial(name).equilibrium[0]
        assert adversarial(name).equilibrium[1] is None


@given(real=logits, fake=logits)
def test_the_reverse_kl_is_a_lower_bound_reached_by_the_log_ratio(real, fake):
    # Over a table of four points, with any l and with l = log p/q.
    rng = np.random.default_rng(len(real) + 10 * len(fake))
    p, q = rng.dirichlet(np.ones(4), 2)

    def bound(scores):
        # The losses take means over samples; 4 weighted copies of each point are the expectation.
        real, fake = mg.tensor(scores - np.log(4 * p)), mg.tensor(4 * q * scores)
        return -adversarial("reverse-kl").discriminator(real, fake).item()

    divergence = np.sum(q * np.log(q / p))
    assert bound(np.log(p / q)) == pytest.approx(divergence, abs=1e-12)
    assert bound(np.resize(real, 4)) <= divergence + 1e-12


def test_an_unknown_name_lists_the_known_ones():
    message = r"adversarial loss 'hinge' is unknown; it is one of nonsaturating, minimax, least-squares, reverse-kl, wasserstein"
    with pytest.raises(ValueError, match=message):
        adversarial("hinge")


# ---------------------------------------------------------------------------------------------------- the gradient penalty


def quadratic(y, matrix):
    """The critic y M y / 2 of every example of a batch, whose gradient is M y for a symmetric M."""
    flat = y.reshape(len(y), -1)
    return 0.5 * mg.sum((flat @ matrix) * flat, axis=1, keepdims=True)


def interpolates(real, fake, seed):
    """The points that `gradient_penalty` draws: one share for each example, over all of its features."""
    share = Generator(seed).uniform((len(real), *(1 for _ in real.shape[1:])))
    return share * real + (1 - share) * fake


@pytest.mark.parametrize("shape", [(5, 1), (5, 3), (4, 2, 3), (3, 2, 2, 2)])
def test_the_penalty_in_closed_form(shape):
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=(2, *shape))
    features = math.prod(shape[1:])
    root = rng.normal(size=(features, features))
    matrix = mg.tensor(root + root.T, requires_grad=True)
    penalty = gradient_penalty(lambda y: quadratic(y, matrix), real, fake, rng=Generator(7))

    def expected(m):
        slopes = np.linalg.norm(interpolates(real, fake, 7).reshape(shape[0], -1) @ m, axis=1)
        return np.mean((slopes - 1) ** 2)

    assert penalty.item() == pytest.approx(expected(matrix.data), rel=1e-10)
    # Its derivative by the critic's weights is a second derivative of the critic: against central differences.
    direction = rng.normal(size=matrix.shape)
    direction += direction.T
    step = 1e-6
    slope = (expected(matrix.data + step * direction) - expected(matrix.data - step * direction)) / (2 * step)
    assert float(np.sum(mg.grad(penalty, matrix).data * direction)) == pytest.approx(slope, rel=1e-6)


def test_each_example_has_a_share_of_its_own():
    # Between (0, 0) and (1, 1) every point lies on the diagonal, and no two examples of a batch at one place.
    seen = []

    def critic(y):
        seen.append(y.data)
        return mg.sum(y, axis=1, keepdims=True)

    gradient_penalty(critic, np.ones((50, 2)), np.zeros((50, 2)), rng=Generator(0))
    (points,) = seen
    np.testing.assert_array_equal(points[:, 0], points[:, 1])
    assert len(set(points[:, 0])) == 50
    assert 0.4 < points.mean() < 0.6


def test_the_penalty_of_a_slope_of_one_is_zero_and_of_a_constant_critic_one():
    x = np.random.default_rng(0).normal(size=(6, 4))
    direction = np.array([[0.5], [-0.5], [0.5], [0.5]])
    assert gradient_penalty(lambda y: y @ direction, x, x, rng=Generator(0)).item() == pytest.approx(0, abs=1e-30)
    flat = gradient_penalty(lambda y: 0.0 * mg.sum(y, axis=1, keepdims=True), x, x, rng=Generator(0))
    assert flat.item() == 1  # the norm's kink at 0


def test_the_penalty_refuses_unequal_shapes():
    message = r"gradient_penalty: real examples have shape \(4, 2\), generated ones \(3, 2\); expected the same number"
    with pytest.raises(ValueError, match=message):
        gradient_penalty(lambda y: y, np.ones((4, 2)), np.ones((3, 2)), rng=Generator(0))


# -- annotations

FUNCTIONS = [value for value in vars(losses).values() if isfunction(value) and value.__module__ == losses.__name__]


def test_every_annotation_of_a_loss_tells_dtype_and_shape():
    wrong = [fault for function in FUNCTIONS for fault in untold(function)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("function", [*filter(tells, FUNCTIONS)], ids=lambda function: function.__name__)
def test_annotations_are_true(function):
    found = set()
    run_example(function, **{function.__name__: checked(function, found)})
    assert function.__name__ in found
