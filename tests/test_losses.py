"""Adversarial losses: against the formulas with probabilities, their gradients in closed form, at extreme logits, at equilibrium."""

import math
from dataclasses import replace
from inspect import isfunction

import numpy as np
import pytest
from annotations import checked, run_example, tells, untold
from hypothesis import given
from hypothesis import strategies as st

import minigen as mg
from minigen import losses, nn
from minigen.losses import ADVERSARIAL, adversarial, gradient_penalty, r1_penalty, smoothed
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
    "hinge": lambda real, fake: np.mean(np.maximum(0, 1 - real)) + np.mean(np.maximum(0, 1 + fake)),
    "wasserstein": lambda real, fake: np.mean(fake) - np.mean(real),
    "wasserstein-gp": lambda real, fake: np.mean(fake) - np.mean(real),
}
GENERATOR = {
    "minimax": lambda fake: np.mean(np.log(1 - D(fake))),
    "nonsaturating": lambda fake: np.mean(-np.log(D(fake))),
    "least-squares": lambda fake: np.mean((fake - 1) ** 2) / 2,
    "reverse-kl": lambda fake: np.mean(-fake),
    "hinge": lambda fake: np.mean(-fake),
    "wasserstein": lambda fake: np.mean(-fake),
    "wasserstein-gp": lambda fake: np.mean(-fake),
}

# N times the derivative of the losses with respect to one logit.
DISCRIMINATOR_SLOPES = {
    "minimax": (lambda real: -(1 - D(real)), lambda fake: D(fake)),
    "nonsaturating": (lambda real: -(1 - D(real)), lambda fake: D(fake)),
    "least-squares": (lambda real: real - 1, lambda fake: fake),
    "reverse-kl": (lambda real: -np.exp(-real), np.ones_like),
    "hinge": (lambda real: np.where(real < 1, -1.0, 0.0), lambda fake: np.where(fake > -1, 1.0, 0.0)),
    "wasserstein": (lambda real: -np.ones_like(real), np.ones_like),
    "wasserstein-gp": (lambda real: -np.ones_like(real), np.ones_like),
}
GENERATOR_SLOPES = {
    "minimax": lambda fake: -D(fake),
    "nonsaturating": lambda fake: -(1 - D(fake)),
    "least-squares": lambda fake: fake - 1,
    "reverse-kl": lambda fake: -np.ones_like(fake),
    "hinge": lambda fake: -np.ones_like(fake),
    "wasserstein": lambda fake: -np.ones_like(fake),
    "wasserstein-gp": lambda fake: -np.ones_like(fake),
}


def test_every_loss_is_covered():
    assert set(NAMES) == set(DISCRIMINATOR) == set(GENERATOR)
    assert all(name == adversarial(name).name for name in NAMES)
    scores = ["least-squares", "hinge", "wasserstein", "wasserstein-gp"]
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


@given(scores=st.lists(st.floats(-5, 5), min_size=4, max_size=4).map(np.array))
def test_the_hinge_loss_is_least_at_twice_one_minus_the_total_variation(scores):
    p, q = np.random.default_rng(abs(hash(scores.tobytes())) % 2**32).dirichlet(np.ones(4), 2)

    def of_sign(sign):
        return float(p @ np.maximum(0, 1 - sign) + q @ np.maximum(0, 1 + sign))

    def by_the_loss(values):  # its means over four points, each weighted by four times its probability
        real, fake = (mg.tensor(1 - 4 * w * np.maximum(0, 1 - s)) for w, s in ((p, values), (q, -values)))
        return adversarial("hinge").discriminator(real, -fake).item()

    least = 2 * (1 - 0.5 * np.abs(p - q).sum())
    assert by_the_loss(np.sign(p - q)) == pytest.approx(of_sign(np.sign(p - q))) == pytest.approx(least)
    assert by_the_loss(scores) >= least - 1e-12


# ------------------------------------------------------------------------------------------------ one-sided label smoothing


@pytest.mark.parametrize("name", ["nonsaturating", "minimax", "least-squares"])
@pytest.mark.parametrize("target", [0.9, 0.5, 1.0])
def test_the_best_discriminator_under_a_smoothed_target_is_s_p_over_p_plus_q(name, target):
    p, q = np.random.default_rng(0).dirichlet(np.ones(5), 2)
    loss = smoothed(adversarial(name), target)
    share = target * p / (p + q)
    best = np.log(share / (1 - share)) if loss.is_probability else share

    def slope(scores):
        # The derivative of sum p f(l) + q h(l): each point is a batch of one.
        slopes = []
        for weights, score in zip(np.stack([p, q], 1), scores, strict=True):
            x, g = (mg.tensor([score], requires_grad=True, dtype="float64") for _ in range(2))
            of_real, of_fake = mg.grad(loss.discriminator(x, g), [x, g])
            slopes.append(weights[0] * of_real.item() + weights[1] * of_fake.item())
        return np.array(slopes)

    np.testing.assert_allclose(slope(best), 0, atol=1e-15)
    assert (slope(best + 0.1) > 0).all()
    assert (slope(best - 0.1) < 0).all()
    equal = mg.tensor([math.log(target / (2 - target)) if loss.is_probability else target / 2], dtype="float64")
    assert loss.equilibrium == pytest.approx((loss.discriminator(equal, equal).item(), loss.generator(equal).item()))


def test_smoothing_leaves_the_generators_loss_and_a_target_of_one_changes_nothing():
    real, fake = mg.tensor([0.5, -3.0]), mg.tensor([2.0, -30.0])
    for name in ("nonsaturating", "minimax", "least-squares"):
        loss = adversarial(name)
        assert smoothed(loss, 0.9).generator is loss.generator
        assert smoothed(loss, 1.0).discriminator(real, fake).item() == loss.discriminator(real, fake).item()
        assert smoothed(loss, 0.9).discriminator(real, fake).item() != loss.discriminator(real, fake).item()


def test_losses_without_targets_and_targets_out_of_range_are_refused():
    for name in ("hinge", "wasserstein", "wasserstein-gp", "reverse-kl"):
        with pytest.raises(ValueError, match=f"label smoothing: the loss {name} compares its scores with no target"):
            smoothed(adversarial(name), 0.9)
    for target in (0.0, 1.1, math.nan):
        with pytest.raises(
            ValueError, match=rf"the target of real examples is {target}, expected a number in \(0, 1\]"
        ):
            smoothed(adversarial("minimax"), target)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"penalty": -1.0}, "penalty is -1.0, expected a weight of at least 0"),
        ({"r1": math.nan}, "r1 is nan, expected a weight of at least 0"),
        ({"weight_bound": 0.0}, "weight_bound is 0.0, expected a number above 0, or None"),
        ({"r1_every": 0}, "r1_every is 0, expected at least 1"),
    ],
)
def test_settings_out_of_range_are_refused(settings, words):
    with pytest.raises(ValueError, match=f"adversarial loss hinge: {words}"):
        replace(adversarial("hinge"), **settings)


def test_an_unknown_name_lists_the_known_ones():
    message = r"adversarial loss 'hings' is unknown; it is one of nonsaturating, minimax, least-squares, hinge, reverse-kl, wasserstein"
    with pytest.raises(ValueError, match=message):
        adversarial("hings")


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


@pytest.mark.parametrize("shape", [(5, 1), (5, 3), (4, 2, 3), (3, 2, 2, 2)])
def test_r1_in_closed_form(shape):
    rng = np.random.default_rng(0)
    real = rng.normal(size=shape)
    features = math.prod(shape[1:])
    root = rng.normal(size=(features, features))
    matrix = mg.tensor(root + root.T, requires_grad=True)
    penalty = r1_penalty(lambda y: quadratic(y, matrix), real)
    rows = real.reshape(shape[0], -1)
    assert penalty.item() == pytest.approx(np.mean(np.sum((rows @ matrix.data) ** 2, axis=1)), rel=1e-12)
    # d/dM mean |M x|^2 = 2 M E[x x^T], a second derivative of the critic; as it is computed it is not symmetric.
    slope = mg.grad(penalty, matrix).data
    expected = 2 * matrix.data @ (rows.T @ rows) / len(rows)
    np.testing.assert_allclose(slope + slope.T, expected + expected.T, rtol=1e-10)


@pytest.mark.parametrize("size", [(1, 1, 1), (4, 4, 3), (7, 5, 2)])
def test_of_three_times_the_first_pixel_the_penalty_is_four_and_r1_nine_at_any_size(size):
    x = np.random.default_rng(0).normal(size=(6, *size))
    assert gradient_penalty(lambda y: 3.0 * y[:, 0, 0, :1], x, -x, rng=Generator(0)).item() == pytest.approx(4)
    assert r1_penalty(lambda y: 3.0 * y[:, 0, 0, :1], x).item() == pytest.approx(9)


def test_the_penalty_of_a_convolutional_critic_to_second_order():
    rng = Generator(0)
    critic = nn.Sequential(
        nn.Conv2d(2, 3, kernel_size=3, stride=2, padding=1, rng=rng), nn.Tanh(), nn.Conv2d(3, 1, kernel_size=2, rng=rng), nn.Flatten()
    )  # fmt: skip
    real, fake = np.random.default_rng(1).normal(size=(2, 3, 4, 4, 2))
    names = list(critic.named_parameters())

    def penalty(*weights):
        parameters = dict(zip(names, weights, strict=True))

        def of(y):
            h = mg.tanh(mg.conv2d(y, parameters["layers.0.weight"], stride=2, padding=1) + parameters["layers.0.bias"])
            return mg.conv2d(h, parameters["layers.2.weight"]).reshape(len(y), -1) + parameters["layers.2.bias"]

        return gradient_penalty(of, real, fake, rng=Generator(2))

    weights = [parameter.data.astype(np.float64) for parameter in critic.parameters()]
    leaves = [mg.tensor(w, requires_grad=True) for w in weights]
    slopes = mg.grad(penalty(*leaves), leaves, allow_unused=True)  # the last bias moves no slope
    directions = [np.random.default_rng(3).normal(size=w.shape) for w in weights]
    step = 1e-5
    either = [penalty(*(w + sign * step * d for w, d in zip(weights, directions, strict=True))) for sign in (1, -1)]
    difference = (either[0].item() - either[1].item()) / (2 * step)
    along = sum(float((s.data * d).sum()) for s, d in zip(slopes, directions, strict=True) if s is not None)
    assert along == pytest.approx(difference, rel=1e-7)
    # The layers give the same penalty.
    of_layers = gradient_penalty(critic, real.astype(np.float32), fake.astype(np.float32), rng=Generator(2))
    of_functions = penalty(*(mg.tensor(w) for w in weights))
    assert of_layers.item() == pytest.approx(of_functions.item(), rel=1e-5)


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
