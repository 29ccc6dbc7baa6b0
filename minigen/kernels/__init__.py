"""Fast array code below the engine: raw arrays in, raw arrays out, no Tensor in sight.

`reference.py` defines every kernel in plain array code; read it first. Float32 arrays, the usual case, are served by compiled functions of
the same name: NumPy's by those in `cpu.py`, CuPy's by those in `cuda.py`, if the package numba-cuda is installed and finds its compiler
(the extras `gpu` and `gpu12` bring both along). The reference itself serves anything else. The table below is the one place where that is
chosen: a row names the kernel's functions, the reference first, then those for the CPU and for the GPU where they exist. The environment
variable `MINIGEN_KERNELS=reference` turns the compiled kernels off, so that a debugger can step through.

Numba is imported when a compiled kernel is first called, not before.
"""

import functools
import math
import os
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

from minigen.backend import Array, array_module, device_of
from minigen.kernels import reference, threads, toolkit
from minigen.kernels.attention import reference as attention_reference
from minigen.kernels.bits import reference as bits_reference
from minigen.kernels.convolution import reference as convolution_reference
from minigen.kernels.exponentials import reference as exponentials_reference
from minigen.kernels.gated import reference as gated_reference
from minigen.kernels.image_lstm import reference as image_lstm_reference
from minigen.kernels.lazy import LazyModule, imported
from minigen.kernels.memory import release_workspaces as release_workspaces
from minigen.kernels.nade import reference as nade_reference
from minigen.kernels.normalization import reference as normalization_reference
from minigen.kernels.raster import reference as raster_reference
from minigen.kernels.raster.network import Network
from minigen.kernels.recurrence import reference as recurrence_reference
from minigen.kernels.rows import reference as rows_reference

# The compiled modules. An editor and a type checker read the imports; a running program takes the lines below them instead, and
# imports each module when one of its functions is first called.
if TYPE_CHECKING:
    from minigen.kernels import cpu as _cpu
    from minigen.kernels import cuda as _cuda
    from minigen.kernels.attention import cpu as _attention_cpu
    from minigen.kernels.bits import cpu as _bits_cpu
    from minigen.kernels.bits import cuda as _bits_cuda
    from minigen.kernels.convolution import cpu as _convolution_cpu
    from minigen.kernels.convolution import cuda as _convolution_cuda
    from minigen.kernels.exponentials import cpu as _exponentials_cpu
    from minigen.kernels.gated import cpu as _gated_cpu
    from minigen.kernels.gated import cuda as _gated_cuda
    from minigen.kernels.image_lstm import cpu as _image_lstm_cpu
    from minigen.kernels.nade import cpu as _nade_cpu
    from minigen.kernels.normalization import cpu as _normalization_cpu
    from minigen.kernels.raster import cpu as _raster_cpu
    from minigen.kernels.raster import cuda as _raster_cuda
    from minigen.kernels.recurrence import cpu as _recurrence_cpu
    from minigen.kernels.rows import cpu as _rows_cpu
else:
    _cpu = LazyModule("minigen.kernels.cpu")
    _cuda = LazyModule("minigen.kernels.cuda")
    _attention_cpu = LazyModule("minigen.kernels.attention.cpu")
    _bits_cpu = LazyModule("minigen.kernels.bits.cpu")
    _bits_cuda = LazyModule("minigen.kernels.bits.cuda")
    _convolution_cpu = LazyModule("minigen.kernels.convolution.cpu")
    _convolution_cuda = LazyModule("minigen.kernels.convolution.cuda")
    _exponentials_cpu = LazyModule("minigen.kernels.exponentials.cpu")
    _gated_cpu = LazyModule("minigen.kernels.gated.cpu")
    _gated_cuda = LazyModule("minigen.kernels.gated.cuda")
    _image_lstm_cpu = LazyModule("minigen.kernels.image_lstm.cpu")
    _nade_cpu = LazyModule("minigen.kernels.nade.cpu")
    _normalization_cpu = LazyModule("minigen.kernels.normalization.cpu")
    _raster_cpu = LazyModule("minigen.kernels.raster.cpu")
    _raster_cuda = LazyModule("minigen.kernels.raster.cuda")
    _recurrence_cpu = LazyModule("minigen.kernels.recurrence.cpu")
    _rows_cpu = LazyModule("minigen.kernels.rows.cpu")

_Kernel = TypeVar("_Kernel", bound=Callable[..., Any])


def _compiled_wanted() -> bool:
    choice = os.environ.get("MINIGEN_KERNELS", "fast")
    if choice not in ("fast", "reference"):
        raise ValueError(f"MINIGEN_KERNELS={choice!r}: expected 'fast' (the default) or 'reference'")
    return choice == "fast"


_COMPILED = _compiled_wanted()


@functools.cache
def cuda_wanted() -> bool:
    """Return whether the CUDA kernels are wanted and can be compiled, which is tried once; if they cannot, a warning says why."""
    if not _COMPILED or not toolkit.has_numba_cuda():
        return False
    try:
        imported(_cuda.compile_one)()
    except Exception as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        warnings.warn(
            f"minigen's CUDA kernels cannot be compiled, so the slower reference kernels run on the GPU in their place ({reason}); "
            f"{toolkit.MISSING}; with MINIGEN_KERNELS=reference nothing is compiled, and nothing said",
            RuntimeWarning,
            stacklevel=2,
        )
        return False
    return True


def _cuda_serves(array_type: type) -> bool:
    """Return whether `cuda.py` can work on CuPy arrays of this type: they must say where in the GPU's memory they are."""
    return hasattr(array_type, "__cuda_array_interface__") and cuda_wanted()


def _on_gpu(arrays: tuple[Array | None, ...], dtype: np.dtype) -> bool:
    """Return whether `cuda.py` serves these arrays, all of them CuPy's of this dtype."""
    for array in arrays:
        if array is not None and (device_of(array) != "gpu" or array.dtype != dtype or not _cuda_serves(type(array))):
            return False
    return True


def _dispatch(
    plain: _Kernel,
    cpu: Callable[..., Any] | None = None,
    cuda: Callable[..., Any] | None = None,
    *,
    dtype: type = np.float32,
    indexed: bool = False,
) -> _Kernel:
    """Return a function that calls `cpu` if all arrays are NumPy's of this dtype, `cuda` if they are CuPy's, else `plain`.

    `indexed` says that arrays after the first hold indices, of any dtype.
    """
    element = np.dtype(dtype)
    wanted = element if _COMPILED and cpu is not None else None
    fast: Callable[..., Any] | None = None

    @functools.wraps(plain)
    def kernel(*arrays: Array | None, **settings: Any) -> Any:
        nonlocal fast
        for array in arrays[:1] if indexed else arrays:
            if (type(array) is not np.ndarray or array.dtype is not wanted) and array is not None:
                if wanted is not None and type(array) is np.ndarray and array.dtype == wanted:
                    continue  # an unpickled array, whose dtype is an object of its own
                chosen = imported(cuda) if cuda is not None and _on_gpu(arrays, element) else plain
                outcome = chosen(*arrays, **settings)
                break
        else:
            if fast is None:
                fast = imported(cpu or plain)
            outcome = fast(*arrays, **settings)
        # NumPy turns the outcome of 0-d arithmetic into a scalar: turn it back.
        return np.asarray(outcome) if isinstance(outcome, np.generic) else outcome

    return cast(_Kernel, kernel)


# elementwise
sigmoid = _dispatch(reference.sigmoid, _cpu.sigmoid, _cuda.sigmoid)
sigmoid_backward = _dispatch(reference.sigmoid_backward, _cpu.sigmoid_backward, _cuda.sigmoid_backward)
tanh = _dispatch(reference.tanh, _cpu.tanh, _cuda.tanh)
tanh_backward = _dispatch(reference.tanh_backward, _cpu.tanh_backward, _cuda.tanh_backward)
softplus = _dispatch(reference.softplus, _cpu.softplus, _cuda.softplus)
softplus_backward = _dispatch(reference.softplus_backward, _cpu.softplus_backward, _cuda.softplus_backward)
silu = _dispatch(reference.silu, _cpu.silu, _cuda.silu)
silu_backward = _dispatch(reference.silu_backward, _cpu.silu_backward, _cuda.silu_backward)
erf = _dispatch(reference.erf, _cpu.erf, _cuda.erf)
erf_backward = _dispatch(reference.erf_backward, _cpu.erf_backward, _cuda.erf_backward)
erfinv = _dispatch(reference.erfinv, _cpu.erfinv, _cuda.erfinv)
log_ndtr = _dispatch(reference.log_ndtr, _cpu.log_ndtr, _cuda.log_ndtr)
log_ndtr_backward = _dispatch(reference.log_ndtr_backward, _cpu.log_ndtr_backward, _cuda.log_ndtr_backward)
log_ndtr_curvature = _dispatch(reference.log_ndtr_curvature, _cpu.log_ndtr_curvature, _cuda.log_ndtr_curvature)
gelu = _dispatch(reference.gelu, _cpu.gelu, _cuda.gelu)
gelu_backward = _dispatch(reference.gelu_backward, _cpu.gelu_backward, _cuda.gelu_backward)
gelu_tanh = _dispatch(reference.gelu_tanh, _cpu.gelu_tanh, _cuda.gelu_tanh)
gelu_tanh_backward = _dispatch(reference.gelu_tanh_backward, _cpu.gelu_tanh_backward, _cuda.gelu_tanh_backward)
relu = _dispatch(reference.relu, _cpu.relu, _cuda.relu)
relu_backward = _dispatch(reference.relu_backward, _cpu.relu_backward, _cuda.relu_backward)
leaky_relu = _dispatch(reference.leaky_relu, _cpu.leaky_relu, _cuda.leaky_relu)
leaky_relu_backward = _dispatch(reference.leaky_relu_backward, _cpu.leaky_relu_backward, _cuda.leaky_relu_backward)
elu = _dispatch(reference.elu, _cpu.elu, _cuda.elu)
elu_backward = _dispatch(reference.elu_backward, _cpu.elu_backward, _cuda.elu_backward)

# convolution
convolve = _dispatch(convolution_reference.convolve, _convolution_cpu.convolve, _convolution_cuda.convolve)
convolve_transposed = _dispatch(
    convolution_reference.convolve_transposed,
    _convolution_cpu.convolve_transposed,
    _convolution_cuda.convolve_transposed,
)
convolve_weight = _dispatch(
    convolution_reference.convolve_weight, _convolution_cpu.convolve_weight, _convolution_cuda.convolve_weight
)

# normalization
mean_and_deviation = _dispatch(normalization_reference.mean_and_deviation, _normalization_cpu.mean_and_deviation)
normalize = _dispatch(normalization_reference.normalize, _normalization_cpu.normalize)
normalize_by = _dispatch(normalization_reference.normalize_by, _normalization_cpu.normalize_by)
normalize_backward = _dispatch(normalization_reference.normalize_backward, _normalization_cpu.normalize_backward)

# attention
attend = _dispatch(attention_reference.attend, _attention_cpu.attend)
attend_backward = _dispatch(attention_reference.attend_backward, _attention_cpu.attend_backward)
attend_packed_backward = _dispatch(attention_reference.attend_packed_backward, _attention_cpu.attend_packed_backward)

# sums of exponentials
logsumexp = _dispatch(exponentials_reference.logsumexp, _exponentials_cpu.logsumexp)
softmax = _dispatch(exponentials_reference.softmax, _exponentials_cpu.softmax)
softmax_backward = _dispatch(exponentials_reference.softmax_backward, _exponentials_cpu.softmax_backward)
log_softmax = _dispatch(exponentials_reference.log_softmax, _exponentials_cpu.log_softmax)
log_softmax_backward = _dispatch(exponentials_reference.log_softmax_backward, _exponentials_cpu.log_softmax_backward)

# bits
bits_log_prob = _dispatch(bits_reference.bits_log_prob, _bits_cpu.bits_log_prob, _bits_cuda.bits_log_prob)
bits_log_prob_backward = _dispatch(
    bits_reference.bits_log_prob_backward, _bits_cpu.bits_log_prob_backward, _bits_cuda.bits_log_prob_backward
)

# gated activation units
gated_tanh = _dispatch(gated_reference.gated_tanh, _gated_cpu.gated_tanh, _gated_cuda.gated_tanh)
gated_tanh_backward = _dispatch(
    gated_reference.gated_tanh_backward, _gated_cpu.gated_tanh_backward, _gated_cuda.gated_tanh_backward
)

# recurrent networks
rnn_forward = _dispatch(recurrence_reference.rnn_forward, _recurrence_cpu.rnn_forward)
rnn_backward = _dispatch(recurrence_reference.rnn_backward, _recurrence_cpu.rnn_backward)
gru_forward = _dispatch(recurrence_reference.gru_forward, _recurrence_cpu.gru_forward)
gru_backward = _dispatch(recurrence_reference.gru_backward, _recurrence_cpu.gru_backward)
lstm_forward = _dispatch(recurrence_reference.lstm_forward, _recurrence_cpu.lstm_forward)
lstm_backward = _dispatch(recurrence_reference.lstm_backward, _recurrence_cpu.lstm_backward)

# LSTMs over images
image_lstm_forward = _dispatch(image_lstm_reference.image_lstm_forward, _image_lstm_cpu.image_lstm_forward)
image_lstm_backward = _dispatch(image_lstm_reference.image_lstm_backward, _image_lstm_cpu.image_lstm_backward)

# neural autoregressive distribution estimator
nade_forward = _dispatch(nade_reference.nade_forward, _nade_cpu.nade_forward)
nade_backward = _dispatch(nade_reference.nade_backward, _nade_cpu.nade_backward)

# lengths
norm = _dispatch(reference.norm, _cpu.norm)

# windows
window_max = _dispatch(reference.window_max, _cpu.window_max)
window_put = _dispatch(reference.window_put, _cpu.window_put, indexed=True)

# rows
put_rows = _dispatch(rows_reference.put_rows, _rows_cpu.put_rows, indexed=True)

# optimizer steps, in place
sgd_step = _dispatch(reference.sgd_step, _cpu.sgd_step, _cuda.sgd_step)
rmsprop_step = _dispatch(reference.rmsprop_step, _cpu.rmsprop_step, _cuda.rmsprop_step)
adam_step = _dispatch(reference.adam_step, _cpu.adam_step, _cuda.adam_step)
lerp = _dispatch(reference.lerp, _cpu.lerp, _cuda.lerp)

# random words and numbers
uniform32 = _dispatch(reference.uniform32, _cpu.uniform32, _cuda.uniform32, dtype=np.uint32)
open_uniform32 = _dispatch(reference.open_uniform32, _cpu.open_uniform32, _cuda.open_uniform32, dtype=np.uint32)
normal32 = _dispatch(reference.normal32, _cpu.normal32, _cuda.normal32, dtype=np.uint32)
uniform64 = _dispatch(reference.uniform64, cuda=_cuda.uniform64, dtype=np.uint32)
open_uniform64 = _dispatch(reference.open_uniform64, cuda=_cuda.open_uniform64, dtype=np.uint32)
normal64 = _dispatch(reference.normal64, cuda=_cuda.normal64, dtype=np.uint32)


@functools.wraps(reference.philox)
def philox(xp: ModuleType, *, key: int, counter: int, blocks: int) -> Array:  # noqa: D103 -- it is the reference's
    chosen: Callable[..., Array] = reference.philox
    if xp is np and _COMPILED:
        chosen = imported(_cpu.philox)
    elif xp is not np and _cuda_serves(xp.ndarray):
        chosen = imported(_cuda.philox)
    return chosen(xp, key=key, counter=counter, blocks=blocks)


def raster_walk(network: Network, *, n: int, width: int) -> raster_reference.Walk:
    """Return what computes a network pixel by pixel; see `raster.reference.Walk`."""
    arrays = tuple(array for layer in network.layers for array in (layer.weight, layer.bias))
    kind: Callable[..., Any] = raster_reference.Walk
    if _COMPILED and all(type(array) is np.ndarray and array.dtype == np.float32 for array in arrays):
        kind = imported(_raster_cpu.Walk)
    elif _on_gpu(arrays, np.dtype(np.float32)):
        kind = imported(_raster_cuda.Walk)
    return kind(network, n=n, width=width)


def put_elements(values: Array, key: tuple[Any, ...], *, shape: tuple[int, ...]) -> Array:
    """Return zeros of a shape to which values are added at a key, those of one place in the same order each time.

    Args:
        values: of the shape of `zeros[key]`.
        key: what stands between brackets: index arrays among integers, slices, None and Ellipsis.
        shape: of the result.

    Example:
        >>> put_elements(np.array([1.0, 2.0, 5.0]), (np.array([0, 2, 0]),), shape=(3,))
        array([6., 0., 2.])
    """
    module = array_module(values)
    if module is np:
        out = np.zeros(shape, values.dtype)
        np.add.at(out, key, values)
        return out
    places = module.arange(math.prod(shape)).reshape(shape)[key]
    return put_rows(values.reshape(-1, 1), places.ravel(), count=math.prod(shape)).reshape(shape)


def sign(x: Array) -> Array:
    """Return -1, 0 or 1; the sign of NaN is NaN.

    Example:
        >>> sign(np.array([-2.0, 0.0, np.nan]))
        array([-1.,  0., nan])
    """
    module = array_module(x)
    found = module.sign(x)
    return found if module is np else module.where(x == x, found, x)  # CuPy's sign of NaN is 0


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
