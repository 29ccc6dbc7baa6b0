"""The average of weights: its recursion in closed form, the warm-up, and weights that come back bitwise."""

import json
import math

import numpy as np
import pytest
from devices import on_host
from hypothesis import given
from hypothesis import strategies as st

import minigen as mg
from minigen import nn
from minigen.backend import to_device
from minigen.nn import Buffer, Parameter
from minigen.optim import EMA, SGD
from minigen.random import Generator


def scalar_average(start, decay, dtype=np.float64, device="cpu"):
    w = Parameter(to_device(np.array([start], dtype), device))
    optimizer = SGD({"w": w}, learning_rate=1.0)
    return w, EMA(optimizer, decay=decay)


# ------------------------------------------------------------------------------------------------------- the recursion


@given(start=st.floats(-10, 10), target=st.floats(-10, 10), updates=st.integers(1, 60))
def test_the_warm_up_in_closed_form(start, target, updates):
    # The start's weight after n updates is prod (1 + t) / (10 + t) = n! 9! / (n + 9)!.
    w, average = scalar_average(start, decay=0.9999)
    w.assign(np.array([target]))
    for _ in range(updates):
        average.update()
    share = 1 / math.comb(updates + 9, 9)
    np.testing.assert_allclose(average.average[0], share * start + (1 - share) * target, rtol=1e-12, atol=1e-12)
    assert average.steps == updates


@given(decay=st.floats(0, 0.1), updates=st.integers(1, 20))
def test_below_the_warm_up_the_decay_is_constant(decay, updates):
    # (1 + t) / (10 + t) is never below 1/10.
    w, average = scalar_average(1.0, decay)
    w.assign(np.array([0.0]))
    for _ in range(updates):
        average.update()
    np.testing.assert_allclose(average.average[0], decay**updates, rtol=1e-12, atol=1e-15)


@given(values=st.lists(st.floats(-10, 10), min_size=1, max_size=60), decay=st.floats(0, 0.99))
def test_any_sequence_of_weights(values, decay, device):
    w, average = scalar_average(values[0], decay, device=device)
    expected = values[0]
    for t, value in enumerate(values):
        w.assign(to_device(np.array([value]), device))
        average.update()
        d = min(decay, (1 + t) / (10 + t))
        expected = d * expected + (1 - d) * value
    np.testing.assert_allclose(on_host(average.average)[0], expected, rtol=1e-12, atol=1e-12)


def test_the_average_starts_at_the_weights_and_is_no_view():
    w, average = scalar_average(3.0, 0.9)
    w.assign(np.array([7.0]))
    assert average.average[0] == 3.0


def test_float32_averages_of_many_parameters(device):
    net = nn.Sequential(nn.Linear(3, 5, rng=Generator(0)), nn.Linear(5, 1, rng=Generator(1))).to(device)
    optimizer = SGD(net, learning_rate=0.1)
    average = EMA(optimizer, decay=0.5)
    expected = {name: on_host(p).astype(np.float64) for name, p in net.named_parameters().items()}
    for t in range(20):
        optimizer.zero_grad()
        mg.sum(net(mg.ones((2, 3), device=device)) ** 2).backward()
        optimizer.step()
        average.update()
        d = min(0.5, (1 + t) / (10 + t))
        expected = {name: d * e + (1 - d) * on_host(net.state()[name]) for name, e in expected.items()}
    assert average.average.dtype == np.float32
    for name, view in optimizer.arena.views(average.average).items():
        np.testing.assert_allclose(on_host(view), expected[name], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("decay", [1.0, -0.1, math.nan])
def test_decays_outside_the_unit_interval_are_refused(decay):
    with pytest.raises(ValueError, match=rf"EMA: decay = {decay} must lie in \[0, 1\)"):
        scalar_average(0.0, decay)


# ------------------------------------------------------------------------------------------------------------- applied

ODD = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, 1.0], np.float32)


def odd_pair(device):
    """Return a parameter with values that arithmetic would not give back, and an average of other values."""
    w = Parameter(to_device(np.arange(7, dtype=np.float32), device))
    average = EMA(SGD({"w": w}, learning_rate=1.0))
    w.assign(to_device(ODD, device))
    return w, average


def test_inside_the_block_the_model_has_the_average_and_afterwards_its_own_bitwise(device):
    w, average = odd_pair(device)
    for _ in range(2):
        with average.applied():
            np.testing.assert_array_equal(on_host(w), np.arange(7))
        assert on_host(w).tobytes() == ODD.tobytes()
        np.testing.assert_array_equal(on_host(average.average)[:7], np.arange(7))


def test_an_exception_restores_the_weights_too():
    w, average = odd_pair("cpu")
    with pytest.raises(ArithmeticError), average.applied():
        raise ArithmeticError
    assert w.data.tobytes() == ODD.tobytes()
    np.testing.assert_array_equal(average.average[:7], np.arange(7))


def test_a_graph_cannot_cross_the_border_of_the_block():
    w, average = scalar_average(1.0, 0.9)
    loss = mg.sum(w * w)
    with average.applied():
        inside = mg.sum(w * w)
        with pytest.raises(RuntimeError, match="saved w at version 0"):
            loss.backward()
    with pytest.raises(RuntimeError, match="saved w at version 1"):
        inside.backward()


def test_buffers_are_not_averaged():
    class Counter(nn.Module):
        def __init__(self):
            self.weight = Parameter(np.zeros(1))
            self.count = Buffer(np.zeros(1))

    counter = Counter()
    average = EMA(SGD(counter, learning_rate=1.0))
    counter.count.assign(np.array([5.0]))
    average.update()
    with average.applied():
        assert counter.count.data == 5
    assert set(average.state()) == {"weight.average", "steps"}


# --------------------------------------------------------------------------------------------------------------- state


def test_a_restored_state_continues_bitwise(device):
    def random_walk(w, average, seed, updates):
        rng = np.random.default_rng(seed)
        for _ in range(updates):
            w.assign(w.data + to_device(rng.normal(size=1).astype(np.float32), device))
            average.update()

    w, average = scalar_average(1.0, 0.8, np.float32, device)
    random_walk(w, average, 0, 11)
    state = {"w.average": average.state()["w.average"].copy(), "steps": json.loads(json.dumps(average.steps))}
    other, restored = scalar_average(w.item(), 0.8, np.float32, device)
    random_walk(w, average, 1, 5)
    restored.load_state(state)
    random_walk(other, restored, 1, 5)
    assert on_host(restored.average).tobytes() == on_host(average.average).tobytes()
    assert restored.steps == average.steps == 16


def test_load_state_lists_all_differences_and_changes_nothing():
    _, average = scalar_average(1.0, 0.8)
    with pytest.raises(ValueError, match=r"EMA: the state does not fit \(3 differences\)") as raised:
        average.load_state({"w.average": np.zeros(2), "v.average": np.zeros(1)})
    for difference in ("missing steps", "unexpected v.average", "w.average is (2,) float64, expected (1,) float64"):
        assert difference in str(raised.value)
    assert average.average[0] == 1.0
    assert average.steps == 0
