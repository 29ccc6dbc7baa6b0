"""One list of cases for all operations; every check of an operation runs over it.

A case is a call. Its float64 arrays are what gradients are taken of, away from kinks, where a gradient is a convention
(`test_conventions.py`); integer and boolean arrays are indices and masks. A registered primitive without a case fails the suite.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.special

import minigen as mg
from minigen.backend import device_of, to_device
from minigen.engine import Primitive, sum_to
from minigen.kernels.convolution.geometry import Geometry
from minigen.ops.attention import attend, attend_packed
from minigen.ops.bits import bits_log_prob_backward
from minigen.ops.conv import convolve, convolve_transposed, convolve_weight
from minigen.ops.elementwise import (
    elu_backward,
    erf_backward,
    gelu_backward,
    leaky_relu_backward,
    relu_backward,
    sigmoid_backward,
    silu_backward,
    softplus_backward,
    tanh_backward,
)
from minigen.ops.gated import gated_tanh_backward
from minigen.ops.image_lstm import image_lstm
from minigen.ops.index import ARRAY, index, put, take
from minigen.ops.linalg import einstein_sum, matrix_product
from minigen.ops.nade import nade_logits
from minigen.ops.norm import moments, normalize_backward, normalize_by, normalize_groups
from minigen.ops.pool import Windows, window_max, window_pick, window_put, window_spread, window_sum
from minigen.ops.recurrent import gru_sequence, lstm_sequence, rnn_sequence
from minigen.ops.reduce import log_softmax_backward, softmax_backward
from minigen.ops.shape import join


@dataclass(frozen=True)
class Case:
    """A call of an operation on arrays.

    Attributes:
        function: takes the arguments and the keywords.
        arguments: arrays; the float64 ones are differentiated.
        keywords: passed by name.
        expected: a function of NumPy or SciPy with the same arguments that gives the same values.
        differentiable: False where the output is constant in pieces, and so has no gradient.
        label: tells the cases of one function apart.
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    expected: Callable[..., Any]
    differentiable: bool
    label: str

    @property
    def name(self) -> str:
        return self.function.__name__

    def __str__(self) -> str:
        return f"{self.name}-{self.label}" if self.label else self.name

    @property
    def floats(self) -> list[np.ndarray]:
        """The arguments that are differentiated."""
        return [a for a in self.arguments if is_float(a)]

    def outputs(self, floats: Sequence[Any]) -> tuple[Any, ...]:
        """Call the function with other values in place of the floats."""
        values = iter(floats)
        results = self.function(*(next(values) if is_float(a) else a for a in self.arguments), **self.keywords)
        return tuple(results) if isinstance(results, list | tuple) else (results,)

    def on(self, device: str) -> "Case":
        """The same call with its arrays on another device."""
        keywords = {n: value if n == "mask" else moved(value, device) for n, value in self.keywords.items()}
        if self.function is mg.ops.to_device:
            keywords["source"] = device
        return replace(self, arguments=moved(self.arguments, device), keywords=keywords)


def is_float(argument: Any) -> bool:
    return device_of(argument) is not None and argument.dtype.kind == "f"


def moved(value: Any, device: str) -> Any:
    if isinstance(value, tuple):
        return tuple(moved(part, device) for part in value)
    return to_device(value, device) if isinstance(value, np.ndarray | np.generic) else value


def package_primitives() -> dict[str, Primitive]:
    """The registered primitives that minigen itself defines, not those of a test or an example."""
    return {name: p for name, p in Primitive.registry.items() if p.forward.__module__.startswith("minigen.")}


# ------------------------------------------------------------------------------------------------------ arguments

rng = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return rng.standard_normal(shape)


def away(*shape: int) -> np.ndarray:
    """Numbers of both signs, at least 0.2 away from 0."""
    return rng.choice([-1.0, 1.0], shape) * rng.uniform(0.2, 2.0, shape)


def positive(*shape: int) -> np.ndarray:
    return rng.uniform(0.3, 2.5, shape)


def distinct(*shape: int) -> np.ndarray:
    """Numbers at least 0.1 apart from each other."""
    count = math.prod(shape)
    return (rng.permutation(count) * 0.15 - 0.07 * count + rng.uniform(0.0, 0.05, count)).reshape(shape)


def whole(*shape: int) -> np.ndarray:
    """Few different numbers, so that some are equal."""
    return rng.integers(-1, 2, shape).astype(float)


def on_arrays(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of one sequence of arrays, as a function of the arrays."""

    def spread(*arrays: Any, **keywords: Any) -> Any:
        return function(arrays, **keywords)

    spread.__name__ = function.__name__
    return spread


def expm(x: np.ndarray) -> np.ndarray:
    """exp(-|x|), for the formulas below."""
    return np.exp(-np.abs(x))


# ------------------------------------------------------------------------------------------------------ the list

CASES: list[Case] = []


def case(
    function: Callable[..., Any], *arguments: Any, expected: Any, label: str = "", flows: bool = True, **keywords: Any
) -> None:
    CASES.append(Case(function, arguments, keywords, expected, flows, label))


def product_of_transposed(
    a: np.ndarray, b: np.ndarray, transpose_a: bool = False, transpose_b: bool = False
) -> np.ndarray:
    return np.matmul(a.swapaxes(-1, -2) if transpose_a else a, b.swapaxes(-1, -2) if transpose_b else b)


def unary(
    function: Callable[..., Any], draw: Callable[..., np.ndarray], expected: Any, flows: bool = True, **keywords: Any
) -> None:
    """An elementwise function of one array: on a matrix, on a single number, and on nothing."""
    note = "".join(f"{key}={value}," for key, value in keywords.items())
    for shape in ((3, 4), (), (2, 0)):
        label = f"{note}{shape}".replace(" ", "")
        case(function, draw(*shape), expected=expected, label=label, flows=flows, **keywords)


def binary(function: Callable[..., Any], draw: Callable[..., np.ndarray], expected: Any, flows: bool = True) -> None:
    """An elementwise function of two arrays: equal shapes, broadcast ones, single numbers, nothing, and Python numbers."""
    for first, second in (((2, 3), (2, 3)), ((2, 1, 3), (4, 1)), ((), ()), ((3,), ()), ((0, 3), (3,))):
        label = f"{first},{second}".replace(" ", "")
        cut = math.prod(first)
        both = draw(cut + math.prod(second))  # in one draw, so that distinct numbers are distinct across the two
        case(
            function, both[:cut].reshape(first), both[cut:].reshape(second), expected=expected, label=label, flows=flows
        )
    case(function, draw(2, 3), 0.7, expected=expected, label="array,number", flows=flows)
    case(function, 0.7, draw(2, 3), expected=expected, label="number,array", flows=flows)


# -- arithmetic

binary(mg.add, normal, np.add)
binary(mg.subtract, normal, np.subtract)
binary(mg.multiply, normal, np.multiply)
binary(mg.divide, away, np.divide)
binary(mg.power, positive, np.power)
case(mg.power, away(2, 3), 3, expected=np.power, label="cube of negative numbers")
case(mg.power, away(2, 3), np.array([[2], [-1]]), expected=np.power, label="integer exponents in an array")
unary(mg.negative, normal, np.negative)
unary(mg.abs, away, np.abs)
unary(mg.sign, away, np.sign, flows=False)

# -- exponentials, logarithms, trigonometry

unary(mg.exp, normal, np.exp)
unary(mg.expm1, normal, np.expm1)
unary(mg.log, positive, np.log)
unary(mg.log1p, positive, np.log1p)
unary(mg.sqrt, positive, np.sqrt)
unary(mg.sin, normal, np.sin)
unary(mg.cos, normal, np.cos)
unary(mg.erf, normal, scipy.special.erf)

# -- activations, and their backward primitives, which are functions of (g, y) or of (g, x)


def gelu(x: np.ndarray, form: str = "exact") -> np.ndarray:
    if form == "exact":
        return x * scipy.special.ndtr(x)
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def gelu_slope(x: np.ndarray, form: str) -> np.ndarray:
    if form == "exact":
        return scipy.special.ndtr(x) + x * np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
    u, du = np.sqrt(2 / np.pi) * (x + 0.044715 * x**3), np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * x**2)
    return 0.5 * (1 + np.tanh(u)) + 0.5 * x * du / np.cosh(u) ** 2


def backward(function: Callable[..., Any], draw: Callable[..., np.ndarray], expected: Any, **keywords: Any) -> None:
    for shape in ((2, 3), (), (0, 3)):
        label = "".join(f"{key}={value}," for key, value in keywords.items()) + str(shape).replace(" ", "")
        case(function, normal(*shape), draw(*shape), expected=expected, label=label, **keywords)


def logistic(*shape: int) -> np.ndarray:
    """Outputs of a sigmoid, in (0, 1)."""
    return rng.uniform(0.05, 0.95, shape)


unary(mg.tanh, normal, np.tanh)
unary(mg.sigmoid, normal, scipy.special.expit)
unary(mg.softplus, normal, lambda x: np.maximum(x, 0) + np.log1p(expm(x)))
unary(mg.silu, normal, lambda x: x * scipy.special.expit(x))
unary(mg.gelu, normal, gelu)
unary(mg.gelu, normal, gelu, form="tanh")
unary(mg.relu, away, lambda x: np.where(x > 0, x, 0))
unary(mg.leaky_relu, away, lambda x, slope=0.01: np.where(x > 0, x, slope * x))
unary(mg.leaky_relu, away, lambda x, slope: np.where(x > 0, x, slope * x), slope=0.2)
unary(mg.elu, away, lambda x, alpha=1.0: np.where(x > 0, x, alpha * np.expm1(x)))
unary(mg.elu, away, lambda x, alpha: np.where(x > 0, x, alpha * np.expm1(x)), alpha=0.5)

backward(tanh_backward, logistic, lambda g, y: g * (1 - y**2))
backward(sigmoid_backward, logistic, lambda g, y: g * y * (1 - y))
backward(softplus_backward, normal, lambda g, x: g * scipy.special.expit(x))
backward(silu_backward, normal, lambda g, x: g * scipy.special.expit(x) * (1 + x * scipy.special.expit(-x)))
backward(gelu_backward, normal, lambda g, x, form: g * gelu_slope(x, form), form="exact")
backward(gelu_backward, normal, lambda g, x, form: g * gelu_slope(x, form), form="tanh")
backward(erf_backward, normal, lambda g, x: g * 2 / np.sqrt(np.pi) * np.exp(-(x**2)))
backward(relu_backward, away, lambda g, y: np.where(y > 0, g, 0))
backward(leaky_relu_backward, away, lambda g, x, slope: np.where(x > 0, g, slope * g), slope=0.2)
backward(elu_backward, away, lambda g, x, alpha: np.where(x > 0, g, g * alpha * np.exp(x)), alpha=0.5)

# -- choices and comparisons

grid = np.array([[-0.9, -0.4, 0.1], [0.4, 0.8, 1.7]])
case(mg.clip, grid, low=-0.5, high=1.0, expected=lambda x, low, high: np.clip(x, low, high))
case(mg.clip, grid, low=0.0, label="low only", expected=lambda x, low: np.maximum(x, low))
case(mg.clip, grid, high=0.0, label="high only", expected=lambda x, high: np.minimum(x, high))
binary(mg.maximum, distinct, np.maximum)
binary(mg.minimum, distinct, np.minimum)
mask = np.array([[True, False, True], [False, False, True]])
case(mg.where, mask, normal(2, 3), normal(2, 3), expected=np.where)
case(mg.where, mask, normal(3), normal(4, 1, 1), label="broadcast", expected=np.where)
case(mg.where, mask, normal(2, 3), 0.0, label="number", expected=np.where)
case(mg.where, np.array(True), normal(), normal(), label="()", expected=np.where)
for comparison in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"):
    binary(getattr(mg, comparison), whole, getattr(np, comparison), flows=False)

# -- reductions


def norm(x: np.ndarray, **keywords: Any) -> np.ndarray:
    return np.sqrt(np.sum(x * x, **keywords))


for reduction in ("sum", "mean", "prod", "var", "max", "min", "norm", "logsumexp"):
    ours = getattr(mg, reduction)
    theirs = {"norm": norm, "logsumexp": scipy.special.logsumexp}.get(reduction) or getattr(np, reduction)
    case(ours, distinct(2, 3), expected=theirs, label="all")
    case(ours, distinct(2, 3, 2), axis=1, expected=theirs, label="axis=1")
    case(ours, distinct(2, 3, 2), axis=(0, -1), keepdims=True, expected=theirs, label="axis=(0,-1),keepdims")
    case(ours, distinct(2, 0, 3), axis=-1, expected=theirs, label="empty")
    case(ours, positive(), expected=theirs, label="()")
case(mg.sum, distinct(2, 0, 3), axis=1, keepdims=True, expected=np.sum, label="over nothing,keepdims")
case(mg.prod, distinct(2, 0, 3), axis=1, keepdims=True, expected=np.prod, label="over nothing,keepdims")
case(mg.prod, distinct(5, 2), axis=0, expected=np.prod, label="odd count")
case(
    mg.var, normal(3, 4), axis=0, correction=1, expected=lambda x, **_: np.var(x, axis=0, ddof=1), label="correction=1"
)
case(mg.argmax, distinct(3, 4), expected=np.argmax, flows=False, label="all")
case(mg.argmax, distinct(3, 4), axis=1, expected=np.argmax, flows=False, label="axis=1")
case(mg.cumsum, normal(3, 4), axis=0, expected=np.cumsum, label="axis=0")
case(mg.cumsum, normal(3, 4), axis=-1, expected=np.cumsum, label="axis=-1")
case(mg.cumsum, normal(0, 4), axis=0, expected=np.cumsum, label="empty")
for normalised in ("softmax", "log_softmax"):
    theirs = getattr(scipy.special, normalised)
    case(getattr(mg, normalised), normal(3, 4), expected=lambda x, f=theirs: f(x, axis=-1), label="last axis")
    case(getattr(mg, normalised), normal(3, 4, 2), axis=1, expected=theirs, label="axis=1")
    case(getattr(mg, normalised), normal(0, 4), axis=1, expected=theirs, label="empty")


def softmax_derivative(g: np.ndarray, y: np.ndarray, *, axis: int) -> np.ndarray:
    """The product with the matrix of derivatives, diag(y) - y y^T, slice by slice."""
    g, y = np.moveaxis(g, axis, -1), np.moveaxis(y, axis, -1)
    matrices = y[..., None] * np.eye(y.shape[-1]) - y[..., :, None] * y[..., None, :]
    return np.moveaxis((matrices @ g[..., None])[..., 0], -1, axis)


def log_softmax_derivative(g: np.ndarray, y: np.ndarray, *, axis: int) -> np.ndarray:
    """The product with the matrix of derivatives, I - 1 exp(y)^T, from the left, slice by slice."""
    g, y = np.moveaxis(g, axis, -1), np.moveaxis(y, axis, -1)
    matrices = np.eye(y.shape[-1]) - np.exp(y)[..., None, :]
    return np.moveaxis((g[..., None, :] @ matrices)[..., 0, :], -1, axis)


for slope_of, theirs in ((softmax_backward, softmax_derivative), (log_softmax_backward, log_softmax_derivative)):
    case(slope_of, normal(3, 4), normal(3, 4), axis=1, expected=theirs, label="last axis")
    case(slope_of, normal(3, 4, 2), normal(3, 4, 2), axis=1, expected=theirs, label="axis=1")

# -- bits


def bits_log_prob(x: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """By the probabilities themselves, which small logits allow."""
    q = scipy.special.expit(logits)
    return (x * np.log(q) + (1 - x) * np.log(1 - q)).sum(-1)


def bits_slope(g: np.ndarray, x: np.ndarray, logits: np.ndarray) -> np.ndarray:
    return g[..., None] * (x - scipy.special.expit(logits))


for label, leading in (("repeated", (4,)), ("one each", (3, 4)), ("one for all", ()), ("spread", (3, 1))):
    case(mg.bits_log_prob, normal(*leading, 5), normal(3, 4, 5), expected=bits_log_prob, label=label)
    case(bits_log_prob_backward, normal(3, 4), normal(*leading, 5), normal(3, 4, 5), expected=bits_slope, label=label)
case(mg.bits_log_prob, normal(0, 5), normal(3, 0, 5), expected=bits_log_prob, label="empty")

# -- gated activation units


def gated(x: np.ndarray) -> np.ndarray:
    a, b = np.split(x, 2, axis=-1)
    return np.tanh(a) * scipy.special.expit(b)


def gated_slope(g: np.ndarray, x: np.ndarray) -> np.ndarray:
    a, b = np.split(x, 2, axis=-1)
    slope_b = scipy.special.expit(b) * scipy.special.expit(-b)
    return np.concatenate([g * scipy.special.expit(b) / np.cosh(a) ** 2, g * np.tanh(a) * slope_b], axis=-1)


for label, leading in (("one row", ()), ("rows", (2, 3)), ("empty", (0,))):
    case(mg.gated_tanh, normal(*leading, 6), expected=gated, label=label)
    case(gated_tanh_backward, normal(*leading, 3), normal(*leading, 6), expected=gated_slope, label=label)

# -- shapes

case(sum_to, normal(2, 3, 4), shape=(3, 1), expected=lambda x, shape: x.sum((0, 2)).reshape(shape))
case(sum_to, normal(2, 3), shape=(), label="()", expected=lambda x, shape: x.sum())
case(sum_to, normal(2, 3), shape=(2, 3), label="same", expected=lambda x, shape: x)
case(sum_to, normal(0, 3), shape=(3,), label="empty", expected=lambda x, shape: np.zeros(shape))
case(mg.broadcast_to, normal(3, 1), shape=(2, 3, 4), expected=np.broadcast_to)
case(mg.broadcast_to, normal(), shape=(2, 2), expected=np.broadcast_to, label="()")
case(mg.broadcast_to, normal(1, 3), shape=(0, 3), expected=np.broadcast_to, label="empty")
case(mg.astype, normal(2, 3), dtype="float64", expected=lambda x, dtype: x)
case(mg.reshape, normal(2, 6), shape=(3, -1), expected=lambda x, shape: np.reshape(x, shape))
case(mg.reshape, normal(), shape=(1, 1), expected=lambda x, shape: np.reshape(x, shape), label="()")
case(mg.reshape, normal(0, 6), shape=(3, 0), expected=lambda x, shape: np.reshape(x, shape), label="empty")
case(mg.transpose, normal(2, 3, 4), expected=np.transpose, label="reversed")
case(mg.transpose, normal(2, 3, 4), axes=(1, -1, 0), expected=np.transpose)
case(mg.transpose, normal(), expected=np.transpose, label="()")
case(mg.moveaxis, normal(2, 3, 4, 2), source=(0, 2), destination=(-1, 0), expected=np.moveaxis)
case(mg.squeeze, normal(1, 3, 1), expected=np.squeeze, label="all")
case(mg.squeeze, normal(1, 3, 1), axis=-1, expected=np.squeeze)
case(mg.expand_dims, normal(3, 2), axis=(0, -1), expected=np.expand_dims)
case(mg.flip, normal(3, 4), expected=np.flip, label="all")
case(mg.flip, normal(3, 4), axis=-1, expected=np.flip)
case(mg.repeat, normal(2, 3), repeats=3, axis=1, expected=np.repeat)
case(mg.tile, normal(2, 3), repetitions=(2, 1, 3), expected=lambda x, repetitions: np.tile(x, repetitions))
case(join, normal(2, 3), normal(2, 1), normal(2, 2), axis=-1, expected=on_arrays(np.concatenate))
case(on_arrays(mg.concatenate), normal(2, 3), normal(1, 3), expected=on_arrays(np.concatenate))
case(on_arrays(mg.concatenate), normal(2, 3), normal(0, 3), expected=on_arrays(np.concatenate), label="with nothing")
case(on_arrays(mg.stack), normal(2, 3), normal(2, 3), axis=1, expected=on_arrays(np.stack))
case(on_arrays(mg.stack), normal(), normal(), expected=on_arrays(np.stack), label="()")
case(mg.split, normal(4, 3), sections=2, expected=lambda x, **_: np.split(x, 2))
case(mg.split, normal(2, 6), sections=(1, 4), axis=1, expected=lambda x, **_: np.split(x, (1, 4), 1), label="cuts")
case(
    mg.pad,
    normal(2, 3),
    width=((1, 0), (2, 1)),
    value=0.5,
    expected=lambda x, width, value: np.pad(x, width, constant_values=value),
)
case(mg.pad, normal(0, 3), width=((1, 1), (0, 0)), expected=lambda x, width: np.pad(x, width), label="empty")
case(mg.ops.to_device, normal(2, 3), device="cpu", source="cpu", expected=lambda x, device, source: x)

# -- indexing


def keyed(key: Any) -> dict[str, Any]:
    return {"key": key, "expected": lambda x, key: x[key]}


case(index, normal(3, 4), label="integer", **keyed(1))
case(index, normal(4), label="to ()", **keyed(-1))
case(index, normal(4, 5), label="slices", **keyed((slice(None, None, 2), None, slice(-1, None, -2))))
case(index, normal(2, 3, 4), label="ellipsis", **keyed((..., 0)))
case(index, normal(4, 3), label="nothing", **keyed(slice(0, 0)))
case(index, normal(4, 3), label="repeated rows", **keyed(np.array([2, 0, 2])))
around = (np.array([[0], [3]]), slice(None), np.array([1, 1]))
case(index, normal(4, 3, 2), label="arrays around a slice", **keyed(around))
case(index, normal(2, 3), label="mask", **keyed(mask))
case(index, normal(2, 3), label="mask of nothing", **keyed(np.zeros((2, 3), bool)))
case(index, normal(4, 3), label="list", **keyed([3, 3, 1]))
rows, columns = np.array([0, 2, 2]), np.array([1, 1, 1])
case(take, normal(3, 2), rows, columns, pattern=(ARRAY, ARRAY), expected=lambda x, *_, pattern: x[rows, columns])
case(take, normal(3, 2), pattern=(slice(1, None), None), expected=lambda x, pattern: x[1:, None], label="slices")


def put_at(key: Any) -> Callable[..., np.ndarray]:
    """Zeros with the values added at a key, one after the other."""

    def expected(values: np.ndarray, *_: Any, pattern: Any, shape: tuple[int, ...]) -> np.ndarray:
        out = np.zeros(shape)
        places = np.arange(out.size).reshape(shape)[key]
        for place, value in zip(places.ravel(), values.ravel(), strict=True):
            out.reshape(-1)[place] += value
        return out

    return expected


case(put, normal(3), rows, columns, pattern=(ARRAY, ARRAY), shape=(3, 2), expected=put_at((rows, columns)))
case(
    put,
    normal(2, 1, 2),
    pattern=(slice(1, None), None),
    shape=(3, 2),
    expected=put_at((slice(1, None), None)),
    label="slices",
)
case(put, normal(3), mask, pattern=(ARRAY,), shape=(2, 3), expected=put_at(mask), label="mask")
for label, of_rows in {"rows": [[2, 0], [-1, 2]], "one row": 1, "no rows": np.zeros(0, int)}.items():
    numbers = np.array(of_rows)
    case(put, normal(*numbers.shape, 2), numbers, pattern=(ARRAY,), shape=(4, 2), expected=put_at(numbers), label=label)
case(put, normal(3), rows, pattern=(ARRAY,), shape=(4,), expected=put_at(rows), label="elements")
picks = np.array([[1, 1], [0, 2]])
case(mg.gather, normal(2, 3), picks, axis=1, expected=np.take_along_axis)
case(mg.gather, normal(3, 2), np.array([[1, 2]]), axis=-2, expected=np.take_along_axis, label="first axis")


def scatter_added(x: np.ndarray, indices: np.ndarray, values: np.ndarray, axis: int) -> np.ndarray:
    """One-hot rows pick where the values go: (rows, picks, 1) * (rows, picks, columns), for axis 1."""
    return x + (values[:, :, None] * np.eye(x.shape[1])[indices]).sum(1)


case(mg.scatter_add, normal(2, 3), picks, normal(2, 2), axis=1, expected=scatter_added)

# -- products

case(matrix_product, normal(2, 3), normal(3, 4), expected=np.matmul)
case(matrix_product, normal(2, 1, 3, 2), normal(4, 2, 3), expected=np.matmul, label="broadcast")
case(matrix_product, normal(2, 0), normal(0, 3), expected=np.matmul, label="over nothing")
case(matrix_product, normal(3, 2), normal(3, 4), transpose_a=True, expected=product_of_transposed, label="a transposed")
case(matrix_product, normal(2, 3), normal(4, 3), transpose_b=True, expected=product_of_transposed, label="b transposed")
case(
    matrix_product,
    normal(2, 1, 3, 2),
    normal(4, 5, 3),
    transpose_a=True,
    transpose_b=True,
    expected=product_of_transposed,
    label="both transposed, broadcast",
)
case(mg.matmul, normal(3), normal(3), expected=np.matmul, label="vectors")
case(mg.matmul, normal(2, 3), normal(3), expected=np.matmul, label="matrix,vector")
case(mg.matmul, normal(3), normal(2, 3, 4), expected=np.matmul, label="vector,stack")
case(mg.matmul, normal(2, 2, 3), normal(3, 2), expected=np.matmul, label="stack,matrix")
case(mg.matmul, normal(2, 2, 3), normal(1, 3, 2), expected=np.matmul, label="stacks")
case(mg.matmul, normal(2, 2, 0), normal(0, 3), expected=np.matmul, label="stack,over nothing")
case(mg.linear, normal(4, 3), normal(3, 2), normal(2), expected=lambda x, w, b: x @ w + b)
case(mg.linear, normal(2, 4, 3), normal(3, 2), normal(2), expected=lambda x, w, b: x @ w + b, label="stack")
case(mg.linear, normal(3), normal(3, 2), normal(2), expected=lambda x, w, b: x @ w + b, label="vector")
case(mg.linear, normal(4, 3), normal(3, 2), expected=lambda x, w: x @ w, label="no bias")
case(mg.linear, normal(0, 3), normal(3, 2), normal(2), expected=lambda x, w, b: x @ w + b, label="empty")
case(einstein_sum, normal(2, 3), normal(3, 4), inputs=("ij", "jk"), output="ik", expected=lambda a, b, **_: a @ b)
case(einstein_sum, normal(2, 3), inputs=("ij",), output="", expected=lambda a, **_: a.sum(), label="sum of all")


def einsum(*arrays: Any, subscripts: str) -> Any:
    return mg.einsum(subscripts, *arrays)


def summed(subscripts: str, *arrays: np.ndarray) -> None:
    case(
        einsum,
        *arrays,
        subscripts=subscripts,
        label=subscripts,
        expected=lambda *arrays, subscripts: np.einsum(subscripts, *arrays),
    )


summed("ij,jk->ik", normal(2, 3), normal(3, 4))
summed("ij,jk", normal(2, 3), normal(3, 4))
summed("ij->ji", normal(2, 3))
summed("ij->j", normal(2, 3))
summed("ij,kj,jl->kil", normal(2, 3), normal(2, 3), normal(3, 2))
summed("ii", normal(3, 3))
summed("ii->i", normal(3, 3))
summed("iij,j->i", normal(3, 3, 2), normal(2))
summed("...ij,jk->...ik", normal(2, 2, 3), normal(3, 2))
summed("...i,...i", normal(2, 1, 3), normal(4, 3))
summed("i,j->ij", normal(2), normal(0))
summed("ij,ij->", normal(2, 3), normal(2, 3))

# -- windows in images: pooling, upsampling, pixel shuffling


def seen_by_windows(x: np.ndarray, size: Any, stride: Any, padding: Any, fill: float) -> np.ndarray:
    """What every window sees, (N, H', W', C, K_H, K_W), with a number outside the image; settings are pairs or numbers."""
    (height, width), (down, right), (above, left) = (
        (n, n) if isinstance(n, int) else n for n in (size, stride, padding)
    )
    padded = np.pad(x, ((0, 0), (above, above), (left, left), (0, 0)), constant_values=fill)
    return np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(1, 2))[:, ::down, ::right]


def max_pooled(x: np.ndarray, kernel_size: Any, stride: Any = None, padding: Any = 0) -> np.ndarray:
    return seen_by_windows(x, kernel_size, stride or kernel_size, padding, -np.inf).max((-2, -1))


def avg_pooled(
    x: np.ndarray, kernel_size: Any, stride: Any = None, padding: Any = 0, count_include_pad: bool = True
) -> np.ndarray:
    outside = 0.0 if count_include_pad else np.nan
    return np.nanmean(seen_by_windows(x, kernel_size, stride or kernel_size, padding, outside), (-2, -1))


side_by_side = {"kernel_size": 2}
overlapping = {"kernel_size": 3, "stride": 2, "padding": 1}
oblong = {"kernel_size": (1, 3), "stride": (2, 1), "padding": (0, 1)}
apart = {"kernel_size": 1, "stride": 2}
for settings in (side_by_side, overlapping, oblong, apart):
    label = ",".join(f"{name}={value}" for name, value in settings.items()).replace(" ", "")
    case(mg.max_pool2d, distinct(2, 5, 4, 2), label=label, expected=max_pooled, **settings)
    case(mg.avg_pool2d, normal(2, 5, 4, 2), label=label, expected=avg_pooled, **settings)
case(mg.max_pool2d, distinct(0, 4, 4, 1), label="no images", expected=max_pooled, **side_by_side)
case(
    mg.avg_pool2d,
    normal(2, 4, 5, 2),
    label="count_include_pad=False",
    count_include_pad=False,
    expected=avg_pooled,
    **overlapping,
)


def added_by_windows(y: np.ndarray, windows: Windows, weights: Any, length: int) -> np.ndarray:
    """One value after the other, `weights` a sequence or an array (K, *y.shape)."""
    y = np.moveaxis(y, windows.axis, 0)
    out = np.zeros((length, *y.shape[1:]))
    for o, k in np.ndindex(len(y), windows.size):
        i = windows.stride * o + k - windows.padding
        if 0 <= i < length:
            out[i] += y[o] * (weights[k] if isinstance(weights, tuple) else np.moveaxis(weights[k], windows.axis, 0)[o])
    return np.moveaxis(out, 0, windows.axis)


def along(windows: Windows, x: np.ndarray, fill: float = 0.0) -> np.ndarray:
    """What every window along one axis sees, (N, H', W', C, K)."""
    pairs = [(n, other) if windows.axis == 1 else (other, n) for n, other in zip(
        (windows.size, windows.stride, windows.padding), (1, 1, 0), strict=True)]  # fmt: skip
    return seen_by_windows(x, *pairs, fill).reshape(*windows.output_shape(x.shape), windows.size)


for windows in (Windows(1, 2, 2, 0), Windows(2, 3, 2, 1), Windows(2, 1, 2, 0), Windows(1, 4, 3, 2)):
    weights = (1.0, 0.5, -2.0, 0.25)[: windows.size]
    x = distinct(2, 5, 6, 2)
    length, y = x.shape[windows.axis], normal(*windows.output_shape(x.shape))
    choice = np.argmax(along(windows, x, -np.inf), -1)
    label = f"{windows.axis},{windows.size},{windows.stride},{windows.padding}"
    case(
        window_sum,
        x,
        windows=windows,
        weights=weights,
        label=label,
        expected=lambda x, windows, weights: along(windows, x) @ np.array(weights),
    )
    case(window_spread, y, windows=windows, weights=weights, length=length, label=label, expected=added_by_windows)
    case(window_max, x, windows=windows, label=label, expected=lambda x, windows: along(windows, x, -np.inf).max(-1))
    case(
        window_put,
        y,
        choice,
        windows=windows,
        length=length,
        label=label,
        expected=lambda y, choice, windows, length: added_by_windows(
            y, windows, np.stack([choice == k for k in range(windows.size)]), length
        ),
    )
    case(
        window_pick,
        normal(*x.shape),
        choice,
        windows=windows,
        label=label,
        expected=lambda x, choice, windows: np.take_along_axis(along(windows, x), choice[..., None], -1)[..., 0],
    )


def upsampled(x: np.ndarray, factor: int, mode: str = "nearest") -> np.ndarray:
    if mode == "nearest":
        return x.repeat(factor, 1).repeat(factor, 2)
    for axis in (1, 2):  # the middle of output o, in units of pixels whose middles are whole numbers
        at = np.clip((np.arange(factor * x.shape[axis]) + 0.5) / factor - 0.5, 0, x.shape[axis] - 1)
        left = np.floor(at).astype(int)
        right = np.minimum(left + 1, x.shape[axis] - 1)
        share = (at - left).reshape(-1, *(1 for _ in x.shape[axis + 1 :]))
        x = (1 - share) * x.take(left, axis) + share * x.take(right, axis)
    return x


for factor in (1, 2, 3):
    for mode in ("nearest", "bilinear"):
        label = f"factor={factor},{mode}"
        case(mg.upsample2d, normal(2, 2, 3, 2), factor=factor, mode=mode, label=label, expected=upsampled)
case(mg.upsample2d, normal(1, 1, 1, 1), factor=4, mode="bilinear", label="one pixel", expected=upsampled)


def shuffled(x: np.ndarray, factor: int) -> np.ndarray:
    """Shi et al. 2016, equation 4, with PyTorch's order of the channels, pixel by pixel."""
    n, height, width, channels = x.shape
    out = np.zeros((n, factor * height, factor * width, channels // factor**2))
    for row, column, c in np.ndindex(*out.shape[1:]):
        place = c * factor**2 + factor * (row % factor) + column % factor
        out[:, row, column, c] = x[:, row // factor, column // factor, place]
    return out


def unshuffled(x: np.ndarray, factor: int) -> np.ndarray:
    places = shuffled(
        np.arange(x[0].size, dtype=float).reshape(1, x.shape[1] // factor, x.shape[2] // factor, -1), factor
    )
    order = np.argsort(places.ravel())
    return x.reshape(len(x), -1)[:, order].reshape(len(x), x.shape[1] // factor, x.shape[2] // factor, -1)


case(mg.pixel_shuffle, normal(2, 2, 3, 8), factor=2, expected=shuffled)
case(mg.pixel_shuffle, normal(1, 2, 1, 9), factor=3, expected=shuffled, label="one channel")
case(mg.pixel_unshuffle, normal(2, 4, 6, 2), factor=2, expected=unshuffled)

# -- normalization


def normalized(x: np.ndarray, weight: Any = None, bias: Any = None, *, axes: Any, epsilon: float = 1e-5) -> np.ndarray:
    normal = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + epsilon)
    return normal * (1.0 if weight is None else weight) + (0.0 if bias is None else bias)


def normalized_backward(g: np.ndarray, x: np.ndarray, *, axes: tuple[int, ...], epsilon: float) -> np.ndarray:
    """The product with the matrix of derivatives, group by group."""
    g, normal = (np.moveaxis(a, axes, range(len(axes))) for a in (g, normalized(x, axes=axes, epsilon=epsilon)))
    scale = 1 / np.sqrt(x.var(axes) + epsilon)
    n = math.prod(g.shape[: len(axes)])
    out = np.zeros((n, *scale.shape))
    for group in np.ndindex(scale.shape):
        u = normal.reshape(out.shape)[:, *group]
        out[:, *group] = scale[group] * (np.eye(n) - 1 / n - np.outer(u, u) / n) @ g.reshape(out.shape)[:, *group]
    return np.moveaxis(out.reshape(g.shape), range(len(axes)), axes)


def with_moments(primitive: Callable[..., Any]) -> Callable[..., Any]:
    """A primitive that is given the moments of its argument x, as a function without them."""
    place = primitive.arguments.index("x")

    def complete(*arrays: Any, axes: tuple[int, ...], epsilon: float) -> Any:
        return primitive(*arrays, *moments(arrays[place], axes=axes), axes=axes, epsilon=epsilon)

    complete.__name__ = primitive.name
    return complete


for axes, shape in (((0,), (5, 3)), ((0, 1, 2), (2, 2, 3, 2)), ((1, 2), (2, 2, 3, 2)), ((-1,), (3, 4))):
    label = f"axes={axes}".replace(" ", "")
    keywords = {"axes": axes, "epsilon": 1e-3}
    case(
        mg.normalize, normal(*shape), normal(shape[-1]), normal(shape[-1]), label=label, expected=normalized, **keywords
    )
    case(
        with_moments(normalize_by),
        normal(*shape),
        normal(shape[-1]),
        normal(shape[-1]),
        label=label,
        expected=normalized,
        **keywords,
    )
    case(
        with_moments(normalize_backward),
        normal(*shape),
        normal(*shape),
        label=label,
        expected=normalized_backward,
        **keywords,
    )
case(mg.normalize, normal(4, 3), axes=(0,), label="no weight, no bias", expected=normalized)
for label, axes, shape, table in (
    ("groups", (1, 3), (2, 3, 2, 2), (2, 2)),
    ("groups, factors of each example", (1, 3), (2, 3, 2, 2), (2, 1, 2, 2)),
    ("groups of one pixel", (1, 3), (2, 1, 2, 3), (2, 3)),
    ("batch, factors of each example", (0, 1), (2, 3, 2), (2, 1, 2)),
):
    keywords = {"axes": axes, "epsilon": 1e-3, "expected": normalized, "label": label}
    case(normalize_groups, normal(*shape), normal(*table), normal(*table), **keywords)

# -- convolution


def both(setting: Any) -> tuple[Any, Any]:
    return setting if isinstance(setting, tuple) else (setting, setting)


def sides(padding: Any, size: Any, kernel: Any, stride: Any, dilation: Any) -> list[tuple[int, int]]:
    if padding == "same":
        totals = [
            max(0, (math.ceil(n / s) - 1) * s + d * (k - 1) + 1 - n)
            for n, k, s, d in zip(size, kernel, stride, dilation, strict=True)
        ]
        return [(total // 2, total - total // 2) for total in totals]
    return [both(side) for side in both(padding)]


def meetings(size: Any, out: Any, kernel: Any, stride: Any, padding: Any, dilation: Any) -> list[tuple[int, ...]]:
    """All (row of the image, row of the output, row of the kernel, and the same of columns) that meet."""
    lines = []
    for n, p, k, s, (t, _), d in zip(size, out, kernel, stride, padding, dilation, strict=True):
        lines.append([(s * a + d * i - t, a, i) for a in range(p) for i in range(k) if 0 <= s * a + d * i - t < n])
    return [(h, p, i, w, q, j) for h, p, i in lines[0] for w, q, j in lines[1]]


def trilinear(
    size: Any, out: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, groups: int, c: int, k: int, live: Any
) -> Any:
    """The tensor A of sum A[h, w, c, p, q, k, weight index] x y weight, as a dense array: the definition of all three."""
    form = np.zeros((*size, c * groups, *out, k * groups, *kernel, c, k * groups))
    for h, p, i, w, q, j in meetings(size, out, kernel, stride, padding, dilation):
        for g in range(groups):
            for a, b in np.ndindex(c, k):
                form[h, w, g * c + a, p, q, g * k + b, i, j, a, g * k + b] += live[i, j]
    return form


FORMS = {"convolve": "hwcpqkijal,nhwc,ijal->npqk", "convolve_transposed": "hwcpqkijal,npqk,ijal->nhwc",
         "convolve_weight": "hwcpqkijal,nhwc,npqk->ijal"}  # fmt: skip


def convolution_by_definition(name: str) -> Callable[..., Any]:
    def expected(a: np.ndarray, b: np.ndarray, bias: Any = 0.0, *, geometry: Geometry) -> np.ndarray:
        live = np.zeros(geometry.kernel)
        for tap in geometry.taps:
            live[tap] = 1
        weight_shape = (*geometry.kernel, a.shape[3] // geometry.groups, b.shape[3])
        if name != "convolve_weight":
            weight_shape = b.shape
        padding = [(t, 0) for t in geometry.padding]
        form = trilinear(
            geometry.size, geometry.out_size, geometry.kernel, geometry.stride, padding, geometry.dilation, geometry.groups,
            weight_shape[2], weight_shape[3] // geometry.groups, live,
        )  # fmt: skip
        return np.einsum(FORMS[name], form, a, b) + bias

    return expected


GEOMETRIES = {
    "3x3": Geometry((3, 4), (3, 4), (3, 3), (1, 1), (1, 1), (1, 1), 1, tuple(np.ndindex(3, 3))),
    "masked": Geometry((3, 4), (3, 4), (3, 3), (1, 1), (1, 1), (1, 1), 1, ((0, 0), (0, 2), (1, 0))),
    "strided": Geometry((5, 4), (2, 2), (3, 2), (2, 2), (0, 1), (1, 2), 1, tuple(np.ndindex(3, 2))),
    "phases without taps": Geometry((4, 5), (1, 2), (2, 2), (2, 2), (0, 0), (2, 2), 1, tuple(np.ndindex(2, 2))),
    "groups": Geometry((3, 3), (2, 2), (2, 2), (1, 1), (0, 0), (1, 1), 2, tuple(np.ndindex(2, 2))),
    "no tap": Geometry((2, 2), (2, 2), (1, 1), (1, 1), (0, 0), (1, 1), 1, ()),
}
for label, shape in GEOMETRIES.items():
    x, y, w = normal(2, *shape.size, 4), normal(2, *shape.out_size, 2), normal(*shape.kernel, 4 // shape.groups, 2)
    for function, arrays in (
        (convolve, (x, w, normal(2))),
        (convolve, (x, w)),
        (convolve_transposed, (y, w, normal(4))),
        (convolve_transposed, (y, w)),
        (convolve_weight, (x, y)),
    ):
        note = f"{label}{', bias' if len(arrays) == 3 else ''}"
        case(function, *arrays, label=note, geometry=shape, expected=convolution_by_definition(function.name))


def conv(
    x: np.ndarray, weight: np.ndarray, bias: Any = 0.0, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1,
    mask: Any = None,
) -> np.ndarray:  # fmt: skip
    """The convolution, pixel by pixel."""
    stride, dilation = both(stride), both(dilation)
    kernel = weight.shape[:2]
    around = sides(padding, x.shape[1:3], kernel, stride, dilation)
    if mask is not None:
        weight = weight * (mask if mask.ndim == 4 else mask[:, :, None, None])
    padded = np.pad(x, [(0, 0), *around, (0, 0)])
    c, k = weight.shape[2], weight.shape[3] // groups
    spans = [d * (n - 1) + 1 for d, n in zip(dilation, kernel, strict=True)]
    size = [(n - span) // s + 1 for n, span, s in zip(padded.shape[1:3], spans, stride, strict=True)]
    out = np.zeros((len(x), *size, groups * k))
    for p, q, g in np.ndindex(*size, groups):
        rows, columns = p * stride[0], q * stride[1]
        seen = padded[:, rows : rows + spans[0] : dilation[0], columns : columns + spans[1] : dilation[1]]
        block = slice(g * k, g * k + k)
        out[:, p, q, block] = np.einsum("nijc,ijck->nk", seen[..., g * c : g * c + c], weight[..., block])
    return out + bias


def conv_transposed(
    x: np.ndarray, weight: np.ndarray, bias: Any = 0.0, *, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, dilation: Any = 1,
    groups: int = 1, mask: Any = None,
) -> np.ndarray:  # fmt: skip
    """The transposed convolution: each pixel adds the kernel, times its value, to the image."""
    stride, dilation, more = both(stride), both(dilation), both(output_padding)
    kernel = weight.shape[:2]
    if mask is not None:
        weight = weight * (mask if mask.ndim == 4 else mask[:, :, None, None])
    reach = [s * (n - 1) + d * (k - 1) + 1 for s, n, d, k in zip(stride, x.shape[1:3], dilation, kernel, strict=True)]
    if padding == "same":
        size = [n * s for n, s in zip(x.shape[1:3], stride, strict=True)]
        around = sides("same", size, kernel, stride, dilation)
    else:
        around = sides(padding, None, kernel, stride, dilation)
        size = [r - t - b + m for r, (t, b), m in zip(reach, around, more, strict=True)]
    c, k = weight.shape[2], weight.shape[3] // groups
    spread = np.zeros((len(x), *(max(r, t + n) for r, (t, _), n in zip(reach, around, size, strict=True)), groups * c))
    for p, q, i, j, g in np.ndindex(*x.shape[1:3], *kernel, groups):
        place = p * stride[0] + i * dilation[0], q * stride[1] + j * dilation[1]
        block = slice(g * k, g * k + k)
        spread[:, *place, g * c : g * c + c] += x[:, p, q, block] @ weight[i, j][:, block].T
    (top, _), (left, _) = around
    return spread[:, top : top + size[0], left : left + size[1]] + bias


def lines(images: Callable[..., Any]) -> Callable[..., Any]:
    """A function of images as one of lines."""

    def expected(x: np.ndarray, weight: np.ndarray, bias: Any = 0.0, **settings: Any) -> np.ndarray:
        wide = {n: (1 if n in ("stride", "dilation") else 0, v) for n, v in settings.items() if n in LINES}
        wide |= {n: v for n, v in settings.items() if n not in (*LINES, "mask", "padding")}
        padding = settings.get("padding", 0)
        wide["padding"] = padding if padding == "same" else (0, padding)
        mask = settings.get("mask")
        return images(x[:, None], weight[None], bias, mask=None if mask is None else mask[None], **wide)[:, 0]

    return expected


LINES = ("stride", "dilation", "output_padding")
CHANNEL_MASK = rng.random((3, 3, 2, 4)) < 0.4
CHANNEL_MASK[0, 1] = False
TAP_MASK = np.array([[True, True, True], [True, False, False], [False, False, False]])

case(mg.conv2d, normal(2, 4, 5, 2), normal(3, 2, 2, 3), normal(3), expected=conv, label="plain")
case(
    mg.conv2d,
    normal(1, 5, 4, 2),
    normal(3, 3, 2, 2),
    expected=conv,
    label="strided",
    stride=(2, 1),
    padding=(1, 2),
    dilation=(1, 2),
)
case(
    mg.conv2d, normal(1, 4, 5, 1), normal(2, 3, 1, 2), normal(2), expected=conv, label="sides", padding=((0, 1), (2, 0))
)
case(
    mg.conv2d, normal(1, 5, 4, 2), normal(2, 3, 2, 2), normal(2), expected=conv, label="same", padding="same", stride=2
)
case(mg.conv2d, normal(1, 3, 3, 4), normal(2, 2, 2, 6), normal(6), expected=conv, label="groups", groups=2)
case(
    mg.conv2d, normal(1, 3, 3, 3), normal(2, 2, 1, 6), normal(6), expected=conv, label="depthwise", groups=3, padding=1
)
case(
    mg.conv2d, normal(1, 3, 4, 2), normal(3, 3, 2, 4), expected=conv, label="taps masked", padding="same", mask=TAP_MASK
)
case(
    mg.conv2d,
    normal(1, 3, 3, 2),
    normal(3, 3, 2, 4),
    expected=conv,
    label="channels masked",
    padding=1,
    mask=CHANNEL_MASK,
)
case(mg.conv2d, normal(0, 3, 3, 2), normal(3, 3, 2, 2), expected=conv, label="no image", padding=1)
case(mg.conv2d, normal(1, 1, 1, 2), normal(5, 5, 2, 2), expected=conv, label="one pixel", padding=2)
case(mg.conv_transpose2d, normal(2, 2, 3, 2), normal(3, 2, 3, 2), normal(3), expected=conv_transposed, label="plain")
for more in ((0, 0), (1, 0), (0, 2), (1, 2)):
    case(
        mg.conv_transpose2d, normal(1, 2, 2, 2), normal(3, 3, 1, 2), normal(1), expected=conv_transposed, stride=(2, 3), padding=1,
        output_padding=more, label=f"output_padding={more[0]},{more[1]}",
    )  # fmt: skip
case(
    mg.conv_transpose2d,
    normal(1, 3, 2, 2),
    normal(4, 2, 2, 2),
    expected=conv_transposed,
    label="same",
    padding="same",
    stride=2,
)
case(
    mg.conv_transpose2d,
    normal(1, 2, 2, 2),
    normal(2, 2, 2, 2),
    expected=conv_transposed,
    label="holes",
    stride=2,
    dilation=2,
)
case(
    mg.conv_transpose2d,
    normal(1, 2, 2, 4),
    normal(2, 2, 3, 4),
    normal(6),
    expected=conv_transposed,
    label="groups",
    groups=2,
)
case(
    mg.conv_transpose2d,
    normal(1, 2, 2, 6),
    normal(2, 2, 1, 6),
    normal(3),
    expected=conv_transposed,
    label="depthwise",
    groups=3,
)
case(
    mg.conv_transpose2d,
    normal(1, 3, 3, 4),
    normal(3, 3, 2, 4),
    expected=conv_transposed,
    label="taps masked",
    mask=TAP_MASK,
)
case(
    mg.conv_transpose2d,
    normal(1, 2, 2, 4),
    normal(3, 3, 2, 4),
    expected=conv_transposed,
    label="channels masked",
    mask=CHANNEL_MASK,
)
case(mg.conv1d, normal(2, 5, 2), normal(3, 2, 3), normal(3), expected=lines(conv), label="plain")
case(
    mg.conv1d,
    normal(1, 6, 2),
    normal(2, 1, 4),
    expected=lines(conv),
    label="settings",
    stride=2,
    padding=1,
    dilation=2,
    groups=2,
)
case(
    mg.conv1d, normal(1, 4, 2), normal(3, 2, 2), expected=lines(conv), label="causal", padding=(2, 0), mask=TAP_MASK[1]
)
case(mg.conv_transpose1d, normal(2, 3, 3), normal(3, 2, 3), normal(2), expected=lines(conv_transposed), label="plain")
case(
    mg.conv_transpose1d, normal(1, 3, 4), normal(3, 1, 4), expected=lines(conv_transposed), label="settings", stride=2, padding=(1, 0),
    output_padding=1, dilation=2, groups=2,
)  # fmt: skip
case(
    mg.conv_transpose1d,
    normal(1, 3, 2),
    normal(4, 2, 2),
    expected=lines(conv_transposed),
    label="same",
    padding="same",
    stride=2,
)

# -- gradients by choice: here they are derivatives, and `test_estimators.py` has them where they are not


def straight_through(x: Any) -> Any:
    return mg.straight_through(x, x)


case(mg.gradient_reversal, normal(2, 3), expected=lambda x, scale: x, label="reversed to the right", scale=-1.0)
case(straight_through, normal(2, 3), expected=lambda x: x, label="to itself")

# -- attention


def attended(
    query: np.ndarray, key: np.ndarray, value: np.ndarray, mask: Any = None, *, causal: bool = False, scale: Any = None
) -> np.ndarray:
    """Attention, one query at a time."""
    (n, queries, heads, features), keys = query.shape, key.shape[1]
    out = np.zeros((n, queries, heads, value.shape[3]))
    mask = np.ones((1, 1, keys), bool) if mask is None else mask.reshape(len(mask), -1, keys)
    for i, t, h in np.ndindex(n, queries, heads):
        seen = mask[i % len(mask), t % mask.shape[1]]
        places = [s for s in range(keys) if seen[s] and (not causal or keys - s >= queries - t)]
        if places:
            scores = key[i, places, h] @ query[i, t, h] * (features**-0.5 if scale is None else scale)
            out[i, t, h] = scipy.special.softmax(scores) @ value[i, places, h]
    return out


def attended_packed(packed: np.ndarray, mask: Any = None, **settings: Any) -> np.ndarray:
    return attended(packed[:, :, 0], packed[:, :, 1], packed[:, :, 2], mask, **settings)


PADDING = np.array([[True, True, False, True], [False, True, True, True]])
case(mg.attention, normal(2, 3, 2, 3), normal(2, 4, 2, 3), normal(2, 4, 2, 2), expected=attended, label="heads")
case(
    mg.attention,
    normal(1, 3, 1, 2),
    normal(1, 3, 1, 2),
    normal(1, 3, 1, 2),
    expected=attended,
    causal=True,
    label="causal",
)
case(
    mg.attention, normal(2, 3, 1, 2), normal(2, 4, 1, 2), normal(2, 4, 1, 2), PADDING, expected=attended, causal=True, scale=2.0,
    label="causal, filled up",
)  # fmt: skip
case(
    mg.attention, normal(2, 3, 1, 2), normal(2, 2, 1, 2), normal(2, 2, 1, 1), rng.random((1, 3, 2)) < 0.7, expected=attended, causal=True,
    label="pairs, and a query that sees no key",
)  # fmt: skip
case(
    attend, normal(2, 2, 1, 2), normal(2, 3, 1, 2), normal(2, 3, 1, 1), PADDING[:, None, 1:], expected=attended, causal=False, scale=0.7,
)  # fmt: skip
case(mg.self_attention, normal(2, 3, 3, 2, 2), PADDING[:, 1:], expected=attended_packed, causal=True, label="filled up")
case(attend_packed, normal(1, 3, 3, 1, 2), None, expected=attended_packed, causal=False, scale=0.7)
case(mg.attention, normal(0, 3, 1, 2), normal(0, 2, 1, 2), normal(0, 2, 1, 1), expected=attended, label="no example")

# -- recurrent networks: one sequence at a time, step by step


def walked(step: Callable[..., Any]) -> Callable[..., np.ndarray]:
    """A network's states for the rule (a, weight_h, *extra, *state) -> state, where a is x W_x + b."""

    def states(x: Any, weight_x: Any, weight_h: Any, bias: Any, *others: Any, reverse: bool = False) -> np.ndarray:
        *others, mask = others
        out = []
        for n in range(len(x)):
            extra = [other for other in others if other.ndim == 1]  # biases
            state = [other[n] for other in others if other.ndim == 2]  # the first
            rows = [None] * x.shape[1]
            for t in reversed(range(x.shape[1])) if reverse else range(x.shape[1]):
                if mask is None or mask[n, t]:
                    state = step(x[n, t] @ weight_x + bias, weight_h, *extra, *state)
                rows[t] = state[0]
            out.append(np.stack(rows + state[1:]))
        return np.stack(out)

    return states


def rnn_step(a: np.ndarray, weight: np.ndarray, hidden: np.ndarray) -> list[np.ndarray]:
    return [np.tanh(a + hidden @ weight)]


def gru_step(a: np.ndarray, weight: np.ndarray, bias_n: np.ndarray, hidden: np.ndarray) -> list[np.ndarray]:
    of_x, of_h = np.split(a, 3), np.split(hidden @ weight, 3)
    r, z = (scipy.special.expit(of_x[k] + of_h[k]) for k in range(2))
    n = np.tanh(of_x[2] + r * (of_h[2] + bias_n))
    return [(1 - z) * n + z * hidden]


def lstm_step(a: np.ndarray, weight: np.ndarray, hidden: np.ndarray, cell: np.ndarray) -> list[np.ndarray]:
    i, f, g, o = np.split(a + hidden @ weight, 4)
    cell = scipy.special.expit(f) * cell + scipy.special.expit(i) * np.tanh(g)
    return [scipy.special.expit(o) * np.tanh(cell), cell]


SOME_STEPS = np.array([[True, True, False], [False, True, True]])
for network, step, gates, more in (
    (rnn_sequence, rnn_step, 1, []),
    (gru_sequence, gru_step, 3, [(2,)]),
    (lstm_sequence, lstm_step, 4, []),
):
    weights = [normal(1, 2 * gates), normal(2, 2 * gates), normal(2 * gates), *(normal(*shape) for shape in more)]
    firsts = [normal(2, 2) for _ in range(2 if network is lstm_sequence else 1)]
    for steps, mask, reverse in ((3, None, False), (3, SOME_STEPS, False), (3, SOME_STEPS, True), (1, None, True)):
        case(
            network, normal(2, steps, 1), *weights, *firsts, mask, expected=walked(step), reverse=reverse,
            label=f"{steps} steps{'' if mask is None else ', masked'}{', reverse' if reverse else ''}",
        )  # fmt: skip

# -- the neural autoregressive distribution estimator: each site on its own


def logits_of_nade(
    x: np.ndarray, weight: np.ndarray, hidden_bias: np.ndarray, out_weight: np.ndarray, bias: np.ndarray
) -> np.ndarray:
    sums = [hidden_bias + x[:, :i] @ weight[:i] for i in range(len(bias))]  # (N, H) each
    return np.stack([scipy.special.expit(a) @ v + b for a, v, b in zip(sums, out_weight, bias, strict=True)], axis=1)


for examples, sites, units in ((2, 3, 4), (3, 1, 2)):
    case(
        nade_logits, normal(examples, sites), normal(sites, units), normal(units), normal(sites, units), normal(sites),
        expected=logits_of_nade, label=f"{examples} examples, {sites} sites",
    )  # fmt: skip
case(nade_logits, normal(0, 2), normal(2, 3), normal(3), normal(2, 3), normal(2), expected=logits_of_nade, label="none")

# -- LSTMs over images: one pixel at a time, row by row


def lstm_of_image(inputs: np.ndarray, weight: np.ndarray, direction: str) -> np.ndarray:
    height, width = inputs.shape[1:3]
    beside = 1 if direction == "left" else -1
    taps = [(-1, k - len(weight) // 2) for k in range(len(weight))] if direction == "down" else [(-1, 0), (0, beside)]
    carried = (-1, 0) if direction == "down" else (0, beside)  # where the cell comes from
    out = np.zeros((*inputs.shape[:3], weight.shape[1]))
    for n, x in enumerate(inputs):
        states, zero = {}, [np.zeros(weight.shape[1])] * 2
        for i, j in itertools.product(range(height), range(width)[::-beside]):
            a = x[i, j] + sum(states.get((i + r, j + s), zero)[0] @ w for (r, s), w in zip(taps, weight, strict=True))
            states[i, j] = lstm_step(
                a, np.zeros((1, 1)), np.zeros(1), states.get((i + carried[0], j + carried[1]), zero)[1]
            )
            out[n, i, j] = states[i, j][0]
    return out


for direction, taps, (images, height, width, features) in (
    ("down", 3, (2, 2, 3, 1)), ("right", 2, (1, 2, 2, 2)), ("left", 2, (2, 3, 2, 1)), ("right", 2, (2, 2, 1, 1)),
):  # fmt: skip
    case(
        image_lstm, normal(images, height, width, 4 * features), normal(taps, features, 4 * features), expected=lstm_of_image,
        direction=direction, label=f"{direction}, {height} x {width}, {features} features",
    )  # fmt: skip
case(image_lstm, normal(0, 2, 2, 4), normal(2, 1, 4), expected=lstm_of_image, direction="left", label="none")
