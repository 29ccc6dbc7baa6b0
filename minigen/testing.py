"""Checking gradients against finite differences: for minigen's own tests, and for everyone who adds an operation.

For f: x -> y and a random cotangent u, backward computes g = u^T J. Two independent figures test it, in float64:

* in a random direction v of length 1, g.v against the derivative of t -> u.f(x + t v) at 0;
* where x and y are small, the whole Jacobian J, row by row, against the derivative in the direction of each single entry of x.

Derivatives come from the five-point formula (Abramowitz & Stegun 1964, 25.3.6), whose error is O(h^4):

    f'(0) = (f(-2h) - 8 f(-h) + 8 f(h) - f(2h)) / 12h.

Order two applies the same check to the function (x, u) -> u^T J(x) itself, which is built with `create_graph=True`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigen.engine import Tensor, grad, no_grad

STEP = 1e-3
JACOBIAN_SIZE = 400


def gradcheck(
    function: Callable[..., Any],
    inputs: Sequence[np.ndarray],
    *,
    order: int = 2,
    tolerance: float = 1e-6,
    seed: int = 0,
    name: str = "",
) -> None:
    """Check the gradients of a function, and their gradients, against finite differences.

    The inputs should stay a few thousandths away from kinks (relu at 0, ties in max), where no finite difference is right.

    Args:
        function: maps Tensors to a Tensor or a tuple of Tensors. It must be deterministic.
        inputs: float64 arrays, one for each argument.
        order: 1 checks gradients, 2 also their gradients.
        tolerance: bound on |obtained - expected|, relative to the larger of 1 and the magnitudes involved.
        seed: of the random cotangents and directions.
        name: what a failure calls the function; by default its own name.

    Raises:
        TypeError: an input is not float64.
        AssertionError: a gradient is wrong; the message names the function, the argument, the entry, and both figures.

    Example:
        >>> import minigen as mg
        >>> gradcheck(mg.tanh, [np.array([0.3, -1.2])])
        >>> gradcheck(lambda x: x * x.detach(), [np.array([0.3, -1.2])], name="half a square")
        Traceback (most recent call last):
        AssertionError: half a square: order 1, gradient with respect to argument 0 ...
    """
    for i, array in enumerate(inputs):
        if getattr(array, "dtype", None) != np.float64:
            raise TypeError(
                f"gradcheck: argument {i} must be a float64 array, not {getattr(array, 'dtype', type(array).__name__)}"
            )
    name = name or getattr(function, "__name__", type(function).__name__)
    rng = np.random.default_rng(seed)
    inputs = [np.array(array) for array in inputs]

    def outputs_of(*tensors: Tensor) -> tuple[Tensor, ...]:
        results = function(*tensors)
        return results if isinstance(results, tuple) else (results,)

    _check_first_order(outputs_of, inputs, name=f"{name}: order 1", tolerance=tolerance, rng=rng)
    if order == 1:
        return

    count = len(inputs)
    with no_grad():
        shapes = [y.shape for y in outputs_of(*map(Tensor, inputs))]

    def gradients_of(*tensors: Tensor) -> tuple[Tensor, ...]:
        x, u = tensors[:count], tensors[count:]
        y = outputs_of(*x)
        tracked = [(output, cotangent) for output, cotangent in zip(y, u, strict=True) if output.requires_grad]
        gradients = grad(
            [output for output, _ in tracked],
            list(x),
            [cotangent for _, cotangent in tracked],
            create_graph=True,
            allow_unused=True,
        )
        return tuple(g for g in gradients if g is not None)

    cotangents = [rng.standard_normal(shape) for shape in shapes]
    _check_first_order(gradients_of, [*inputs, *cotangents], name=f"{name}: order 2", tolerance=tolerance, rng=rng)


def _check_first_order(
    function: Callable[..., tuple[Tensor, ...]],
    inputs: Sequence[np.ndarray],
    *,
    name: str,
    tolerance: float,
    rng: np.random.Generator,
) -> None:
    def values(arrays: Sequence[np.ndarray]) -> np.ndarray:
        outputs = function(*[Tensor(array, requires_grad=True) for array in arrays])
        return np.concatenate([y.data.ravel() for y in outputs]) if outputs else np.zeros(0)

    def derivative(direction: Sequence[np.ndarray]) -> np.ndarray:
        """The derivative of all outputs in a direction in the space of all inputs."""
        at = [values([x + t * STEP * v for x, v in zip(inputs, direction, strict=True)]) for t in (-2, -1, 1, 2)]
        return (at[0] - 8 * at[1] + 8 * at[2] - at[3]) / (12 * STEP)

    def gradients(cotangent: np.ndarray) -> list[np.ndarray]:
        """u^T J by backward, for a cotangent of all outputs in one row."""
        leaves = [Tensor(array, requires_grad=True) for array in inputs]
        outputs = function(*leaves)
        ends = np.cumsum([y.size for y in outputs])
        parts = [part.reshape(y.shape) for part, y in zip(np.split(cotangent, ends[:-1]), outputs, strict=True)]
        tracked = [(y, part) for y, part in zip(outputs, parts, strict=True) if y.requires_grad]
        found = grad([y for y, _ in tracked], leaves, [part for _, part in tracked], allow_unused=True)
        return [np.zeros_like(x) if g is None else g.data for x, g in zip(inputs, found, strict=True)]

    size = values(inputs).size
    if size == 0:
        return
    cotangent = rng.standard_normal(size)
    obtained = gradients(cotangent)
    for i, (x, g) in enumerate(zip(inputs, obtained, strict=True)):
        if g.shape != x.shape:
            raise AssertionError(
                f"{name}, gradient with respect to argument {i} has shape {g.shape}, the argument {x.shape}"
            )
        v = rng.standard_normal(x.shape)
        v /= np.linalg.norm(v) or 1.0
        direction = [v if j == i else np.zeros_like(other) for j, other in enumerate(inputs)]
        slopes = derivative(direction)
        _compare(
            np.sum(g * v),
            cotangent @ slopes,
            f"{name}, gradient with respect to argument {i} in a random direction",
            tolerance,
        )

    if size * sum(x.size for x in inputs) > JACOBIAN_SIZE:
        return
    rows = [gradients(row) for row in np.eye(size)]
    for i, x in enumerate(inputs):
        for entry in np.ndindex(x.shape):
            direction = [np.zeros_like(other) for other in inputs]
            direction[i][entry] = 1.0
            column = derivative(direction)
            for k in range(size):
                what = f"{name}, Jacobian of output entry {k} with respect to argument {i} entry {entry}"
                _compare(float(rows[k][i][entry]), float(column[k]), what, tolerance)


def _compare(obtained: float, expected: float, what: str, tolerance: float) -> None:
    bound = tolerance * max(1.0, abs(obtained), abs(expected))
    if not abs(obtained - expected) <= bound:  # NaN fails
        raise AssertionError(
            f"{what}: expected {expected:.10g} (finite difference), obtained {obtained:.10g} (backward)"
        )
