"""PixelRNN: what each conditional sees, exact probabilities, the network against slow loops, and one sample by two ways."""

import functools
import itertools

import numpy as np
import pytest
from devices import on_host
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from scipy.stats import chisquare

import minigen as mg
from minigen import Tensor, nn
from minigen.engine import no_grad
from minigen.models import (
    BernoulliConditional,
    CategoricalConditional,
    LogisticMixtureConditional,
    PixelRNN,
)
from minigen.models.autoregressive import PlainStepper
from minigen.models.pixelrnn import KINDS, DiagonalBiLSTM, RowLSTM, by_gate
from minigen.ops.image_lstm import skew, unskew
from minigen.random import Generator
from minigen.testing import gradcheck

from .enumeration import all_examples, conditionals_of_the_stepper, with_random_weights

CONDITIONALS = {
    "bernoulli": BernoulliConditional(),
    "categorical": CategoricalConditional(4),
    "logistics": LogisticMixtureConditional(4, components=2),
}
EACH = pytest.mark.parametrize("kind", KINDS)


def pixelrnn(size, conditional, *, kind, layers=1, kernel_size=3, features=None, **more):
    return PixelRNN(
        size, conditional, kind=kind, layers=layers, kernel_size=kernel_size, features=features or 2 * size[2],
        rng=Generator(0), **more,
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------------ what sees what


def seen_by(model, site):
    """Which sites a conditional depends on, (H, W, C). Weights are small and positive: nothing cancels, and no unit is off."""
    rng = np.random.default_rng(0)
    for parameter in with_random_weights(model, 0).parameters():
        parameter.data = rng.uniform(0.05, 0.15, parameter.shape)
    bright = np.full((1, *model.size), model.conditional.levels - 1.0)
    return model.dependence(bright, site) > 0


def before(size, site):
    return np.arange(np.prod(size)).reshape(size) < site


def reached_by_rows(size, pixel, *, first, row_kernel, layers):
    """The pixels that lead to one through Row LSTMs, by their equations: the last layer's h of a pixel, its states, and theirs."""

    def inside(places):
        return {(r, c) for r, c in places if 0 <= r < size[0] and 0 <= c < size[1]}

    @functools.cache
    def features(layer, place):
        if layer == 0:
            taps = np.argwhere(nn.tap_mask((first, first), kind="A")) - first // 2
            return frozenset(inside((place[0] + i, place[1] + j) for i, j in taps.tolist()))
        return features(layer - 1, place) | states(layer, place)

    @functools.cache
    def states(layer, place):
        radius = row_kernel // 2
        own = inside((place[0], place[1] + j) for j in range(-radius, 1))
        above = inside((place[0] - 1, place[1] + j) for j in range(-radius, radius + 1))
        return frozenset().union(*(features(layer - 1, p) for p in own), *(states(layer, p) for p in above))

    seen = np.zeros(size, bool)
    for place in features(layers, pixel):
        seen[place] = True
    return seen


@settings(max_examples=10)
@given(
    first=st.sampled_from([3, 5]), row_kernel=st.sampled_from([1, 3, 5]), layers=st.integers(1, 3), colours=st.sampled_from([1, 2, 3]),
    pixel=st.integers(0, 29), colour=st.integers(0, 2),
)  # fmt: skip
def test_row_lstms_see_exactly_what_their_equations_lead_to(first, row_kernel, layers, colours, pixel, colour):
    model = pixelrnn(
        (5, 6, colours),
        BernoulliConditional(),
        kind="row",
        layers=layers,
        kernel_size=first,
        row_kernel_size=row_kernel,
    )
    site, pixel = pixel * colours + colour % colours, divmod(pixel, 6)
    reached = reached_by_rows((5, 6), pixel, first=first, row_kernel=row_kernel, layers=layers)
    expected = np.repeat(reached[..., None], colours, axis=2)
    expected[pixel] = np.arange(colours) < site % colours
    np.testing.assert_array_equal(seen_by(model, site), expected)
    assert not (expected & ~before(model.size, site)).any()


@pytest.mark.parametrize("layers", [1, 3])
def test_what_row_lstms_see_is_a_triangle_that_each_layer_widens_to_the_left_alone(layers):
    height, width, pixel = 5, 11, (4, 6)
    seen = seen_by(
        pixelrnn((height, width, 1), BernoulliConditional(), kind="row", layers=layers), pixel[0] * width + pixel[1]
    )
    for row, column in itertools.product(range(height), range(width)):
        up = pixel[0] - row
        right_end = pixel[1] + up if up else pixel[1] - 1
        assert seen[row, column, 0] == (pixel[1] - up - layers - 1 <= column <= right_end)
    assert not seen[3, 8]  # one row up, two columns to the right: the blind spot


@settings(max_examples=10)
@given(
    size=st.tuples(st.integers(1, 4), st.integers(1, 7), st.integers(1, 3)), site=st.integers(0, 83), layers=st.integers(1, 2),
    first=st.sampled_from([3, 5, 7]),
)  # fmt: skip
def test_one_diagonal_bilstm_sees_all_that_comes_before_but_one_site(size, site, layers, first):
    site %= int(np.prod(size))
    expected = before(size, site)
    (row, column), last = divmod(site // size[2], size[1]), size[1] - 1
    if row > 0 and last - column > first // 2:
        # What the row above says of itself is said by its pixels' features, each without its own pixel: nothing speaks of the last one.
        expected[row - 1, last, -1] = False
    model = pixelrnn(size, BernoulliConditional(), kind="diagonal", layers=layers, kernel_size=first)
    np.testing.assert_array_equal(seen_by(model, site), expected)


# ------------------------------------------------------------------------------------------------------ skewing


@given(shape=st.tuples(st.integers(0, 2), st.integers(1, 6), st.integers(1, 6), st.integers(1, 3)))
def test_skewing_shifts_each_row_by_one_against_the_row_above_and_is_undone_exactly(shape):
    n, height, width, channels = shape
    x = 1.0 + np.arange(np.prod(shape), dtype=float).reshape(shape)
    skewed = skew(x)
    assert skewed.shape == (n, height, height + width - 1, channels)
    for i in range(height):
        np.testing.assert_array_equal(skewed[:, i, i : i + width], x[:, i])
    assert (skewed != 0).sum() == x.size
    np.testing.assert_array_equal(unskew(skewed), x)


# ------------------------------------------------------------------------------------------------------ slow loops


def convolved(x, convolution):
    """A masked convolution of (H, W, C), tap by tap and pixel by pixel."""
    weight = convolution.weight.data * (1 if convolution.mask is None else convolution.mask.data)
    height, width, _ = x.shape
    out = np.zeros((height, width, weight.shape[3])) + convolution.bias.data
    for i, j, r, s in itertools.product(*map(range, (height, width, *weight.shape[:2]))):
        above, left = i + r - weight.shape[0] // 2, j + s - weight.shape[1] // 2
        if convolution.taps[r, s] and 0 <= above < height and 0 <= left < width:
            out[i, j] += x[above, left] @ weight[r, s]
    return out


def walked(a, weight, taps, carried, columns):
    """The states of an LSTM for the inputs of its gates, (H, W, 4h), pixel by pixel: every pixel after those of its taps."""
    height, width, _ = a.shape
    states, cells = {}, {}
    for i, j in itertools.product(range(height), columns):
        total = a[i, j].copy()
        for (r, s), w in zip(taps, weight, strict=True):
            if (i + r, j + s) in states:
                total += states[i + r, j + s] @ w
        i_gate, f, g, o = np.split(total, 4)
        old = cells.get((i + carried[0], j + carried[1]), 0.0)
        cells[i, j] = expit(f) * old + expit(i_gate) * np.tanh(g)
        states[i, j] = expit(o) * np.tanh(cells[i, j])
    return np.array([[states[i, j] for j in range(width)] for i in range(height)])


def of_lstm(lstm, x, colours):
    width = x.shape[1]
    if isinstance(lstm, RowLSTM):
        weight = lstm.down.state_to_state.data
        a = by_gate(convolved(x, lstm.down.input_to_state), colours=colours)
        radius = len(weight) // 2
        return walked(a, weight, [(-1, s) for s in range(-radius, radius + 1)], (-1, 0), range(width))
    assert isinstance(lstm, DiagonalBiLSTM)
    a = by_gate(convolved(x, lstm.right.input_to_state), colours=colours)
    right = walked(a, lstm.right.state_to_state.data, [(-1, 0), (0, -1)], (0, -1), range(width))
    a = convolved(x, lstm.left.input_to_state)
    left = walked(a, lstm.left.state_to_state.data, [(-1, 0), (0, 1)], (0, 1), range(width)[::-1])
    return right + np.concatenate([np.zeros_like(left[:1]), left[:-1]])


@EACH
@pytest.mark.parametrize("colours", [1, 2])
def test_the_network_computes_what_slow_loops_compute(kind, colours):
    size = (3, 4, colours)
    model = with_random_weights(
        pixelrnn(size, CategoricalConditional(4), kind=kind, layers=2, features=4 * colours), 0, 0.4
    )
    x = np.random.default_rng(0).integers(0, 4, (2, *size)).astype(float)
    expected = []
    for image in x:
        h = convolved(image * 2 / 3 - 1, model.first)
        for block in model.blocks:
            h = h + convolved(of_lstm(block.lstm, h, colours), block.up)
        for convolution in model.head:
            h = convolved(np.maximum(h, 0), convolution)
        expected.append(h.reshape(*size, 4))
    with no_grad():
        np.testing.assert_allclose(model.predict(x).data, np.stack(expected), rtol=1e-10, atol=1e-12)


@EACH
def test_gradients_of_the_likelihood(kind):
    model = with_random_weights(pixelrnn((2, 2, 1), BernoulliConditional(), kind=kind), 0, 0.5)
    x = all_examples((2, 2, 1), 2)[[5, 11]]
    lstms = [part for part in (getattr(model.blocks[0].lstm, name, None) for name in ("down", "right", "left")) if part]

    def likelihood(*weights):
        for lstm, inputs, states in zip(lstms, weights[::2], weights[1::2], strict=True):
            lstm.input_to_state.weight, lstm.state_to_state = inputs, states
        return model.log_prob(x)

    gradcheck(likelihood, [array.data for lstm in lstms for array in (lstm.input_to_state.weight, lstm.state_to_state)])


# ------------------------------------------------------------------------------------------------------ probabilities


@EACH
@pytest.mark.parametrize("conditional", CONDITIONALS.values(), ids=CONDITIONALS)
def test_probabilities_of_all_images_sum_to_one(kind, conditional):
    size = (2, 2, 1) if conditional.levels == 2 else (1, 2, 1)
    x = all_examples(size, conditional.levels)
    assert len(x) == 16
    model = with_random_weights(pixelrnn(size, conditional, kind=kind, layers=2, features=6), 1)
    with no_grad():
        log_p = model.log_prob(x).data
    assert abs(np.exp(log_p).sum() - 1) < 1e-10
    assert log_p.std() > 1e-2


@EACH
def test_probabilities_of_all_coloured_pixels_sum_to_one(kind):
    model = with_random_weights(pixelrnn((1, 1, 3), CategoricalConditional(4), kind=kind), 0)
    with no_grad():
        assert abs(np.exp(model.log_prob(all_examples((1, 1, 3), 4)).data).sum() - 1) < 1e-10


@EACH
def test_samples_have_the_enumerated_distribution(kind):
    model, n = pixelrnn((2, 2, 1), BernoulliConditional(), kind=kind, features=6), 4000
    for parameter in model.parameters():
        parameter.data *= 2.0  # far from uniform
    with no_grad():
        p = np.exp(model.log_prob(all_examples(model.size, 2).astype(np.float32)).data.astype(np.float64))
    drawn = model.sample(n, rng=Generator(1)).reshape(n, -1) @ np.array([8, 4, 2, 1])
    assert p.max() > 0.08
    assert chisquare(np.bincount(drawn.astype(int), minlength=16), n * p / p.sum()).pvalue > 1e-3


# ------------------------------------------------------------------------------------------------------ sampling

SETTINGS = {
    "kind": st.sampled_from(KINDS), "colours": st.sampled_from([1, 2, 3]), "layers": st.integers(1, 3), "first": st.sampled_from([3, 7]),
    "row_kernel": st.sampled_from([1, 3, 5]), "n": st.integers(1, 9), "size": st.tuples(st.integers(1, 5), st.integers(1, 5)),
    "conditional": st.sampled_from(sorted(CONDITIONALS)), "seed": st.integers(0, 99),
}  # fmt: skip


def random_model(kind, colours, layers, first, row_kernel, n, size, conditional, seed):
    """A model with weights so large that its conditionals are far from uniform."""
    model = PixelRNN(
        (*size, colours), CONDITIONALS[conditional], kind=kind, features=6 * colours, layers=layers, kernel_size=first,
        row_kernel_size=row_kernel, rng=Generator(seed),
    )  # fmt: skip
    for parameter in model.parameters():
        parameter.data *= 2.0
    return model


@settings(max_examples=15)
@given(**SETTINGS)
def test_the_cached_stepper_draws_the_samples_of_the_plain_one(**architecture):
    model, n, seed = random_model(**architecture), architecture["n"], architecture["seed"]
    plain = model.sample(n, rng=Generator(seed), cached=False)
    np.testing.assert_array_equal(model.sample(n, rng=Generator(seed)), plain)


@settings(max_examples=8)
@given(**SETTINGS)
def test_log_prob_is_the_sum_of_the_conditionals_of_the_stepper(**architecture):
    model = random_model(**architecture)
    x = Generator(1).integers(0, model.conditional.levels, (architecture["n"], *model.size)).astype(np.float32)
    with no_grad():
        np.testing.assert_allclose(conditionals_of_the_stepper(model, x), model.log_prob(x).data, rtol=1e-4, atol=1e-4)


@EACH
def test_in_float64_both_steppers_agree_to_rounding(kind):
    model = with_random_weights(
        pixelrnn((4, 5, 3), LogisticMixtureConditional(256, components=2), kind=kind, layers=2), 0, 0.5
    )
    x = np.floor(256 * np.random.default_rng(0).uniform(size=(2, 60)))
    with no_grad():
        cached, plain = model.stepper(2), PlainStepper(model, None)
        for i in range(60):
            np.testing.assert_allclose(cached.parameters(x, i), plain.parameters(x, i), rtol=1e-10, atol=1e-12)


@EACH
def test_figures_and_samples_are_the_same_on_every_device(kind, device):
    model = pixelrnn((3, 4, 1), BernoulliConditional(), kind=kind, features=6)
    here, x = model.sample(3, rng=Generator(1)), all_examples((3, 4, 1), 2)[[9, 700]].astype(np.float32)
    log_p = model.log_prob(x).data
    there = model.to(device)
    np.testing.assert_array_equal(on_host(there.sample(3, rng=Generator(1, device=device))), here)
    np.testing.assert_allclose(on_host(there.log_prob(mg.tensor(x, device=device))), log_p, rtol=1e-5)


@EACH
def test_a_completion_keeps_what_is_known(kind):
    model, known = pixelrnn((4, 3, 1), BernoulliConditional(), kind=kind, features=6), np.arange(4)[:, None, None] < 2
    x = all_examples((4, 3, 1), 2)[[77, 3000]].astype(np.float32)
    done = model.complete(x, known, rng=Generator(1))
    np.testing.assert_array_equal(done[:, :2], x[:, :2])
    np.testing.assert_array_equal(done, model.complete(x, known, rng=Generator(1), cached=False))


@pytest.mark.slow
@EACH
def test_a_model_learns_what_it_is_shown(kind):
    # Two images, equally likely: log 2 nats are what is left to know.
    x = np.zeros((2, 4, 4, 1), np.float32)
    x[0, ::2] = x[1, :, ::2] = 1.0
    model = pixelrnn((4, 4, 1), BernoulliConditional(), kind=kind, features=12)
    optimizer = mg.optim.Adam(model, learning_rate=1e-2)
    for _ in range(400):
        optimizer.zero_grad()
        loss, _ = model.loss(x)
        loss.backward()
        optimizer.step()
    assert np.log(2) - 1e-3 < loss.item() < np.log(2) + 0.05
    drawn = model.sample(20, rng=Generator(1))
    assert ((drawn[:, None] == x).all(axis=(2, 3, 4)).any(axis=1)).mean() > 0.9


# ------------------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"kind": "column"}, r"kind is 'column', expected one of \('row', 'diagonal'\)"),
        ({"kind": "row", "features": 4}, r"for images of 3 channels features = 4 must be a multiple of 6"),
        ({"kind": "row", "layers": 0}, r"layers = 0 must be at least 1"),
        ({"kind": "row", "head_features": 4}, r"head_features = 4 one of 3"),
        ({"kind": "row", "kernel_size": 1}, r"kernel_size = 1 must be odd and at least 3"),
        ({"kind": "diagonal", "kernel_size": 4}, r"kernel_size = 4 must be odd and at least 3"),
        ({"kind": "row", "row_kernel_size": 2}, r"row_kernel_size = 2 must be odd and at least 1"),
    ],
)  # fmt: skip
def test_settings_out_of_range_are_named(more, message):
    with pytest.raises(ValueError, match=message):
        pixelrnn((4, 4, 3), BernoulliConditional(), **more)


def test_a_condition_is_refused():
    model, x = pixelrnn((2, 2, 1), BernoulliConditional(), kind="row"), np.zeros((2, 2, 2, 1), np.float32)
    with pytest.raises(ValueError, match="this model is of p"):
        model.log_prob(x, np.array([0, 1]))
    assert isinstance(model.log_prob(x), Tensor)
