"""Cases of linear systems and of decompositions of square matrices."""

from collections.abc import Callable
from typing import Any

import numpy as np

import minigen as mg
from minigen.ops.decompositions import eigensystem, signed_log_determinant
from ops.cases.case import case

rng = np.random.default_rng(0)  # its own, so that other cases keep their arguments


def regular(*shape: int) -> np.ndarray:
    """Matrices with singular values from 0.6 to 1.8."""
    left, _, right = np.linalg.svd(rng.standard_normal(shape))
    return left * np.linspace(0.6, 1.8, shape[-1]) @ right


def definite(*shape: int) -> np.ndarray:
    """Matrices whose lower triangle is that of a symmetric one with eigenvalues from 0.36 to 3.24; the upper triangle is anything."""
    factor = regular(*shape)
    return np.tril(factor @ factor.swapaxes(-1, -2)) + np.triu(rng.standard_normal(shape), 1)


def of_stacks(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of stacks, which with `first=True` takes the first element of each.

    So a case of one matrix has a stack as its argument. The check of memory layouts repeats the first slice of an argument; of a matrix
    alone that would be its first row, and a matrix whose rows are equal is singular.
    """

    def calling(*arrays: Any, first: bool = False, **keywords: Any) -> Any:
        return function(*((a[0] for a in arrays) if first else arrays), **keywords)

    calling.__name__ = function.__name__
    return calling


def projections(rows: Any) -> Any:
    """Return the projections v v^T on the vectors in the rows, in which their signs cancel."""
    return rows[..., :, None] * rows[..., None, :]


@of_stacks
def solve(a: Any, b: Any) -> Any:
    return mg.solve(a, b)


@of_stacks
def inv(a: Any) -> Any:
    return mg.inv(a)


@of_stacks
def slogdet(a: Any, part: int = 1) -> Any:
    return mg.slogdet(a)[part]


@of_stacks
def cholesky(a: Any) -> Any:
    return mg.cholesky(a)


@of_stacks
def eigh(a: Any, **keywords: Any) -> Any:
    values, vectors = mg.eigh(a, **keywords)
    return values, projections(mg.swapaxes(vectors, -1, -2))


def values_and_projections(a: np.ndarray, **keywords: Any) -> list[np.ndarray]:
    values, vectors = np.linalg.eigh(a, **keywords)
    return [values, projections(vectors.swapaxes(-1, -2))]


def part_of_slogdet(a: np.ndarray, part: int = 1) -> np.ndarray:
    return np.linalg.slogdet(a)[part]


right = rng.standard_normal
expected = of_stacks(np.linalg.solve)
case(solve, regular(2, 3, 3), right((2, 3, 2)), expected=expected, label="stacks")
case(solve, regular(1, 3, 3), right((1, 3, 2)), first=True, expected=expected, label="matrix,columns")
case(solve, regular(1, 3, 3), right((1, 3)), first=True, expected=expected, label="matrix,vector")
case(solve, regular(1, 3, 3), right((1, 2, 4, 3, 2)), first=True, expected=expected, label="matrix,stack")
case(solve, regular(2, 1, 3, 3), right((4, 3, 1)), expected=expected, label="stacks,broadcast")
case(solve, regular(2, 4, 3, 3), right(3), expected=expected, label="stack,vector")
case(solve, regular(2, 3, 3), right((2, 3, 0)), expected=expected, label="stack,no columns")
case(solve, right((2, 0, 0)), right((2, 0, 3)), expected=expected, label="of nothing")
case(solve, right((0, 3, 3)), right((0, 3, 2)), expected=expected, label="empty")
for ours, draw, theirs in (
    (inv, regular, np.linalg.inv),
    (slogdet, regular, part_of_slogdet),
    (cholesky, definite, np.linalg.cholesky),
    (eigh, definite, values_and_projections),
):
    case(ours, draw(2, 3, 3), expected=of_stacks(theirs), label="stack")
    case(ours, draw(1, 3, 3), first=True, expected=of_stacks(theirs), label="matrix")
    case(ours, draw(2, 2, 1, 1), expected=of_stacks(theirs), label="numbers")
    case(ours, right((2, 0, 0)), expected=of_stacks(theirs), label="of nothing")
    case(ours, right((0, 3, 3)), expected=of_stacks(theirs), label="empty")
case(eigh, definite(2, 3, 3), UPLO="U", expected=of_stacks(values_and_projections), label="upper")
case(slogdet, regular(4, 3, 3), part=0, expected=part_of_slogdet, flows=False, label="signs")
case(slogdet, np.zeros((2, 3, 3)), part=0, expected=part_of_slogdet, flows=False, label="signs of 0")
case(signed_log_determinant, regular(2, 3, 3), expected=lambda a: np.stack(np.linalg.slogdet(a), axis=-1))


def eigensystem_(a: Any) -> Any:
    both = eigensystem(a)
    return both[..., 0, :], projections(mg.swapaxes(both[..., 1:, :], -1, -2))


eigensystem_.__name__ = "eigensystem"
case(eigensystem_, definite(2, 3, 3), expected=values_and_projections)
