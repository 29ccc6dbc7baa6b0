"""Fast array code below the engine: raw arrays in, raw arrays out, no Tensor in sight.

`reference.py` defines every kernel in plain array code; read it first. Float32 arrays, the usual case, are served by
compiled twins: NumPy's by those in `cpu.py`, CuPy's by those in `cuda.py`, if the package numba-cuda is installed (the
extras `gpu` and `gpu12` bring it along). The reference itself serves anything else. The table below is the one place
where that is chosen. The environment variable `MINIGEN_KERNELS=reference` turns the compiled kernels off, so that a
debugger can step through.

Numba is imported when a compiled kernel is first called, not before.
"""

import functools
import importlib
import importlib.util
import os
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeVar, cast

import numpy as np

from minigen.backend import Array, array_module, device_of
from minigen.kernels import reference, threads
from minigen.kernels.attention import reference as attention
from minigen.kernels.bits import reference as bits
from minigen.kernels.convolution import reference as convolution
from minigen.kernels.exponentials import reference as exponentials
from minigen.kernels.gated import reference as gated
from minigen.kernels.image_lstm import reference as image_lstm
from minigen.kernels.memory import release_workspaces as release_workspaces
from minigen.kernels.nade import reference as nade
from minigen.kernels.normalization import reference as normalization
from minigen.kernels.raster import reference as raster
from minigen.kernels.raster.network import Network
from minigen.kernels.recurrence import reference as recurrence
from minigen.kernels.rows import reference as rows

_Kernel = TypeVar("_Kernel", bound=Callable[..., Any])


def _compiled_wanted() -> bool:
    choice = os.environ.get("MINIGEN_KERNELS", "fast")
    if choice not in ("fast", "reference"):
        raise ValueError(f"MINIGEN_KERNELS={choice!r}: expected 'fast' (the default) or 'reference'")
    return choice == "fast"


_COMPILED = _compiled_wanted()


@functools.cache
def _twin(place: str, kernel: Callable[..., Any]) -> Callable[..., Any]:
    """Return the kernel of the same name in `cpu.py` or `cuda.py`, beside the `reference.py` where this one is."""
    return getattr(importlib.import_module(kernel.__module__.replace("reference", place)), kernel.__name__)


@functools.cache
def _cuda_wanted() -> bool:
    # Looked for under its own name: Numba alone has a `numba.cuda` too, an old one whose kernels take no addresses.
    return _COMPILED and importlib.util.find_spec("numba_cuda") is not None


def _cuda_serves(array_type: type) -> bool:
    """Return whether `cuda.py` can work on CuPy arrays of this type: they must say where in the GPU's memory they are."""
    return hasattr(array_type, "__cuda_array_interface__") and _cuda_wanted()


def _on_gpu(arrays: tuple[Array | None, ...], dtype: np.dtype) -> bool:
    """Return whether `cuda.py` serves these arrays, all of them CuPy's of this dtype."""
    for array in arrays:
        if array is not None and (device_of(array) != "gpu" or array.dtype != dtype or not _cuda_serves(type(array))):
            return False
    return True


def _choose(
    plain: _Kernel, dtype: type = np.float32, *, on_cpu: bool = True, on_gpu: bool = True, indexed: bool = False
) -> _Kernel:
    """Return a function that calls `cpu.py` or `cuda.py` if all arrays are NumPy's or CuPy's of this dtype, else `plain`.

    `on_cpu` is False if `cpu.py` has no such kernel, `on_gpu` if `cuda.py` has none. `indexed` says that arrays after the first hold
    indices, of any dtype.
    """
    element = np.dtype(dtype)
    wanted = element if _COMPILED and on_cpu else None
    fast: Callable[..., Any] | None = None

    @functools.wraps(plain)
    def kernel(*arrays: Array | None, **settings: Any) -> Any:
        nonlocal fast
        for array in arrays[:1] if indexed else arrays:
            if (type(array) is not np.ndarray or array.dtype is not wanted) and array is not None:
                chosen = _twin("cuda", plain) if on_gpu and _on_gpu(arrays, element) else plain
                outcome = chosen(*arrays, **settings)
                break
        else:
            if fast is None:
                fast = _twin("cpu", plain)
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

# convolution
convolve = _choose(convolution.convolve)
convolve_transposed = _choose(convolution.convolve_transposed)
convolve_weight = _choose(convolution.convolve_weight)

# normalization
moments = _choose(normalization.moments, on_gpu=False)
normalize = _choose(normalization.normalize, on_gpu=False)
normalize_by = _choose(normalization.normalize_by, on_gpu=False)
normalize_backward = _choose(normalization.normalize_backward, on_gpu=False)

# attention
attend = _choose(attention.attend, on_gpu=False)
attend_backward = _choose(attention.attend_backward, on_gpu=False)
attend_packed_backward = _choose(attention.attend_packed_backward, on_gpu=False)

# sums of exponentials
logsumexp = _choose(exponentials.logsumexp, on_gpu=False)
softmax = _choose(exponentials.softmax, on_gpu=False)
softmax_backward = _choose(exponentials.softmax_backward, on_gpu=False)
log_softmax = _choose(exponentials.log_softmax, on_gpu=False)
log_softmax_backward = _choose(exponentials.log_softmax_backward, on_gpu=False)

# bits
bits_log_prob = _choose(bits.bits_log_prob)
bits_log_prob_backward = _choose(bits.bits_log_prob_backward)

# gated activation units
gated_tanh = _choose(gated.gated_tanh)
gated_tanh_backward = _choose(gated.gated_tanh_backward)

# recurrent networks
rnn_forward = _choose(recurrence.rnn_forward, on_gpu=False)
rnn_backward = _choose(recurrence.rnn_backward, on_gpu=False)
gru_forward = _choose(recurrence.gru_forward, on_gpu=False)
gru_backward = _choose(recurrence.gru_backward, on_gpu=False)
lstm_forward = _choose(recurrence.lstm_forward, on_gpu=False)
lstm_backward = _choose(recurrence.lstm_backward, on_gpu=False)

# LSTMs over images
image_lstm_forward = _choose(image_lstm.image_lstm_forward, on_gpu=False)
image_lstm_backward = _choose(image_lstm.image_lstm_backward, on_gpu=False)

# neural autoregressive distribution estimator
nade_forward = _choose(nade.nade_forward, on_gpu=False)
nade_backward = _choose(nade.nade_backward, on_gpu=False)

# windows
window_max = _choose(reference.window_max, on_gpu=False)
window_put = _choose(reference.window_put, on_gpu=False, indexed=True)

# rows
put_rows = _choose(rows.put_rows, on_gpu=False, indexed=True)

# optimizer steps, in place
sgd_step = _choose(reference.sgd_step)
rmsprop_step = _choose(reference.rmsprop_step)
adam_step = _choose(reference.adam_step)
lerp = _choose(reference.lerp)

# random words and numbers
uniform32 = _choose(reference.uniform32, np.uint32)
open_uniform32 = _choose(reference.open_uniform32, np.uint32)
normal32 = _choose(reference.normal32, np.uint32)
uniform64 = _choose(reference.uniform64, np.uint32, on_cpu=False)
open_uniform64 = _choose(reference.open_uniform64, np.uint32, on_cpu=False)
normal64 = _choose(reference.normal64, np.uint32, on_cpu=False)


@functools.wraps(reference.philox)
def philox(xp: ModuleType, *, key: int, counter: int, blocks: int) -> Array:  # noqa: D103 -- it is the reference's
    if xp is np:
        chosen = _twin("cpu", reference.philox) if _COMPILED else reference.philox
    else:
        chosen = _twin("cuda", reference.philox) if _cuda_serves(xp.ndarray) else reference.philox
    return chosen(xp, key=key, counter=counter, blocks=blocks)


def raster_walk(network: Network, *, n: int, width: int) -> raster.Walk:
    """Return what computes a network pixel by pixel; see `raster.reference.Walk`."""
    arrays = tuple(array for layer in network.layers for array in (layer.weight, layer.bias))
    kind: Callable[..., raster.Walk] = raster.Walk
    if _COMPILED and all(type(array) is np.ndarray and array.dtype == np.float32 for array in arrays):
        kind = _twin("cpu", raster.Walk)
    elif _on_gpu(arrays, np.dtype(np.float32)):
        kind = _twin("cuda", raster.Walk)
    return kind(network, n=n, width=width)


_ENOUGH_PRODUCTS = 2**22
"""Multiplications that are worth a thread; some 50 microseconds."""


def matmul(a: Array, b: Array) -> Array:
    """Return a @ b for stacks of matrices, (..., n, k) and (..., k, m); leading axes broadcast.

    It is the array library's product but for three cases. An outer product, k = 1, is a broadcast, for which BLAS takes several times
    as long; a broadcast matrix is copied first, since BLAS takes no stride of 0 and NumPy's own loops are slow; and inside
    `threads.one_blas_thread` the rows of a big product are shared out among minigen's threads.

    Example:
        >>> matmul(np.ones((2, 3)), np.ones((3, 1)))
        array([[3.],
               [3.]])
    """
    module = array_module(a, b)
    if a.shape[-1] == 1 == b.shape[-2]:
        return module.multiply(a, b)
    if module is not np:
        return module.matmul(a, b)
    if 0 in a.strides[-2:]:
        a = a.copy()
    if 0 in b.strides[-2:]:
        b = b.copy()
    products = a.shape[0] * b.size  # of two matrices
    if products < 2 * _ENOUGH_PRODUCTS or a.ndim != 2 or b.ndim != 2 or not threads.blas_is_limited():
        return np.matmul(a, b)
    out = np.empty((len(a), b.shape[1]), np.result_type(a, b))
    rows = -(-_ENOUGH_PRODUCTS // b.size)  # worth a thread
    threads.in_pieces(lambda start, stop: np.matmul(a[start:stop], b, out=out[start:stop]), len(a), rows)
    return out
