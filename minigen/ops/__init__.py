"""The operations: every primitive of minigen, its forward beside its vjps, under NumPy's names.

Given a Tensor, an operation returns a Tensor and records how it was made. Given arrays only, it returns an array and records nothing,
so `mg.exp(ndarray)` is an ndarray.
"""

from minigen.engine import add as add
from minigen.engine import sum_to as sum_to
from minigen.operators import table
from minigen.ops.attention import attention, self_attention
from minigen.ops.bits import bits_log_prob
from minigen.ops.conv import conv1d, conv2d, conv_transpose1d, conv_transpose2d
from minigen.ops.creation import arange, from_dlpack, full, linspace, ones, tensor, to_device, zeros
from minigen.ops.elementwise import (
    abs,
    clip,
    cos,
    divide,
    elu,
    equal,
    erf,
    exp,
    expm1,
    gelu,
    greater,
    greater_equal,
    leaky_relu,
    less,
    less_equal,
    log,
    log1p,
    maximum,
    minimum,
    multiply,
    negative,
    not_equal,
    power,
    relu,
    sigmoid,
    sign,
    silu,
    sin,
    softplus,
    sqrt,
    subtract,
    tanh,
    where,
)
from minigen.ops.estimators import gradient_reversal, straight_through
from minigen.ops.gated import gated_tanh
from minigen.ops.index import gather, index, scatter_add
from minigen.ops.linalg import einsum, linear, matmul
from minigen.ops.norm import normalize
from minigen.ops.pool import avg_pool2d, max_pool2d, pixel_shuffle, pixel_unshuffle, upsample2d
from minigen.ops.reduce import (
    argmax,
    cumsum,
    log_softmax,
    logsumexp,
    max,
    mean,
    min,
    norm,
    prod,
    softmax,
    sum,
    var,
)
from minigen.ops.shape import (
    astype,
    broadcast_to,
    concatenate,
    expand_dims,
    flip,
    moveaxis,
    pad,
    repeat,
    reshape,
    split,
    squeeze,
    stack,
    tile,
    transpose,
)

__all__ = [
    "abs", "add", "arange", "argmax", "astype", "attention", "avg_pool2d", "bits_log_prob", "broadcast_to", "clip", "concatenate", "conv1d",
    "conv2d", "conv_transpose1d", "conv_transpose2d", "cos", "cumsum", "divide", "einsum", "elu", "equal", "erf", "exp", "expand_dims",
    "expm1", "flip", "from_dlpack", "full", "gated_tanh", "gather", "gelu", "gradient_reversal", "greater", "greater_equal", "leaky_relu",
    "less", "less_equal", "linear", "linspace", "log", "log1p", "log_softmax", "logsumexp", "matmul", "max", "max_pool2d", "maximum",
    "mean", "min", "minimum", "moveaxis", "multiply", "negative", "norm", "normalize", "not_equal", "ones", "pad", "pixel_shuffle",
    "pixel_unshuffle", "power", "prod", "relu", "repeat", "reshape", "scatter_add", "self_attention", "sigmoid", "sign", "silu", "sin",
    "softmax", "softplus", "split", "sqrt", "squeeze", "stack", "straight_through", "subtract", "sum", "tanh", "tensor", "tile",
    "transpose", "upsample2d", "var", "where", "zeros",
]  # fmt: skip

# What Tensor's operators and methods call: the one place where the engine reaches upwards.
table.__dict__.update(
    add=add, subtract=subtract, multiply=multiply, divide=divide, power=power, matmul=matmul, negative=negative, abs=abs,
    equal=equal, not_equal=not_equal, less=less, less_equal=less_equal, greater=greater, greater_equal=greater_equal,
    index=index, transpose=transpose, reshape=reshape, broadcast_to=broadcast_to, astype=astype, to_device=to_device,
    sum=sum, mean=mean, max=max, min=min,
)  # fmt: skip
