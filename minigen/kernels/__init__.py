"""Fast array code below the engine: raw arrays in, raw arrays out, no Tensor in sight.

`reference.py` defines every kernel in plain array code; read it first. Float32 NumPy arrays, the usual case, are served
by compiled twins in `cpu.py`, anything else by the reference itself. The table below is the one place where that is
chosen. The environment variable `MINIGEN_KERNELS=reference` turns the compiled kernels off, so that a debugger can step
through.

Numba is imported when a compiled kernel is first called, not before.
"""

import functools
import importlib
import os
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeVar, cast

import numpy as np

from minigen.backend import Array, array_module
from minigen.kernels import reference, threads

_Kernel = TypeVar("_Kernel", bound=Callable[..., Any])


def _compiled_wanted() -> bool:
    choice = os.environ.get("MINIGEN_KERNELS", "fast")
    if choice not in ("fast", "reference"):
        raise ValueError(f"MINIGEN_KERNELS={choice!r}: expected 'fast' (the default) or 'reference'")
    return choice == "fast"


_COMPILED = _compiled_wanted()


@functools.cache
def _compiled_twin(kernel: Callable[..., Any]) -> Callable[..., Any]:
    return getattr(importlib.import_module("minigen.kernels.cpu"), kernel.__name__)


def _choose(plain: _Kernel, dtype: type = np.float32) -> _Kernel:
    """Return a function that calls `cpu.py` if all arrays are NumPy's of this dtype, else `plain`."""
    wanted = np.dtype(dtype) if _COMPILED else None
    fast: Callable[..., Any] | None = None

    @functools.wraps(plain)
    def kernel(*arrays: Array | None, **settings: Any) -> Any:
        nonlocal fast
        for array in arrays:
            if (type(array) is not np.ndarray or array.dtype is not wanted) and array is not None:
                outcome = plain(*arrays, **settings)
                break
        else:
            if fast is None:
                fast = _compiled_twin(plain)
            outcome = fast(*arrays, **settings)
        # NumPy turns the outcome of 0-d arithmetic into a scalar: turn it back.
        return np.asarray(outcome) if isinstance(outcome, np.generic) else outcome

    return cast(_Kernel, kernel)


# elementwise
sigmoid = _choose(reference.sigmoid)
sigmoid_backward = _choose(reference.sigmoid_backward)
tanh = _choose(reference.tanh)
tanh_backward = _choose(reference.tanh_backward)
softplus = _choose(reference.softplus)
softplus_backward = _choose(reference.softplus_backward)
silu = _choose(reference.silu)
silu_backward = _choose(reference.silu_backward)
erf = _choose(reference.erf)
erf_backward = _choose(reference.erf_backward)
gelu = _choose(reference.gelu)
gelu_backward = _choose(reference.gelu_backward)
gelu_tanh = _choose(reference.gelu_tanh)
gelu_tanh_backward = _choose(reference.gelu_tanh_backward)
relu = _choose(reference.relu)
relu_backward = _choose(reference.relu_backward)
leaky_relu = _choose(reference.leaky_relu)
leaky_relu_backward = _choose(reference.leaky_relu_backward)
elu = _choose(reference.elu)
elu_backward = _choose(reference.elu_backward)

# optimizer steps, in place
sgd_step = _choose(reference.sgd_step)
rmsprop_step = _choose(reference.rmsprop_step)
adam_step = _choose(reference.adam_step)
lerp = _choose(reference.lerp)

# random words and numbers
uniform32 = _choose(reference.uniform32, np.uint32)
open_uniform32 = _choose(reference.open_uniform32, np.uint32)
normal32 = _choose(reference.normal32, np.uint32)
uniform64 = reference.uniform64
open_uniform64 = reference.open_uniform64
normal64 = reference.normal64


@functools.wraps(reference.philox)
def philox(xp: ModuleType, *, key: int, counter: int, blocks: int) -> Array:  # noqa: D103 -- it is the reference's
    chosen = _compiled_twin(reference.philox) if _COMPILED and xp is np else reference.philox
    return chosen(xp, key=key, counter=counter, blocks=blocks)


_ENOUGH_PRODUCTS = 2**22
"""Multiplications that are worth a thread; some 50 microseconds."""


def matmul(a: Array, b: Array) -> Array:
    """Return a @ b for stacks of matrices, (..., n, k) and (..., k, m); leading axes broadcast.

    It is the array library's product but for two cases. An outer product, k = 1, is a broadcast, for which BLAS takes several times
    as long; and inside `threads.one_blas_thread` the rows of a big product are shared out among minigen's threads.

    Example:
        >>> matmul(np.ones((2, 3)), np.ones((3, 1)))
        array([[3.],
               [3.]])
    """
    module = array_module(a, b)
    if a.shape[-1] == 1 == b.shape[-2]:
        return module.multiply(a, b)
    products = a.shape[0] * b.size  # of two matrices
    if (
        products < 2 * _ENOUGH_PRODUCTS
        or a.ndim != 2
        or b.ndim != 2
        or module is not np
        or not threads.blas_is_limited()
    ):
        return module.matmul(a, b)
    out = np.empty((len(a), b.shape[1]), np.result_type(a, b))
    rows = -(-_ENOUGH_PRODUCTS // b.size)  # worth a thread
    threads.in_pieces(lambda start, stop: np.matmul(a[start:stop], b, out=out[start:stop]), len(a), rows)
    return out
