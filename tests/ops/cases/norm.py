"""Cases of normalization."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import minigen as mg
from minigen.ops.norm import mean_and_deviation, normalize_backward, normalize_by, normalize_groups, scale_of
from ops.cases.case import case, normal


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
    """A primitive that is given the mean and the scale of its argument x, as a function without them."""
    place = primitive.arguments.index("x")

    def complete(*arrays: Any, axes: tuple[int, ...], epsilon: float) -> Any:
        mean, deviation = mean_and_deviation(arrays[place], axes=axes)
        return primitive(*arrays, mean, scale_of(deviation, epsilon), axes=axes, epsilon=epsilon)

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
