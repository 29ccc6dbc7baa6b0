"""Products: matrices, affine maps, and Einstein sums."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from minigen import kernels
from minigen.backend import Array, array_module
from minigen.engine import Tensor, TensorLike, primitive
from minigen.ops.composite import composite
from minigen.ops.shape import broadcast_to, expand_dims, reshape, squeeze

if TYPE_CHECKING:
    from jaxtyping import Num

# ------------------------------------------------------------------------------------------------ matrix products
#
# A product with either factor transposed has products of the same kind for gradients:
#
#     out = a b         da = g b^T        db = a^T g
#     out = a b^T       da = g b          db = g^T a
#     out = a^T b       da = b g^T        db = a g
#     out = a^T b^T     da = b^T g^T      db = g^T a^T


@primitive(broadcasts=True)
def matrix_product(
    a: Num[Array, "*#batch _ _"], b: Num[Array, "*#batch _ _"], *, transpose_a: bool = False, transpose_b: bool = False
) -> Num[Array, "*batch _ _"]:
    """Return a @ b for stacks of matrices, (..., n, k) and (..., k, m), either of them transposed first; leading axes broadcast."""
    return kernels.matmul(a.swapaxes(-1, -2) if transpose_a else a, b.swapaxes(-1, -2) if transpose_b else b)


def _matrix_product_vjp_a(g: Array, b: Array, transpose_a: bool, transpose_b: bool) -> Array:
    if transpose_a:
        return matrix_product(b, g, transpose_a=transpose_b, transpose_b=True)
    return matrix_product(g, b, transpose_b=not transpose_b)


def _matrix_product_vjp_b(g: Array, a: Array, transpose_a: bool, transpose_b: bool) -> Array:
    if transpose_b:
        return matrix_product(g, a, transpose_a=True, transpose_b=transpose_a)
    return matrix_product(a, g, transpose_a=not transpose_a)


matrix_product.vjp(a=_matrix_product_vjp_a, b=_matrix_product_vjp_b)


@composite
def matmul(
    a: Num[TensorLike, "*#batch n k"] | Num[TensorLike, "k"], b: Num[TensorLike, "*#batch k m"] | Num[TensorLike, "k"]
) -> Num[Tensor, "..."]:
    """Return the matrix product a @ b by NumPy's rules.

    Args:
        a: (..., n, k), or (k,), which counts as one row.
        b: (..., k, m), or (k,), which counts as one column.

    Returns:
        (..., n, m), leading axes broadcast, without the axis that a vector argument stood for.

    Example:
        >>> import numpy as np
        >>> matmul(np.ones((2, 3)), np.ones(3))
        array([3., 3.])
    """
    if isinstance(a, int | float) or isinstance(b, int | float) or len(a.shape) == 0 or len(b.shape) == 0:
        shapes = [getattr(factor, "shape", ()) for factor in (a, b)]
        raise ValueError(f"matmul: a {shapes[0]} and b {shapes[1]} need at least one axis each; use * for scalars")
    if a.shape[-1] != b.shape[-2 if len(b.shape) > 1 else 0]:
        raise ValueError(f"matmul: a {a.shape} ends in {a.shape[-1]}, but b {b.shape} expects {b.shape[-2:][0]}")
    if len(a.shape) == 1:
        return squeeze(matmul(expand_dims(a, 0), b), axis=-1 if len(b.shape) == 1 else -2)
    if len(b.shape) == 1:
        return squeeze(matmul(a, expand_dims(b, 1)), axis=-1)
    if len(b.shape) == 2 and len(a.shape) > 2:  # one matrix for the whole stack: a single large product
        return reshape(matrix_product(_rows(a), b), shape=(*a.shape[:-1], b.shape[-1]))
    return matrix_product(a, b)


@primitive(broadcasts=True)
def linear(
    x: Num[Array, "*batch in"], weight: Num[Array, "in out"], bias: Num[Array, "out"] | None = None
) -> Num[Array, "*batch out"]:
    """Return the affine map x @ weight + bias along the last axis.

    Args:
        x: (..., in).
        weight: (in, out).
        bias: (out,), or None for none.

    Returns:
        (..., out).

    Example:
        >>> import numpy as np
        >>> linear(np.ones((4, 2)), np.ones((2, 3)), np.zeros(3)).shape
        (4, 3)
    """
    if weight.ndim != 2 or x.shape[-1:] != weight.shape[:1]:
        raise ValueError(
            f"linear: x {x.shape} has {x.shape[-1] if x.shape else 'no'} features, (..., in), "
            f"but weight (in, out) = {weight.shape} expects {weight.shape[0] if weight.shape else 'a matrix'}"
        )
    out = kernels.matmul(_rows(x), weight)  # (N, in) @ (in, out)
    if bias is not None:
        if bias.shape != weight.shape[1:]:
            raise ValueError(f"linear: bias (out,) = {bias.shape} does not fit weight (in, out) = {weight.shape}")
        out += bias
    return out if x.ndim == 2 else out.reshape(*x.shape[:-1], weight.shape[1])


def _rows(x: TensorLike) -> TensorLike:
    """Every vector along the last axis as a row of one matrix, (..., n) -> (N, n)."""
    return x if len(x.shape) == 2 else reshape(x, shape=(math.prod(x.shape[:-1]), x.shape[-1]))


def _linear_vjp_x(g: Array, weight: Array) -> Array:
    rows = matrix_product(_rows(g), weight, transpose_b=True)  # (N, out) @ (out, in)
    return rows if len(g.shape) == 2 else reshape(rows, shape=(*g.shape[:-1], weight.shape[0]))


linear.vjp(
    x=_linear_vjp_x,
    weight=lambda g, x: matrix_product(_rows(x), _rows(g), transpose_a=True),  # (in, N) @ (N, out)
    bias=lambda g: g,  # the engine sums over the rows
)


# ----------------------------------------------------------------------------------------------- Einstein sums
#
# For out = einsum("ij,jk->ik", a, b) the vjp for a is again an Einstein sum: exchange a's letters with the output's,
# einsum("ik,jk->ij", g, b). A letter of a that stands nowhere else was summed over; its cotangent is the same for every index, so it is
# broadcast. A letter twice in one operand ("ii") reads a diagonal: it is replaced by "ij" and an identity matrix "ij", so that
# the vjp never meets one.


@primitive(broadcasts=True)
def einstein_sum(*arrays: Num[Array, "..."], inputs: tuple[str, ...], output: str) -> Num[Array, "..."]:
    """Return the Einstein sum of the arrays with one string of letters each; no letter twice in one string."""
    out = array_module(*arrays).einsum(f"{','.join(inputs)}->{output}", *arrays)
    return out.copy() if len(arrays) == 1 else out  # of one array NumPy returns a view where it can


def _einstein_sum_vjp(
    g: Array, arrays: tuple[Array, ...], arrays_shape: Any, inputs: tuple[str, ...], output: str, position: int
) -> Array:
    letters, shape = inputs[position], arrays_shape[position]
    others = [i for i in range(len(inputs)) if i != position]
    known = set(output).union(*(inputs[i] for i in others))
    reached = "".join(letter for letter in letters if letter in known)
    product = einstein_sum(
        g, *(arrays[i] for i in others), inputs=(output, *(inputs[i] for i in others)), output=reached
    )
    lengths = iter(product.shape)
    spread = tuple(next(lengths) if letter in known else 1 for letter in letters)
    full = tuple(max(n, m) for n, m in zip(spread, shape, strict=True)) if 0 not in shape else shape
    return broadcast_to(reshape(product, shape=spread), shape=full)


einstein_sum.vjp(arrays=_einstein_sum_vjp)


@composite
def einsum(subscripts: str, *arrays: Num[TensorLike, "..."]) -> Num[Tensor, "..."]:
    """Return an Einstein sum: letters name axes, letters missing on the right are summed over.

    Args:
        subscripts: "ij,jk->ik"; without "->" the output has the letters that occur once, in alphabetical order; "..." stands for
            leading axes that broadcast.
        *arrays: one for each comma-separated part.

    Example:
        >>> import numpy as np
        >>> einsum("ij,j->i", np.ones((2, 3)), np.ones(3))
        array([3., 3.])
    """
    if not isinstance(subscripts, str):
        raise TypeError(f'einsum: subscripts is a {type(subscripts).__name__}, expected letters such as "ij,jk->ik"')
    inputs, output = _parsed(subscripts, [len(array.shape) for array in arrays])
    unused = iter(sorted(set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") - set("".join(inputs) + output)))
    operands = list(arrays)
    for i, letters in enumerate(list(inputs)):
        for axis, letter in enumerate(letters):
            if letter in letters[:axis]:
                fresh = next(unused)
                data = arrays[i].data if isinstance(arrays[i], Tensor) else arrays[i]
                if data.shape[axis] != data.shape[letters.index(letter)]:
                    raise ValueError(
                        f"einsum: {letters!r} in {subscripts!r} reads a diagonal, whose axes must be of one length; "
                        f"array {i} has shape {data.shape}"
                    )
                inputs[i] = inputs[i][:axis] + fresh + inputs[i][axis + 1 :]
                inputs.append(letter + fresh)
                operands.append(array_module(data).eye(data.shape[axis], dtype=data.dtype))
    return einstein_sum(*operands, inputs=tuple(inputs), output=output)


def _parsed(subscripts: str, ndims: list[int]) -> tuple[list[str], str]:
    """Return the letters of every operand and of the output, with "..." written out in capitals that are not in use."""
    left, arrow, right = subscripts.replace(" ", "").partition("->")
    inputs = left.split(",")
    if len(inputs) != len(ndims):
        raise ValueError(f"einsum: {subscripts!r} describes {len(inputs)} arrays, but {len(ndims)} were given")
    unused = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in subscripts]
    widths = [ndim - len(letters.replace("...", "")) for letters, ndim in zip(inputs, ndims, strict=True)]
    for letters, width, ndim in zip(inputs, widths, ndims, strict=True):
        if width < 0 or (width > 0 and "..." not in letters):
            raise ValueError(
                f"einsum: {letters!r} in {subscripts!r} names {len(letters)} axes of an array that has {ndim}"
            )
    ellipsis = "".join(
        unused[: max([w for w, letters in zip(widths, inputs, strict=True) if "..." in letters], default=0)]
    )
    written = [
        letters.replace("...", ellipsis[len(ellipsis) - width :]) for letters, width in zip(inputs, widths, strict=True)
    ]
    if arrow and ellipsis and "..." not in right:
        raise ValueError(
            f"einsum: {subscripts!r} has '...' on the left, but not on the right; sum over letters instead"
        )
    if arrow:
        return written, right.replace("...", ellipsis)
    letters = "".join(inputs).replace("...", "")
    return written, ellipsis + "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
