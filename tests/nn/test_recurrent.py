"""Recurrent layers: states handed on, masks, directions, gradients through time. `tests/parity` compares them with PyTorch's."""

import numpy as np
import pytest

import minigen as mg
from minigen import nn
from minigen.backend import to_device
from minigen.random import Generator
from minigen.testing import gradcheck

KINDS = pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])


def made(kind, in_features=3, features=4, **settings):
    """A layer in float64."""
    layer = kind(in_features, features, rng=Generator(0), **settings)
    for p in layer.parameters():
        p.data = p.data.astype(np.float64)
    return layer


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def parts(state):
    return list(state) if isinstance(state, tuple) else [state]


def drawn_state(kind, *shape):
    found = [drawn(*shape, seed=seed) for seed in (1, 2)]
    return tuple(found) if kind is nn.LSTM else found[0]


def gradients(layer, loss):
    for p in layer.parameters():
        p.grad = None
    loss.backward()
    return [p.grad.data.copy() for p in layer.parameters()]


def assert_all_close(obtained, expected, atol=1e-13):
    for a, b in zip(obtained, expected, strict=True):
        np.testing.assert_allclose(getattr(a, "data", a), getattr(b, "data", b), rtol=1e-12, atol=atol)


# ------------------------------------------------------------------------------------------------------ states


@KINDS
def test_one_step_at_a_time_equals_one_walk(kind):
    layer, x = made(kind, layers=2), drawn(2, 5, 3)
    output, state = layer(x)
    handed, steps = None, []
    for t in range(5):
        step, handed = layer(x[:, t : t + 1], handed)
        steps.append(step.data)
    np.testing.assert_allclose(np.concatenate(steps, axis=1), output.data, rtol=1e-13, atol=1e-15)
    assert_all_close(parts(handed), parts(state))


@KINDS
@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_state_holds_the_last_hidden_states_of_every_layer_and_direction(kind, bidirectional):
    directions = 2 if bidirectional else 1
    output, state = made(kind, layers=2, bidirectional=bidirectional)(drawn(2, 5, 3))
    assert output.shape == (2, 5, 4 * directions)
    assert all(part.shape == (2 * directions, 2, 4) for part in parts(state))
    hidden = parts(state)[0].data
    np.testing.assert_array_equal(hidden[directions], output.data[:, -1, :4])
    if bidirectional:
        np.testing.assert_array_equal(hidden[3], output.data[:, 0, 4:])


@KINDS
def test_the_backward_direction_is_the_forward_one_on_the_reversed_sequence(kind):
    both, x = made(kind, bidirectional=True), drawn(2, 5, 3)
    single = made(kind)
    lists = [name for name, value in vars(both).items() if isinstance(value, list)]
    for name in lists:
        getattr(single, name)[0].assign(getattr(both, name)[1].data)
    assert lists
    output, _ = single(x[:, ::-1])
    np.testing.assert_allclose(both(x)[0].data[:, :, 4:], output.data[:, ::-1], rtol=1e-13)


@KINDS
def test_gradients_do_not_cross_a_detached_state(kind):
    layer, x = made(kind), drawn(2, 6, 3)
    whole, _ = layer(x)
    _, state = layer(x[:, :3])
    assert all(part.requires_grad for part in parts(state))
    cut, _ = layer(x[:, 3:], nn.detached(state))
    np.testing.assert_allclose(cut.data, whole.data[:, 3:], rtol=1e-13)
    constant = tuple(part.data for part in parts(state))
    alone, _ = layer(x[:, 3:], constant if kind is nn.LSTM else constant[0])
    assert_all_close(gradients(layer, (cut * cut).sum()), gradients(layer, (alone * alone).sum()))


@KINDS
def test_gradients_cross_a_state_that_is_handed_on(kind):
    layer, x = made(kind), drawn(2, 6, 3)
    whole, _ = layer(x)
    first, state = layer(x[:, :3])
    second, _ = layer(x[:, 3:], state)
    in_pieces = (first * first).sum() + (second * second).sum()
    assert_all_close(gradients(layer, in_pieces), gradients(layer, (whole * whole).sum()))


@KINDS
def test_an_empty_batch_gives_an_empty_output(kind):
    output, state = made(kind, bidirectional=True)(np.zeros((0, 3, 3)))
    assert output.shape == (0, 3, 8)
    assert all(part.shape == (2, 0, 4) for part in parts(state))


# ------------------------------------------------------------------------------------------------------ masks


@KINDS
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_sequence_filled_up_on_either_side_is_the_sequence_alone(kind, side):
    layer, x, state = made(kind, layers=2, bidirectional=True), drawn(3, 5, 3), drawn_state(kind, 4, 3, 4)
    lengths = [5, 2, 1]
    mask = np.array([[t < n if side == "right" else t >= 5 - n for t in range(5)] for n in lengths])
    output, last = layer(np.where(mask[:, :, None], x, 1e3), state, mask)
    for i, n in enumerate(lengths):
        alone = tuple(part[:, i : i + 1] for part in parts(state))
        expected, end = layer(x[i : i + 1, mask[i]], alone if kind is nn.LSTM else alone[0])
        np.testing.assert_allclose(output.data[i, mask[i]], expected.data[0], rtol=1e-12)
        assert not output.data[i, ~mask[i]].any()
        for a, b in zip(parts(last), parts(end), strict=True):
            np.testing.assert_allclose(a.data[:, i], b.data[:, 0], rtol=1e-12)
        assert n == mask[i].sum()


@KINDS
def test_a_sequence_without_any_step_keeps_its_state(kind):
    state = drawn_state(kind, 1, 2, 4)
    output, last = made(kind)(drawn(2, 3, 3), state, mg.tensor(np.array([[True] * 3, [False] * 3])))
    assert not output.data[1].any()
    for a, b in zip(parts(last), parts(state), strict=True):
        np.testing.assert_array_equal(a.data[:, 1], b[:, 1])
        assert (a.data[:, 0] != b[:, 0]).all()


# ------------------------------------------------------------------------------------------------------ gradients


@KINDS
@pytest.mark.parametrize("mask", [None, np.array([[True, False], [True, True]])], ids=["whole", "masked"])
def test_gradients_of_both_orders_of_outputs_and_states(kind, mask):
    """Also where the first state is computed from the very input."""
    layer = made(kind, 2, 2, bidirectional=True)

    def function(x, first):
        first = mg.tanh(first + mg.mean(x))
        output, state = layer(x, (first, first * 0.5) if kind is nn.LSTM else first, mask)
        return (output, *parts(state))

    gradcheck(function, [drawn(2, 2, 2), drawn(2, 2, 2, seed=1)], name=kind.__name__)


@KINDS
def test_recorded_gradients_are_those_of_a_plain_backward_where_one_argument_depends_on_another(kind):
    layer, x = made(kind, 2, 3), mg.tensor(drawn(2, 3, 2), requires_grad=True)
    first = mg.reshape(mg.tanh(x[:, 0] @ layer.weights_x[0][:, :3]), shape=(1, 2, 3))
    output, _ = layer(x, (first, first) if kind is nn.LSTM else first)
    wanted, loss = [x, *layer.parameters()], (output * output).sum()
    recorded = mg.grad(loss, wanted, create_graph=True)
    assert_all_close(recorded, mg.grad(loss, wanted))


@KINDS
def test_the_gradient_penalty_reaches_every_weight(kind):
    """d/dW of the squared gradient with respect to x, by finite differences in a direction."""
    layer, x, step = made(kind, 2, 3), mg.tensor(drawn(2, 3, 2), requires_grad=True), 1e-5

    def penalty():
        output, _ = layer(x)
        slope = mg.grad(output.sum(), x, create_graph=True)
        return (slope * slope).sum()

    slopes = gradients(layer, penalty())
    for p, slope in zip(layer.parameters(), slopes, strict=True):
        before, direction = p.data.copy(), drawn(*p.shape, seed=3)
        ends = []
        for t in (step, -step):
            p.assign(before + t * direction)
            ends.append(penalty().item())
        p.assign(before)
        assert np.sum(slope * direction) == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-6, abs=1e-8)


@KINDS
def test_layers_compute_alike_on_every_device(kind, device):
    layer, x, mask = made(kind, layers=2, bidirectional=True), drawn(2, 4, 3), np.array([[True] * 4, [False, True] * 2])
    expected, end = layer(x, None, mask)
    slopes = gradients(layer, (expected * expected).sum())
    layer.to(device)
    output, state = layer(to_device(x, device), None, to_device(mask, device))
    there = gradients(layer, (output * output).sum())
    assert_all_close([to_device(y.data, "cpu") for y in (output, *parts(state))], [expected, *parts(end)])
    assert_all_close([to_device(g, "cpu") for g in there], slopes)


# ------------------------------------------------------------------------------------------------------ settings


@KINDS
def test_initial_weights_are_uniform_in_one_over_the_root_of_the_features(kind):
    layer = kind(5, 100, rng=Generator(0), layers=2)
    for p in layer.parameters():
        assert p.dtype == np.float32
        assert np.abs(p.data).max() <= 0.1
        assert p.data.std() == pytest.approx(0.1 / np.sqrt(3), rel=6 / np.sqrt(p.size))


def test_a_forget_bias_is_added_to_the_second_quarter_of_the_bias_alone():
    plain, biased = (nn.LSTM(2, 3, rng=Generator(0), layers=2, forget_bias=b) for b in (0.0, 1.0))
    for p, q in zip(plain.biases, biased.biases, strict=True):
        np.testing.assert_allclose(q.data - p.data, [0] * 3 + [1] * 3 + [0] * 6, atol=1e-7)


@KINDS
def test_dropout_acts_between_layers_and_in_training_alone(kind):
    layer, plain, x = made(kind, layers=2, dropout=0.5), made(kind, layers=2), drawn(2, 4, 3)
    expected = plain(x)[0].data
    first, second = layer(x)[0].data, layer(x)[0].data
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(layer.eval()(x)[0].data, expected)
    np.testing.assert_array_equal(parts(layer.train()(x)[1])[0].data[0], parts(plain(x)[1])[0].data[0])


# ------------------------------------------------------------------------------------------------------ errors


@KINDS
def test_wrong_shapes_are_named(kind):
    layer, x, name = kind(3, 4, rng=Generator(0), layers=2), np.zeros((2, 5, 3), np.float32), kind.__name__
    with pytest.raises(ValueError, match=rf"{name}: x \(N, T, in_features\) has shape \(2, 5, 4\); .* length 3"):
        layer(np.zeros((2, 5, 4), np.float32))
    with pytest.raises(ValueError, match=rf"{name}: x .* has shape \(5, 3\); expected three axes"):
        layer(x[0])
    with pytest.raises(ValueError, match=rf"{name}: x .* = \(2, 0, 3\) has no step; expected T >= 1"):
        layer(x[:, :0])
    with pytest.raises(ValueError, match=rf"{name}: the mask \(N, T\) has shape \(2, 4\); .* expected \(2, 5\)"):
        layer(x, None, np.ones((2, 4), bool))
    with pytest.raises(TypeError, match=rf"{name}: the mask is float32; expected bool"):
        layer(x, None, np.ones((2, 5), np.float32))
    wrong = np.zeros((1, 2, 4), np.float32)
    with pytest.raises(ValueError, match=rf"{name}: the state h.* has shape \(1, 2, 4\); .* expected \(2, 2, 4\)"):
        layer(x, (wrong, wrong) if kind is nn.LSTM else wrong)
    with pytest.raises(TypeError, match=rf"{name}: the state h.* holds a float; expected Tensors or arrays"):
        layer(x, (0.0, 0.0) if kind is nn.LSTM else 0.0)


def test_an_lstm_needs_both_parts_of_its_state():
    with pytest.raises(ValueError, match=r"LSTM: the state h and c, .* is a pair \(h, c\) of shape \(1, 2, 4\) each"):
        nn.LSTM(3, 4, rng=Generator(0))(np.zeros((2, 5, 3), np.float32), np.zeros((1, 2, 4), np.float32))


@KINDS
def test_settings_out_of_range_are_named(kind):
    with pytest.raises(ValueError, match=f"{kind.__name__}: in_features 0, features 4 and layers 1 must be at least 1"):
        kind(0, 4, rng=Generator(0))
    with pytest.raises(ValueError, match=f"{kind.__name__}: dropout 0.5 acts between layers, but there is only one"):
        kind(3, 4, rng=Generator(0), dropout=0.5)
