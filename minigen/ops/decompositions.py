"""Linear systems, inverses, determinants and decompositions of square matrices, under the names of numpy.linalg.

All of them also take stacks of matrices, (..., n, n).

A matrix for which the result does not exist, such as a singular one in `solve`, raises numpy.linalg.LinAlgError on the CPU. On the GPU
nothing is raised, since looking at the values would make the CPU wait: CuPy returns NaN, infinities or wrong numbers, and `mg.debug()`
finds those that are not finite. Integers are computed with in float64, as in NumPy; float16 is refused, as there.

`cholesky` and `eigh` are functions of symmetric matrices, and read one triangle of a only. So their gradients are 0 in the other, and an
element off the diagonal, which stands for itself and for its mirror image, gets the gradients of both. PyTorch shares them out equally.
For a symmetric matrix that was computed, such as x @ x.T, this makes no difference.

The gradients are those of Giles 2008, "Collected matrix derivative results for forward and reverse mode algorithmic differentiation", and
of Murray 2016, "Differentiation of the Cholesky decomposition".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from minigen.backend import Array, array_module
from minigen.engine import Tensor, TensorLike, primitive
from minigen.ops.composite import composite
from minigen.ops.diagonals import tril
from minigen.ops.elementwise import sign, where
from minigen.ops.linalg import matrix_product
from minigen.ops.reduce import sum
from minigen.ops.shape import expand_dims, squeeze, swapaxes

if TYPE_CHECKING:
    from jaxtyping import Float, Num


@primitive(broadcasts=True)
def solve(
    a: Num[Array, "*#batch n n"], b: Num[Array, "*#batch n k"] | Num[Array, "n"]
) -> Float[Array, "*batch n k"] | Float[Array, "*batch n"]:
    """Return the x with a @ x = b. It is faster and more accurate than inv(a) @ b.

    The gradients are h = a^-T g for b and -h x^T for a (Giles 2008, section 2.3.1).

    Args:
        a: (..., n, n).
        b: (..., n, k), whose leading axes broadcast against those of a; or one vector (n,), for all matrices of a.

    Returns:
        x, (..., n, k), or (..., n) if b is a vector.

    Raises:
        LinAlgError: a matrix is singular; not on the GPU.
        ValueError: the matrices are not square, or b does not have n rows.

    Example:
        >>> solve(np.array([[2.0, 0.0], [0.0, 4.0]]), np.array([2.0, 2.0]))
        array([1. , 0.5])
    """
    _check_matrices("solve", a)
    _check_precision("solve", "b", b)
    columns = b[:, None] if b.ndim == 1 else b
    if columns.ndim < 2 or columns.shape[-2] != a.shape[-1]:
        raise ValueError(
            f"solve: b has shape {b.shape}, expected (..., {a.shape[-1]}, k), or ({a.shape[-1]},), for a (..., n, n) = {a.shape}"
        )
    out = _solutions(_floats(a), _floats(columns))
    return out[..., 0] if b.ndim == 1 else out


def _solutions(a: Array, b: Array) -> Array:
    """Return a^-1 b; a single matrix is factored once for all columns of a stack b."""
    module = array_module(a, b)
    if a.ndim == 2 and b.ndim > 2:
        n, *rest = module.moveaxis(b, -2, 0).shape
        columns = _solutions(a, module.moveaxis(b, -2, 0).reshape(n, -1))
        return module.moveaxis(columns.reshape(n, *rest), 0, -2)
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = (module.broadcast_to(x, (*batch, *x.shape[-2:])) for x in (a, b))  # CuPy would not
    return _by_library("solve", "singular", module.linalg.solve, a, b)


@solve.joint_vjp
def _(g: Array, a: Array, b_shape: tuple[int, ...], out: Array) -> tuple[Array, Array]:
    is_vector = len(b_shape) == 1
    if is_vector:
        g, out = expand_dims(g, -1), expand_dims(out, -1)
    h = solve(swapaxes(a, -1, -2), g)
    return -matrix_product(h, out, transpose_b=True), squeeze(h, axis=-1) if is_vector else h


@primitive()
def inv(a: Num[Array, "*batch n n"]) -> Float[Array, "*batch n n"]:
    """Return the inverse of a matrix, or of each in a stack. To multiply by it, use `solve`.

    With y = a^-1 the gradient is -y^T g y^T (Giles 2008, section 2.2.3).

    Args:
        a: (..., n, n).

    Raises:
        LinAlgError: a matrix is singular; not on the GPU.
        ValueError: the matrices are not square.

    Example:
        >>> inv(np.array([[2.0, 0.0], [0.0, 4.0]]))
        array([[0.5 , 0.  ],
               [0.  , 0.25]])
    """
    _check_matrices("inv", a)
    return _by_library("inv", "singular", array_module(a).linalg.inv, _floats(a))


inv.vjp(a=lambda g, out: -matrix_product(matrix_product(out, g, transpose_a=True), out, transpose_b=True))


@primitive()
def signed_log_determinant(a: Num[Array, "*batch n n"]) -> Float[Array, "*batch 2"]:
    """Return the sign of det a, and log |det a|, as one array."""
    module = array_module(a)
    return module.stack(list(module.linalg.slogdet(_floats(a))), axis=-1)


def _signed_log_determinant_vjp(g: Array, a: Array, out: Array) -> Array:
    is_singular = out[..., 0, None, None] == 0.0
    inverse = inv(where(is_singular, _identity(a), a))
    return where(is_singular, float("nan"), g[..., 1, None, None] * swapaxes(inverse, -1, -2))


signed_log_determinant.vjp(a=_signed_log_determinant_vjp)


@composite
def slogdet(a: Num[TensorLike, "*batch n n"]) -> tuple[Float[Tensor, "*batch"], Float[Tensor, "*batch"]]:
    """Return the sign and the logarithm of the absolute value of the determinant of a matrix, or of each in a stack.

    The determinant itself, sign * exp(logarithm), overflows or vanishes for matrices that are not small. The gradient of the logarithm is
    g a^-T (Giles 2008, section 2.2.4). For a singular matrix the sign is 0, the logarithm -inf, and the gradient NaN. The sign is
    constant in pieces: no gradient flows through it.

    Args:
        a: (..., n, n).

    Returns:
        The signs -1, 0 or 1 and the logarithms, both (...).

    Raises:
        ValueError: the matrices are not square.

    Example:
        >>> slogdet(np.array([[0.0, 2.0], [4.0, 0.0]]))
        (array(-1.), array(2.07944154))
    """
    _check_matrices("slogdet", a)
    both = signed_log_determinant(a)
    return sign(both[..., 0]), both[..., 1]


@primitive()
def cholesky(a: Num[Array, "*batch n n"]) -> Float[Array, "*batch n n"]:
    """Return the lower triangular matrix l with a = l @ l.T and a positive diagonal, for a symmetric, positive definite matrix a.

    Only the lower triangle of a is read, and only there its gradient is not 0. With F(m) the lower triangle of m, its diagonal
    halved, and p = F(l^T g), it is F(l^-T (p + p^T) l^-1) (Murray 2016, who spreads it over both triangles).

    Args:
        a: (..., n, n).

    Raises:
        LinAlgError: a matrix is not positive definite; not on the GPU.
        ValueError: the matrices are not square.

    Example:
        >>> cholesky(np.array([[4.0, 2.0], [2.0, 5.0]]))
        array([[2., 0.],
               [1., 2.]])
    """
    _check_matrices("cholesky", a)
    return _by_library("cholesky", "not positive definite", array_module(a).linalg.cholesky, _floats(a))


def _cholesky_vjp(g: Array, out: Array) -> Array:
    transposed = swapaxes(out, -1, -2)
    p = _lower_half(matrix_product(out, g, transpose_a=True))
    left = solve(transposed, p + swapaxes(p, -1, -2))  # l^-T (p + p^T)
    return _lower_half(solve(transposed, swapaxes(left, -1, -2)))


cholesky.vjp(a=_cholesky_vjp)


@primitive()
def eigensystem(a: Num[Array, "*batch n n"]) -> Float[Array, "*batch n+1 n"]:
    """Return eigenvalues and eigenvectors of symmetric matrices as one array: a row of values, and below each its vector as a column."""
    module = array_module(a)
    values, vectors = module.linalg.eigh(_floats(a))
    return module.concatenate([values[..., None, :], vectors], axis=-2)


def _eigensystem_vjp(g: Array, out: Array) -> Array:
    values, vectors, g_values, g_vectors = out[..., :1, :], out[..., 1:, :], g[..., :1, :], g[..., 1:, :]
    gaps = values - swapaxes(values, -1, -2)  # w_j - w_i
    turns = matrix_product(vectors, g_vectors, transpose_a=True)
    turns = 0.5 * (turns - swapaxes(turns, -1, -2))
    # Nothing turns in its own direction. Nor do vectors that nobody used, even where the quotient would be 0/0.
    is_unused = sum(g_vectors != 0.0, axis=(-2, -1), keepdims=True) == 0
    is_still = where(_identity(out[..., 1:, :]) == 1.0, True, where(gaps == 0.0, is_unused, False))
    inner = where(is_still, 0.0, turns / where(is_still, 1.0, gaps)) + _identity(vectors) * g_values
    both = matrix_product(matrix_product(vectors, inner), vectors, transpose_b=True)
    return tril(both) + tril(both, k=-1)


eigensystem.vjp(a=_eigensystem_vjp)


@composite
def eigh(
    a: Num[TensorLike, "*batch n n"], UPLO: str = "L"
) -> tuple[Float[Tensor, "*batch n"], Float[Tensor, "*batch n n"]]:
    """Return the eigenvalues w, in rising order, and the eigenvectors v of a symmetric matrix: a = v @ diag(w) @ v.T.

    The sign of each eigenvector is arbitrary. Only one triangle of a is read, and only there its gradient is not 0. With K the matrix of
    1 / (w_j - w_i), 0 on its diagonal, the gradient by both triangles is v (diag(g_w) + K * v^T g_v) v^T, made symmetric (Giles 2008,
    section 3.1).

    Where eigenvalues are equal, their eigenvectors are an arbitrary basis of a plane or a larger space, and have no derivatives: gradients
    by way of v are infinite or NaN, as in PyTorch. Those by way of w alone are finite, and right for functions in which equal eigenvalues
    play the same part, such as their sum.

    Args:
        a: (..., n, n).
        UPLO: "L" to read the lower triangle of a, "U" to read the upper one.

    Returns:
        w (..., n), and v (..., n, n), whose columns are the eigenvectors.

    Raises:
        ValueError: the matrices are not square, or UPLO is neither.

    Example:
        >>> w, v = eigh(np.array([[2.0, 1.0], [1.0, 2.0]]))
        >>> w, v**2
        (array([1., 3.]), array([[0.5, 0.5], [0.5, 0.5]]))
    """
    _check_matrices("eigh", a)
    if UPLO not in ("L", "U"):
        raise ValueError(f"eigh: UPLO is {UPLO!r}, expected 'L', the lower triangle of a, or 'U', the upper one")
    both = eigensystem(a if UPLO == "L" else swapaxes(a, -1, -2))
    return both[..., 0, :], both[..., 1:, :]


def _check_matrices(name: str, a: TensorLike) -> None:
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise ValueError(f"{name}: a has shape {a.shape}, expected square matrices, (..., n, n)")
    _check_precision(name, "a", a)


def _check_precision(name: str, argument: str, x: TensorLike) -> None:
    if x.dtype == "float16":
        raise TypeError(
            f"{name}: {argument} is float16, which linear algebra does not support; convert it by {argument}.astype('float32')"
        )


def _floats(x: Array) -> Array:
    return x if x.dtype.kind == "f" else x.astype("float64")


def _by_library(name: str, fault: str, function: Callable[..., Any], a: Array, *others: Array) -> Any:
    """Call a function of NumPy or CuPy, and say which operation refuses which matrix."""
    try:
        return function(a, *others)
    except np.linalg.LinAlgError as error:
        found = f"a {a.shape} is" if a.ndim == 2 else f"of the matrices a {a.shape} at least one is"
        raise np.linalg.LinAlgError(f"{name}: {found} {fault}") from error


def _identity(a: TensorLike) -> Array:
    data = a.data if isinstance(a, Tensor) else a
    return array_module(data).eye(data.shape[-1], dtype=data.dtype)


def _lower_half(x: TensorLike) -> TensorLike:
    """Return the lower triangle, its diagonal halved."""
    return 0.5 * (tril(x) + tril(x, k=-1))
