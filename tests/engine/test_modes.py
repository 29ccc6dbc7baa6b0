"""`no_grad` and `debug`."""

import inspect
import threading

import numpy as np
import pytest

import minigen as mg
from engine.helpers import leaf
from minigen.engine import debug, no_grad, primitive
from minigen.testing import gradcheck


def test_no_grad_as_a_block_nested_and_left_by_an_error():
    x = leaf([1.0])
    with no_grad():
        with no_grad():
            assert not (x * x).requires_grad
        assert not (x * x).requires_grad
    assert (x * x).requires_grad
    with pytest.raises(KeyError), no_grad():
        raise KeyError
    assert (x * x).requires_grad


def test_no_grad_as_a_decorator():
    @no_grad()
    def square(x):
        return x * x

    x = leaf([1.0])
    for _ in range(2):
        assert not square(x).requires_grad
    assert (x * x).requires_grad


def test_no_grad_concerns_one_thread():
    x, recorded = leaf([1.0]), []
    with no_grad():
        thread = threading.Thread(target=lambda: recorded.append((x * x).requires_grad))
        thread.start()
        thread.join()
    assert recorded == [True]


def test_recording_goes_on_after_an_error_in_backward():
    @primitive()
    def broken(x):
        return x + 0.0

    def vjp(g):
        raise KeyError

    broken.vjp(x=vjp)
    x = leaf(1.0)
    with pytest.raises(KeyError):
        broken(x).backward()
    assert (x * x).requires_grad


def here():
    """file:line of the caller."""
    frame = inspect.currentframe().f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def test_debug_records_where_a_node_was_made():
    x = leaf([1.0, 2.0])
    with debug():
        y, line = mg.tanh(x), here()
        z, z_line = x * 2.0, here()
    assert y.node.record.origin.startswith(line)
    assert "mg.tanh(x)" in y.node.record.origin
    assert z.node.record.origin.startswith(z_line)
    np.testing.assert_array_equal(y.node.record.inputs[0], x.data)
    np.testing.assert_array_equal(y.node.record.output, y.data)


def test_without_debug_nothing_is_recorded_or_stopped():
    x = leaf([1.0, np.inf])
    y = x * 2.0
    assert y.node.record is None
    y.backward(np.array([np.nan, 1.0]))
    assert np.isnan(x.grad.data[0])


def test_debug_stops_at_the_first_non_finite_output(device):
    x = leaf([[1.0, 2.0], [0.0, 3.0]], device=device)
    with np.errstate(divide="ignore"), debug(), pytest.raises(FloatingPointError) as caught:
        mg.log(x)
    message = str(caught.value)
    assert message.startswith("log: output has 1 of 4 values not finite (first at (1, 0): -inf)")
    assert "(2, 2) float64 in [0, 3]" in message
    assert "test_modes.py" in message


def test_debug_stops_at_the_first_non_finite_gradient(device):
    x = leaf([4.0, 0.0], device=device)
    with np.errstate(divide="ignore"), debug():
        y, line = mg.sqrt(x), here()
        total = mg.sum(y)
        with pytest.raises(FloatingPointError) as caught:
            total.backward()
    message = str(caught.value)
    assert message.startswith("sqrt: gradient of argument 0 has 1 of 2 values not finite (first at (1,): inf)")
    assert f"made at {line}" in message


def test_debug_describes_masks_and_empty_arrays_too():
    with debug(), pytest.raises(FloatingPointError, match="where: output has 1 of 2"):
        mg.where(np.array([True, False]), np.array([np.inf, 1.0]), 0.0)
    with debug(), pytest.raises(FloatingPointError, match=r"join: output .* \(1,\) float64 in \[inf, inf\]"):
        mg.concatenate([np.zeros(0), np.array([np.inf])])


def test_debug_lets_finite_values_pass():
    with debug():
        gradcheck(lambda x: mg.softmax(mg.tanh(x)) * x, [np.array([0.3, -1.2])])
