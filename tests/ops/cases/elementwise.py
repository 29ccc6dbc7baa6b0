"""Cases of operations on one element at a time: arithmetic, functions, activations, choices and comparisons."""

import numpy as np
import scipy.special

import minigen as mg
from minigen.ops.elementwise import (
    elu_backward,
    erf_backward,
    gelu_backward,
    leaky_relu_backward,
    log_ndtr_backward,
    log_ndtr_curvature,
    relu_backward,
    sigmoid_backward,
    silu_backward,
    softplus_backward,
    tanh_backward,
)
from ops.cases.case import away, backward, binary, case, distinct, fixed, normal, positive, rng, unary, whole

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


def logistic(*shape: int) -> np.ndarray:
    """Outputs of a sigmoid, in (0, 1)."""
    return rng.uniform(0.05, 0.95, shape)


unary(mg.tanh, normal, np.tanh)
unary(mg.sigmoid, normal, scipy.special.expit)
unary(mg.softplus, normal, lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))))
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
unary(mg.nan_to_num, normal, np.nan_to_num)
binary(mg.maximum, distinct, np.maximum)
binary(mg.minimum, distinct, np.minimum)
mask = np.array([[True, False, True], [False, False, True]])
case(mg.where, mask, normal(2, 3), normal(2, 3), expected=np.where)
case(mg.where, mask, normal(3), normal(4, 1, 1), label="broadcast", expected=np.where)
case(mg.where, mask, normal(2, 3), 0.0, label="number", expected=np.where)
case(mg.where, np.array(True), normal(), normal(), label="()", expected=np.where)
for comparison in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"):
    binary(getattr(mg, comparison), whole, getattr(np, comparison), flows=False)


# -- bounds that are arrays


def clipped(x: np.ndarray, low: np.ndarray | None = None, high: np.ndarray | None = None) -> np.ndarray:
    return np.clip(x, low, high)


low, high = np.array([[-0.5], [0.3]]), np.array([0.0, 1.0, 0.45])
case(mg.clip, grid, low, high, expected=clipped, label="broadcast bounds")
case(mg.clip, grid, high, low, expected=clipped, label="bounds that cross")
case(mg.clip, fixed(2, 3, 4), fixed(3, 1), expected=clipped, label="low only, an array")
case(mg.clip, fixed(2, 3, 4), None, fixed(3, 1), expected=clipped, label="high only, an array")
case(mg.clip, grid, low, 0.6, expected=clipped, label="an array and a number")
case(mg.clip, grid[0], low, np.array(0.6), expected=clipped, label="bounds of a larger shape")
case(mg.clip, fixed(), np.array(0.5), np.array(1.0), expected=clipped, label="()")
case(mg.clip, fixed(0, 3), fixed(3), fixed(3) + 1.0, expected=clipped, label="empty")

# -- the error function's inverse, and the logarithm of the normal distribution function


def log_ndtr_slope(g: np.ndarray, x: np.ndarray) -> np.ndarray:
    return g * np.exp(-(x**2) / 2 - scipy.special.log_ndtr(x)) / np.sqrt(2 * np.pi)


def log_ndtr_curvature_of(g: np.ndarray, x: np.ndarray) -> np.ndarray:
    slope = log_ndtr_slope(1.0, x)
    return -g * slope * (x + slope)


unary(mg.erfinv, lambda *shape: np.tanh(fixed(*shape)), scipy.special.erfinv)
unary(mg.log_ndtr, fixed, scipy.special.log_ndtr)
for shape in ((2, 3), (), (0, 3)):
    case(log_ndtr_backward, fixed(*shape), fixed(*shape), expected=log_ndtr_slope, label=f"{shape}".replace(" ", ""))
    case(
        log_ndtr_curvature,
        fixed(*shape),
        fixed(*shape),
        expected=log_ndtr_curvature_of,
        label=f"{shape}".replace(" ", ""),
    )
