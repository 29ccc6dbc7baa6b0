"""Operators and methods of a Tensor, and how it behaves among arrays, numbers and in print."""

import numpy as np
import pytest
from devices import on_host

import minigen as mg
from engine.helpers import leaf
from minigen.backend import to_device
from minigen.engine import Tensor
from minigen.testing import gradcheck

OPERATORS = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "**": lambda a, b: a**b,
}
COMPARISONS = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


@pytest.mark.parametrize("symbol", OPERATORS)
@pytest.mark.parametrize("other", [np.array([3.0, 0.5]), np.array(1.5), 2.0, 3], ids=["array", "()", "float", "int"])
def test_operators_with_tensors_arrays_and_numbers_on_either_side(symbol, other, device):
    operator, values = OPERATORS[symbol], np.array([1.0, 2.0])
    x = leaf(values, device=device)
    there = to_device(other, device) if isinstance(other, np.ndarray) else other
    for obtained, expected in (
        (operator(x, there), operator(values, other)),
        (operator(there, x), operator(other, values)),
        (operator(x, Tensor(to_device(np.asarray(other), device))), operator(values, other)),
    ):
        assert type(obtained) is Tensor
        np.testing.assert_allclose(on_host(obtained), expected, rtol=0 if device == "cpu" else 1e-15)
        assert obtained.requires_grad
    gradcheck(
        lambda x: (operator(x.to(device), there) + operator(there, x.to(device))).to("cpu"),
        [values],
        order=1,
        name=symbol,
    )


def test_a_scalar_of_numpy_is_an_operand_on_the_cpu():
    values = np.array([1.0, 2.0])
    for operator in OPERATORS.values():
        for obtained, expected in (
            (operator(leaf(values), np.float64(1.5)), operator(values, 1.5)),
            (operator(np.float64(1.5), leaf(values)), operator(1.5, values)),
        ):
            assert type(obtained) is Tensor
            np.testing.assert_array_equal(obtained.data, expected)


@pytest.mark.parametrize("symbol", COMPARISONS)
def test_comparisons_with_tensors_arrays_and_numbers_on_either_side(symbol, device):
    comparison, values = COMPARISONS[symbol], np.array([1.0, 2.0, 3.0])
    x = leaf(values, device=device)
    twos = to_device(np.full(3, 2.0), device)
    for other in (twos, 2.0, 2):
        for obtained, expected in (
            (comparison(x, other), comparison(values, 2.0)),
            (comparison(other, x), comparison(2.0, values)),
            (comparison(x, Tensor(twos)), comparison(values, 2.0)),
        ):
            assert type(obtained) is Tensor
            assert obtained.dtype == bool
            assert not obtained.requires_grad
            np.testing.assert_array_equal(on_host(obtained), expected)


def test_matmul_operator_on_either_side(device):
    a, b = np.arange(6.0).reshape(2, 3), np.arange(3.0)
    x, y = to_device(a, device), to_device(b, device)
    for product in (Tensor(x) @ y, x @ Tensor(y), Tensor(x) @ Tensor(y)):
        assert type(product) is Tensor
        np.testing.assert_array_equal(on_host(product), a @ b)


def test_unary_operators(device):
    x = leaf([-1.0, 2.0], device=device)
    np.testing.assert_array_equal(on_host(-x), [1.0, -2.0])
    np.testing.assert_array_equal(on_host(abs(x)), [1.0, 2.0])
    assert +x is x


@pytest.mark.parametrize("other", [np.array([3.1, -0.7]), np.array(1.3), -1.3, 2], ids=["array", "()", "float", "int"])
def test_division_with_remainder_has_pythons_signs(other, device):
    values = np.array([1.5, -2.25])
    x = leaf(values, device=device)
    there = to_device(other, device) if isinstance(other, np.ndarray) else other
    for remainder, whole, expected in (
        (x % there, x // there, (values % other, values // other)),
        (there % x, there // x, (other % values, other // values)),
    ):
        np.testing.assert_allclose(on_host(remainder), expected[0], rtol=1e-15)
        np.testing.assert_array_equal(on_host(whole), expected[1])
        assert remainder.requires_grad
        assert not whole.requires_grad  # it is piecewise constant
    gradcheck(lambda x: (x.to(device) % there + there % x.to(device)).to("cpu"), [values], order=1, name="%")


def test_methods_are_the_operations(device):
    values = np.arange(6.0).reshape(2, 3)
    x = leaf(values, device=device)
    for obtained, expected in (
        (x.T, values.T),
        (x.reshape(-1), values.reshape(-1)),
        (x.reshape(3, 2), values.reshape(3, 2)),
        (x.ravel(), values.ravel()),
        (x.flatten(), values.flatten()),
        (x.T.ravel(), values.T.ravel()),
        (x[None].squeeze(), values),
        (x[None, :, None].squeeze(0), values[:, None]),
        (x.transpose(), values.T),
        (x.transpose(1, 0), values.T),
        (x.sum(), values.sum()),
        (x.sum(axis=0, keepdims=True), values.sum(0, keepdims=True)),
        (x.mean(axis=-1), values.mean(-1)),
        (x.max(axis=(0, 1)), values.max()),
        (x.min(axis=1), values.min(1)),
        (x.astype("float32"), values.astype("float32")),
        (x.to("cpu"), values),
        (x[0, ::2], values[0, ::2]),
    ):
        assert obtained.dtype == expected.dtype
        assert obtained.requires_grad
        np.testing.assert_array_equal(on_host(obtained), expected)


def test_properties():
    x = leaf(np.zeros((2, 3)), "float32", name="weight")
    assert (x.shape, x.ndim, x.size, x.dtype, x.device, x.name) == ((2, 3), 2, 6, np.float32, "cpu", "weight")
    assert (len(x), x.version, x.grad) == (2, 0, None)


def test_python_numbers_do_not_widen(device):
    x = leaf([1.0, 2.0], "float32", device=device)
    for y in (
        x + 1,
        x * 2.0,
        2.0 / x,
        x**2,
        x**0.5,
        2.0**x,
        1 - x,
        mg.maximum(x, 0.0),
        mg.clip(x, low=0.0, high=1.0),
        mg.where(x > 1.0, x, 0.0),
    ):
        assert y.dtype == np.float32


def test_tensors_are_told_apart_by_identity():
    x, y = Tensor(np.ones(2)), Tensor(np.ones(2))
    assert len({x, y, x}) == 2
    assert {x: "x", y: "y"}[y] == "y"


def test_iteration_and_length(device):
    rows = list(leaf([[1.0, 2.0], [3.0, 4.0]], device=device))
    assert [type(row) for row in rows] == [Tensor, Tensor]
    np.testing.assert_array_equal(on_host(rows[1]), [3.0, 4.0])
    for function in (len, iter):
        with pytest.raises(TypeError, match="a 0-d tensor has no length"):
            function(Tensor(np.array(1.0)))


def test_truth(device):
    assert Tensor(to_device(np.array([True]), device))
    assert not Tensor(to_device(np.array(0.0), device))
    with pytest.raises(ValueError, match=r"shape \(2,\) has no single truth value"):
        bool(Tensor(np.ones(2)))


def test_item(device):
    assert leaf([[2.5]], device=device).item() == 2.5
    assert type(leaf(2.5, device=device).item()) is float
    assert type(Tensor(to_device(np.array(3), device)).item()) is int
    with pytest.raises(ValueError, match=r"2 elements, shape \(2,\)"):
        Tensor(np.ones(2)).item()


def test_numpy_shares_memory_and_refuses_to_lose_a_graph():
    x = Tensor(np.ones(2))
    assert x.numpy() is x.data
    assert np.shares_memory(np.asarray(x), x.data)
    assert np.asarray(x, dtype="float32").dtype == np.float32
    for convert in (lambda t: t.numpy(), np.asarray, np.array):
        with pytest.raises(RuntimeError, match=r"requires grad; call \.detach\(\) first"):
            convert(leaf([1.0]))
    assert leaf([1.0]).detach().numpy() == 1.0


def test_numpy_functions_refuse_tensors_instead_of_looping_over_elements():
    with pytest.raises(TypeError, match="__array_ufunc__"):
        np.exp(leaf([1.0, 2.0]))


def test_detach_is_the_same_array_without_a_past(device):
    x = leaf([1.0, 2.0], device=device)
    constant = (x * 2.0).detach()
    assert not constant.requires_grad
    assert x.detach().data is x.data
    mg.sum(x * x.detach()).backward()
    np.testing.assert_array_equal(on_host(x.grad), [1.0, 2.0])


def test_elements_cannot_be_assigned():
    x = leaf([1.0, 2.0])
    with pytest.raises(TypeError, match=r"mg\.where.*mg\.scatter_add.*assign"):
        x[0] = 3.0


def test_assign_is_for_leaves_of_the_same_shape():
    x = leaf([1.0, 2.0])
    with pytest.raises(RuntimeError, match="only a leaf can be overwritten"):
        (x * 2.0).assign(np.zeros(2))
    with pytest.raises(ValueError, match=r"the tensor has shape \(2,\), the values \(3,\)"):
        x.assign(np.zeros(3))


@pytest.mark.parametrize(
    ("tensor", "text"),
    [
        (Tensor(np.array([1.0, 2.5])), "tensor([1. , 2.5], shape=(2,), dtype=float64, device=cpu, constant)"),
        (Tensor(np.array(True)), "tensor(True, shape=(), dtype=bool, device=cpu, constant)"),
        (leaf(3, "float32"), "tensor(3., shape=(), dtype=float32, device=cpu, leaf that requires grad)"),
        (leaf([1.0]) * 2.0, "tensor([2.], shape=(1,), dtype=float64, device=cpu, from multiply)"),
        (Tensor(np.zeros((0, 3))), "tensor([], shape=(0, 3), dtype=float64, device=cpu, constant)"),
        (
            Tensor(np.arange(4).reshape(2, 2)),
            "tensor([[0, 1],\n        [2, 3]], shape=(2, 2), dtype=int64, device=cpu, constant)",
        ),
    ],
)
def test_repr(tensor, text):
    assert repr(tensor) == text


def test_repr_names_the_device(device):
    text = f"tensor([[1. ],\n        [2.5]], shape=(2, 1), dtype=float64, device={device}, from transpose)"
    assert repr(leaf([[1.0, 2.5]], device=device).T) == text


def test_repr_of_a_large_tensor_is_short():
    assert len(repr(Tensor(np.zeros((100, 100))))) < 800
