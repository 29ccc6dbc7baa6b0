"""The operations: every primitive of minigen, its forward beside its vjps, under NumPy's names.

Given a Tensor, an operation returns a Tensor and records how it was made. Given arrays only, it returns an array and records nothing,
so `mg.exp(ndarray)` is an ndarray.
"""

from minigen.engine import add as add
from minigen.engine import sum_to as sum_to
from minigen.operators import hint_at, table
from minigen.ops.attention import attention, self_attention
from minigen.ops.bits import bit_log_prob, bits_log_prob
from minigen.ops.conv import conv1d, conv2d, conv_transpose1d, conv_transpose2d
from minigen.ops.creation import arange, eye, from_dlpack, full, linspace, ones, tensor, to_device, zeros
from minigen.ops.cross_entropy import cross_entropy
from minigen.ops.decompositions import cholesky, eigh, inv, slogdet, solve
from minigen.ops.diagonals import diag, diagonal, trace, tril, triu
from minigen.ops.elementwise import (
    abs,
    clip,
    cos,
    divide,
    elu,
    equal,
    erf,
    erfinv,
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
    log_ndtr,
    maximum,
    minimum,
    multiply,
    nan_to_num,
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
from minigen.ops.powers import exp2, log2, log10, logaddexp, reciprocal, square
from minigen.ops.products import dot, inner, kron, outer, tensordot
from minigen.ops.reduce import (
    argmax,
    argmin,
    cumsum,
    diff,
    log_softmax,
    logsumexp,
    max,
    mean,
    min,
    norm,
    prod,
    root_mean_square,
    softmax,
    std,
    sum,
    var,
)
from minigen.ops.rounding import ceil, floor, floor_divide, mod, round
from minigen.ops.shape import (
    array_split,
    astype,
    broadcast_to,
    concatenate,
    expand_dims,
    flip,
    hstack,
    moveaxis,
    pad,
    repeat,
    reshape,
    roll,
    split,
    squeeze,
    stack,
    swapaxes,
    tile,
    transpose,
    vstack,
)
from minigen.ops.sorting import argsort, sort
from minigen.ops.trigonometry import arccos, arccosh, arcsin, arcsinh, arctan, arctan2, arctanh, cosh, hypot, sinh, tan

__all__ = [
    "abs", "add", "arange", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "argmax", "argmin", "argsort",
    "array_split", "astype", "attention", "avg_pool2d", "bit_log_prob", "bits_log_prob", "broadcast_to", "ceil", "cholesky", "clip",
    "concatenate", "conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d", "cos", "cosh", "cross_entropy", "cumsum", "diag", "diagonal",
    "diff", "divide", "dot", "eigh", "einsum", "elu", "equal", "erf", "erfinv", "exp", "exp2", "expand_dims", "expm1", "eye", "flip",
    "floor", "floor_divide", "from_dlpack", "full", "gated_tanh", "gather", "gelu", "gradient_reversal", "greater", "greater_equal",
    "hstack", "hypot", "inner", "inv", "kron", "leaky_relu", "less", "less_equal", "linear", "linspace", "log", "log1p", "log2", "log10",
    "log_ndtr", "log_softmax", "logaddexp", "logsumexp", "matmul", "max", "max_pool2d", "maximum", "mean", "min", "minimum", "mod",
    "moveaxis", "multiply", "nan_to_num", "negative", "norm", "normalize", "not_equal", "ones", "outer", "pad", "pixel_shuffle",
    "pixel_unshuffle", "power", "prod", "reciprocal", "relu", "repeat", "reshape", "roll", "root_mean_square", "round", "scatter_add",
    "self_attention", "sigmoid", "sign", "silu", "sin", "sinh", "slogdet", "softmax", "softplus", "solve", "sort", "split", "sqrt",
    "square", "squeeze", "stack", "std", "straight_through", "subtract", "sum", "swapaxes", "tan", "tanh", "tensor", "tensordot", "tile",
    "trace", "transpose", "tril", "triu", "upsample2d", "var", "vstack", "where", "zeros",
]  # fmt: skip

# What Tensor's operators and methods call: the one place where the engine reaches upwards.
table.__dict__.update(
    add=add, subtract=subtract, multiply=multiply, divide=divide, floor_divide=floor_divide, mod=mod, power=power, matmul=matmul,
    negative=negative, abs=abs, equal=equal, not_equal=not_equal, less=less, less_equal=less_equal, greater=greater,
    greater_equal=greater_equal, index=index, transpose=transpose, reshape=reshape, squeeze=squeeze,
    broadcast_to=broadcast_to, astype=astype, to_device=to_device, sum=sum, mean=mean, max=max, min=min,
)  # fmt: skip
hint_at({name: f"mg.{name}(x)" for name in __all__})
