"""Values and gradients of both orders, against PyTorch, for every case of every differentiable operation."""

import functools

import numpy as np
import pytest
from ops.cases import CASES, Case, is_float
from ops.cases.decompositions import of_stacks, projections

import minigen as mg
from minigen.ops.index import ARRAY

torch = pytest.importorskip("torch", reason="PyTorch is not installed; these tests compare with it")
F = torch.nn.functional

# ------------------------------------------------------------------------------------------------------ the twins


def derivative(function):
    """(g, x) -> g times the derivative of function at x, by PyTorch's own differentiation."""

    def backward(g, x, **keywords):
        (slope,) = torch.autograd.grad(function(x, **keywords).sum(), x, create_graph=True)
        return g * slope

    return backward


def derivative_for(function):
    """(g, x) -> the gradient of g.function(x), by PyTorch's own differentiation."""

    def backward(g, x, **keywords):
        return torch.autograd.grad(function(x, **keywords), x, g, create_graph=True)[0]

    return backward


def reduction(function):
    """A function of (x, dim, keepdim) as one of (x, axis, keepdims), where no axis means all."""
    return lambda x, axis=None, keepdims=False, **rest: function(x, dim=dims(x, axis), keepdim=keepdims, **rest)


def dims(x, axis):
    if axis is None:
        return tuple(range(x.ndim)) or (0,)
    return axis if isinstance(axis, tuple) else (axis,)


def product(x, dim, keepdim):
    for axis in sorted((a % max(x.ndim, 1) for a in dim), reverse=True):
        x = torch.prod(x, dim=axis, keepdim=keepdim)
    return x


def variance(x, dim, keepdim, correction=0):
    """torch.var without its warning about variances of single numbers."""
    squares = (x - x.mean(dim=dim, keepdim=True)) ** 2
    count = squares.numel() // max(squares.sum(dim=dim).numel(), 1)
    return squares.sum(dim=dim, keepdim=keepdim) / (count - correction)


def positions(shape, key):
    """Where x[key] finds its elements in x.reshape(-1); PyTorch itself has no negative steps."""
    return torch.as_tensor(np.arange(np.prod(shape, dtype=int)).reshape(shape)[key].copy())


def key_of(pattern, indices):
    arrays = iter(indices)
    return tuple(next(arrays).numpy() if item is ARRAY else item for item in pattern)


def index(x, key):
    return x.reshape(-1)[positions(x.shape, key)]


def put(values, *indices, pattern, shape):
    places = positions(shape, key_of(pattern, indices))
    return (
        torch.zeros(int(np.prod(shape)), dtype=values.dtype)
        .index_add(0, places.reshape(-1), values.reshape(-1))
        .reshape(shape)
    )


def sum_to(x, shape):
    return x.sum_to_size(shape) if shape else x.sum()


def gelu(x, form="exact"):
    return F.gelu(x, approximate="none" if form == "exact" else "tanh")


def leaky_relu(x, slope=0.01):
    return F.leaky_relu(x, slope)


def elu(x, alpha=1.0):
    return F.elu(x, alpha)


def split(x, sections, axis=0):
    return torch.tensor_split(x, sections, dim=axis)


def repeat(x, repeats, axis=None):
    return torch.repeat_interleave(x, repeats, dim=axis)


def cumsum(x, axis=None):
    return torch.cumsum(x.reshape(-1) if axis is None or x.ndim == 0 else x, dim=axis or 0)


def roll(x, shift, axis=None):
    if isinstance(axis, tuple) and not isinstance(shift, tuple):
        shift = (shift,) * len(axis)
    return torch.roll(x, shift, dims=axis)


def dot(a, b):
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    return torch.tensordot(a, b, dims=([-1], [-2 if b.ndim > 1 else 0]))


def tensordot(a, b, axes=2):
    pair = isinstance(axes, tuple)
    return torch.tensordot(a, b, dims=[[n] if isinstance(n, int) else list(n) for n in axes] if pair else axes)


def diagonal(x, offset=0, axis1=0, axis2=1):
    return torch.diagonal(x, offset=offset, dim1=axis1, dim2=axis2)


def pad(x, width, value=0.0):
    return F.pad(x, [n for pair in reversed(width) for n in pair], value=value)


def expand_dims(x, axis):
    for a in sorted(a % (x.ndim + len(axis)) for a in axis):
        x = x.unsqueeze(a)
    return x


def linear(x, weight, bias=None):
    return F.linear(x, weight.T, bias)


def pooling(function):
    """A function of images (N, C, H, W) as one of (N, H, W, C)."""
    return lambda x, **keywords: function(x.permute(0, 3, 1, 2), **keywords).permute(0, 2, 3, 1)


def upsample(x, factor, mode):
    options = {"align_corners": False} if mode == "bilinear" else {}
    return F.interpolate(x, scale_factor=factor, mode=mode, **options)


def seen(x, windows, fill):
    """What every window along an axis sees, (..., K), the axis last but one."""
    padded = F.pad(x.movedim(windows.axis, -1), (windows.padding, windows.padding), value=fill)
    return padded.unfold(-1, windows.size, windows.stride)


def window_sum(x, windows, weights):
    return (seen(x, windows, 0.0) @ torch.tensor(weights, dtype=x.dtype)).movedim(-1, windows.axis)


def window_max(x, windows):
    return seen(x, windows, -float("inf")).amax(-1).movedim(-1, windows.axis)


def window_pick(x, choice, windows):
    picked = torch.gather(seen(x, windows, 0.0), -1, choice.movedim(windows.axis, -1)[..., None])
    return picked[..., 0].movedim(-1, windows.axis)


def normalize(x, weight=None, bias=None, *, axes, epsilon=1e-5):
    """F.batch_norm after the groups' axes have been put first and their values into one."""
    axes = tuple(axis % x.ndim for axis in axes)
    order = (*axes, *(axis for axis in range(x.ndim) if axis not in axes))
    rows = x.permute(order)
    flat = F.batch_norm(rows.reshape(int(np.prod(rows.shape[: len(axes)])), -1), None, None, training=True, eps=epsilon)
    out = flat.reshape(rows.shape).permute(tuple(np.argsort(order)))
    return out if weight is None else out * weight + bias


def root_mean_square(x, axis=None, keepdims=False, epsilon=0.0):
    return torch.sqrt((x**2).mean(axis, keepdim=keepdims) + epsilon)


def standardized(x, axes, epsilon):
    """In single steps, since the third derivatives of F.batch_norm do not agree with finite differences."""
    deviation = x - x.mean(axes, keepdim=True)
    return deviation / torch.sqrt((deviation**2).mean(axes, keepdim=True) + epsilon)


def adjoint(function):
    """The transpose of a linear function of images, as a function of (y, ..., length) with the length of the images along the axis."""

    def transposed(y, *constants, windows, length, **keywords):
        shape = [length if axis == windows.axis else n for axis, n in enumerate(y.shape)]
        x = torch.zeros(shape, dtype=y.dtype, requires_grad=True)
        return torch.autograd.grad(function(x, *constants, windows=windows, **keywords), x, y, create_graph=True)[0]

    return transposed


# -- convolution


def channels_first(x):
    return x.movedim(-1, 1)


def channels_last(x):
    return x.movedim(1, -1)


def masked(weight, mask):
    if mask is None:
        return weight
    mask = torch.as_tensor(mask)
    return weight * (mask if mask.ndim == weight.ndim else mask[..., None, None])


def conv(function, x, weight, bias=None, *, padding=0, mask=None, **settings):
    """F.conv1d or F.conv2d with minigen's layout; zeros are put around the image first, since they may differ from side to side."""
    axes = x.ndim - 2
    x, weight = channels_first(x), masked(weight, mask)
    stride, dilation = (pair(settings.get(name, 1), axes) for name in ("stride", "dilation"))
    around = sides_of(padding, x.shape[2:], weight.shape[:axes], stride, dilation)
    padded = F.pad(x, [n for side in reversed(around) for n in side])
    return channels_last(function(padded, weight.movedim(-1, 0).movedim(-1, 1), bias, **settings))


def conv_transposed(function, x, weight, bias=None, *, padding=0, output_padding=0, mask=None, **settings):
    """F.conv_transpose1d or 2d with minigen's layout; what is too much is cut off afterwards."""
    axes = x.ndim - 2
    weight = masked(weight, mask)
    kernel = weight.shape[:axes]
    stride, dilation = (pair(settings.get(name, 1), axes) for name in ("stride", "dilation"))
    size = [n * s for n, s in zip(x.shape[1:-1], stride, strict=True)]
    around = sides_of(padding, size, kernel, stride, dilation)
    reach = [(n - 1) * s + d * (k - 1) + 1 for n, s, d, k in zip(x.shape[1:-1], stride, dilation, kernel, strict=True)]
    if padding != "same":
        more = pair(output_padding, axes)
        size = [r - t - b + m for r, (t, b), m in zip(reach, around, more, strict=True)]
    whole = function(channels_first(x), weight.movedim(-1, 0).movedim(-1, 1), None, **settings)
    ends = [max(0, t + n - r) for (t, _), n, r in zip(around, size, reach, strict=True)]
    whole = F.pad(whole, [n for end in reversed(ends) for n in (0, end)])
    for axis, ((t, _), n) in enumerate(zip(around, size, strict=True)):
        whole = whole.narrow(2 + axis, t, n)
    out = channels_last(whole)
    return out if bias is None else out + bias


def pair(setting, axes):
    return setting if isinstance(setting, tuple) else (setting,) * axes


def sides_of(padding, size, kernel, stride, dilation):
    if padding == "same":
        totals = [
            max(0, (-(-n // s) - 1) * s + d * (k - 1) + 1 - n)
            for n, k, s, d in zip(size, kernel, stride, dilation, strict=True)
        ]
        return [(total // 2, total - total // 2) for total in totals]
    if len(size) == 1:
        return [pair(padding, 2)]
    return [pair(side, 2) for side in pair(padding, 2)]


def settings_of(geometry):
    """A geometry as settings of conv, with the zeros behind the image, or those cut off, that lead to its output's size."""
    sides = []
    for n, p, k, s, t, d in zip(
        geometry.size,
        geometry.out_size,
        geometry.kernel,
        geometry.stride,
        geometry.padding,
        geometry.dilation,
        strict=True,
    ):
        sides.append((t, (p - 1) * s + d * (k - 1) + 1 - n - t))
    live = np.zeros(geometry.kernel, bool)
    for tap in geometry.taps:
        live[tap] = True
    return {"stride": geometry.stride, "dilation": geometry.dilation, "groups": geometry.groups, "mask": live}, tuple(
        sides
    )


def convolve(x, weight, bias=None, *, geometry):
    settings, around = settings_of(geometry)
    return conv(F.conv2d, x, weight, bias, padding=around, **settings)


def convolve_transposed(y, weight, bias=None, *, geometry):
    """The gradient of the convolution by its image, which is zero."""
    x = torch.zeros((len(y), *geometry.size, weight.shape[2] * geometry.groups), dtype=y.dtype, requires_grad=True)
    out = torch.autograd.grad(convolve(x, weight, geometry=geometry), x, y, create_graph=True)[0]
    return out if bias is None else out + bias


def convolve_weight(x, y, *, geometry):
    shape = (*geometry.kernel, x.shape[3] // geometry.groups, y.shape[3])
    weight = torch.zeros(shape, dtype=y.dtype, requires_grad=True)
    return torch.autograd.grad(convolve(x, weight, geometry=geometry), weight, y, create_graph=True)[0]


def attention(query, key, value, mask=None, *, causal=False, scale=None):
    """Without PyTorch's own function for booleans, which returns NaN to a query that sees no key."""
    if mask is not None and mask.dtype != torch.bool:
        return attend_biased(query, key, value, mask, causal=causal, scale=scale)
    (_, queries, _, features), keys = query.shape, key.shape[1]
    scores = torch.einsum("nthd,nshd->nhts", query, key) * (features**-0.5 if scale is None else scale)
    seen = torch.ones(queries, keys, dtype=torch.bool)
    if causal:
        seen = seen.tril(keys - queries)
    if mask is not None:
        seen = seen & (mask[:, None, None] if mask.ndim == 2 else mask[:, None])
    shares = torch.softmax(torch.where(seen, scores, -1e300), dim=-1) * seen.any(dim=-1, keepdim=True)
    return torch.einsum("nhts,nshe->nthe", shares, value)


def clip(x, low=None, high=None):
    """torch.clamp of an x that is as large as its bounds, since its gradient for another one is refused."""
    bounds = [bound for bound in (low, high) if isinstance(bound, torch.Tensor)]
    return torch.clamp(torch.broadcast_tensors(x, *bounds)[0] if bounds else x, low, high)


def attend_biased(query, key, value, bias, *, causal=False, scale=None):
    """PyTorch's own function, which has the heads before the places, and takes causality as numbers too."""
    (_, queries), keys = query.shape[:2], key.shape[1]
    bias = bias[:, None, None] if bias.ndim == 2 else bias[:, None] if bias.ndim == 3 else bias
    if causal:
        bias = bias.masked_fill(~torch.ones(queries, keys, dtype=torch.bool).tril(keys - queries), -float("inf"))
    query, key, value = (x.transpose(1, 2) for x in (query, key, value))
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        out = F.scaled_dot_product_attention(query, key, value, bias, scale=scale)
    return out.transpose(1, 2)


def cross_entropy(logits, targets, weight=None, ignore_index=-100, **settings):
    """With the classes last."""
    flat = logits.reshape(-1, logits.shape[-1])
    targets = targets.reshape(flat.shape if targets.ndim == logits.ndim else flat.shape[:1])
    weight = None if weight is None else torch.as_tensor(weight)
    if len(flat) == 0:
        return flat.sum()  # where PyTorch's mean is NaN
    losses = F.cross_entropy(flat, targets, weight, ignore_index=ignore_index, **settings)
    return losses.reshape(logits.shape[:-1]) if losses.ndim else losses


def self_attention(packed, mask=None, **settings):
    return attention(*packed.unbind(2), mask, **settings)


def walked(cell, x, states, mask, reverse):
    """The hidden states of all steps, and after them further parts of the last state, by PyTorch's function of one step."""
    hidden = [None] * x.shape[1]
    for t in reversed(range(x.shape[1])) if reverse else range(x.shape[1]):
        new = cell(x[:, t], states)
        states = (
            new if mask is None else [torch.where(mask[:, t, None], a, b) for a, b in zip(new, states, strict=True)]
        )
        hidden[t] = states[0]
    return torch.stack([*hidden, *states[1:]], dim=1)


def rnn_sequence(x, weight_x, weight_h, bias, hidden, mask=None, *, reverse=False):
    def cell(x, states):
        return [torch.rnn_tanh_cell(x, states[0], weight_x.mT, weight_h.mT, bias, torch.zeros_like(bias))]

    return walked(cell, x, [hidden], mask, reverse)


def gru_sequence(x, weight_x, weight_h, bias, bias_n, hidden, mask=None, *, reverse=False):
    inner = torch.cat([torch.zeros_like(bias[: -len(bias_n)]), bias_n])

    def cell(x, states):
        return [torch.gru_cell(x, states[0], weight_x.mT, weight_h.mT, bias, inner)]

    return walked(cell, x, [hidden], mask, reverse)


def lstm_sequence(x, weight_x, weight_h, bias, hidden, cell, mask=None, *, reverse=False):
    def step(x, states):
        return list(torch.lstm_cell(x, states, weight_x.mT, weight_h.mT, bias, torch.zeros_like(bias)))

    return walked(step, x, [hidden, cell], mask, reverse)


def nade_logits(x, weight, hidden_bias, out_weight, bias):
    """Site by site, each from the ones before it."""
    logits = [
        torch.sigmoid(hidden_bias + x[:, :i] @ weight[:i]) @ out_weight[i] + bias[i] for i in range(len(bias))
    ]  # (N,) each
    return torch.stack(logits, dim=1)


def image_lstm(inputs, weight, *, direction):
    """Pixel by pixel, by PyTorch's function of one step, to which the states before come side by side."""
    n, height, width, features = *inputs.shape[:3], weight.shape[1]
    beside = 1 if direction == "left" else -1
    taps = [(-1, k - len(weight) // 2) for k in range(len(weight))] if direction == "down" else [(-1, 0), (0, beside)]
    down, right = (-1, 0) if direction == "down" else (0, beside)  # where the cell comes from
    states, zero = {}, [inputs.new_zeros(n, features)] * 2
    for i in range(height):
        for j in range(width)[::-beside]:
            seen = torch.stack([states.get((i + r, j + s), zero)[0] for r, s in taps])  # (taps, N, H)
            total = inputs[:, i, j] + torch.einsum("tnh,thk->nk", seen, weight)
            gate_i, gate_f, g, gate_o = total.split(features, dim=1)
            cell = torch.sigmoid(gate_f) * states.get((i + down, j + right), zero)[1] + torch.sigmoid(
                gate_i
            ) * torch.tanh(g)
            states[i, j] = torch.sigmoid(gate_o) * torch.tanh(cell), cell
    rows = [torch.stack([states[i, j][0] for j in range(width)], dim=1) for i in range(height)]
    return torch.stack(rows, dim=1)


def bits_log_prob(x, logits):
    """Minus PyTorch's cross-entropy, which takes logits and targets of one shape."""
    x, logits = torch.broadcast_tensors(x, logits)
    return -F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(dim=-1)


def gated_tanh(x):
    a, b = x.chunk(2, dim=-1)
    return torch.tanh(a) * torch.sigmoid(b)


def gated_tanh_backward(g, x):
    return torch.autograd.grad(gated_tanh(x), x, g, create_graph=True)[0]


def symmetric(a, UPLO="L"):
    """The symmetric matrices that are read from one triangle of a; PyTorch would share the gradients out between both."""
    return a.tril() + a.tril(-1).mT if UPLO == "L" else a.triu() + a.triu(1).mT


@of_stacks
def solve(a, b):
    return torch.linalg.solve(a, b[..., None])[..., 0] if b.ndim == 1 else torch.linalg.solve(a, b)


@of_stacks
def cholesky(a):
    return torch.linalg.cholesky(symmetric(a))


@of_stacks
def eigh(a, UPLO="L"):
    values, vectors = torch.linalg.eigh(symmetric(a, UPLO))
    return values, projections(vectors.mT)


TWINS = {
    "abs": torch.abs,
    "add": torch.add,
    "arccos": torch.arccos,
    "arccosh": torch.arccosh,
    "arcsin": torch.arcsin,
    "arcsinh": torch.arcsinh,
    "arctan": torch.arctan,
    "arctan2": torch.arctan2,
    "arctanh": torch.arctanh,
    "array_split": split,
    "astype": lambda x, dtype: x,
    "attend": attention,
    "attend_biased": attend_biased,
    "attend_packed": self_attention,
    "attention": attention,
    "avg_pool2d": pooling(F.avg_pool2d),
    "bit_log_prob": lambda x, logits: -F.softplus(-logits) * x - F.softplus(logits) * (1 - x),
    "bits_log_prob": bits_log_prob,
    "bits_log_prob_backward": lambda g, x, logits: g[..., None] * (x - torch.sigmoid(logits)),
    "broadcast_to": lambda x, shape: torch.broadcast_to(x, shape),
    "cholesky": cholesky,
    "clip": clip,
    "concatenate": lambda *arrays, axis=0: torch.cat(arrays, dim=axis),
    "conv1d": functools.partial(conv, F.conv1d),
    "conv2d": functools.partial(conv, F.conv2d),
    "conv_transpose1d": functools.partial(conv_transposed, F.conv_transpose1d),
    "conv_transpose2d": functools.partial(conv_transposed, F.conv_transpose2d),
    "convolve": convolve,
    "convolve_transposed": convolve_transposed,
    "convolve_weight": convolve_weight,
    "cos": torch.cos,
    "cosh": torch.cosh,
    "cross_entropy": cross_entropy,
    "cumsum": cumsum,
    "diag": lambda x, k=0: torch.diag(x, k),
    "diagonal": diagonal,
    "diff": lambda x, n=1, axis=-1: torch.diff(x, n, dim=axis),
    "divide": torch.div,
    "dot": dot,
    "eigensystem": eigh,
    "eigh": eigh,
    "einstein_sum": lambda *arrays, inputs, output: torch.einsum(",".join(inputs) + "->" + output, *arrays),
    "einsum": lambda *arrays, subscripts: torch.einsum(subscripts, *arrays),
    "elu": elu,
    "elu_backward": derivative(elu),
    "erf": torch.erf,
    "erfinv": torch.erfinv,
    "exp": torch.exp,
    "exp2": torch.exp2,
    "expand_dims": expand_dims,
    "expm1": torch.expm1,
    "flip": lambda x, axis=None: torch.flip(x, dims(x, axis)),
    "gated_tanh": gated_tanh,
    "gated_tanh_backward": gated_tanh_backward,
    "gather": lambda x, indices, axis: torch.gather(x, axis, indices),
    "gelu": gelu,
    "erf_backward": derivative(torch.erf),
    "gelu_backward": derivative(gelu),
    "gradient_reversal": lambda x, scale: x,  # by a scale of -1, the only one of which the derivative is the gradient
    "gru_sequence": gru_sequence,
    "hstack": lambda *arrays: torch.hstack(torch.atleast_1d(*arrays)),
    "hypot": torch.hypot,
    "image_lstm": image_lstm,
    "index": index,
    "inner": torch.inner,
    "inv": of_stacks(torch.linalg.inv),
    "join": lambda *arrays, axis: torch.cat(arrays, dim=axis),
    "kron": torch.kron,
    "leaky_relu": leaky_relu,
    "leaky_relu_backward": derivative(leaky_relu),
    "linear": linear,
    "log": torch.log,
    "log1p": torch.log1p,
    "log2": torch.log2,
    "log10": torch.log10,
    "log_ndtr": torch.special.log_ndtr,
    "log_ndtr_backward": derivative(torch.special.log_ndtr),
    "log_ndtr_curvature": derivative(lambda x: derivative(torch.special.log_ndtr)(torch.ones_like(x), x)),
    "log_softmax": lambda x, axis=-1: F.log_softmax(x, dim=axis),
    "log_softmax_backward": lambda g, y, axis: g - y.exp() * g.sum(axis, keepdim=True),
    "logaddexp": torch.logaddexp,
    "logsumexp": reduction(torch.logsumexp),
    "lstm_sequence": lstm_sequence,
    "matmul": torch.matmul,
    "matrix_product": lambda a, b, transpose_a=False, transpose_b=False: torch.matmul(
        a.mT if transpose_a else a, b.mT if transpose_b else b
    ),
    "max": reduction(torch.amax),
    "max_pool2d": pooling(F.max_pool2d),
    "maximum": torch.maximum,
    "mean": reduction(torch.mean),
    "min": reduction(torch.amin),
    "minimum": torch.minimum,
    "mod": torch.remainder,
    "moveaxis": torch.moveaxis,
    "multiply": torch.mul,
    "nade_logits": nade_logits,
    "nan_to_num": torch.nan_to_num,
    "negative": torch.neg,
    "norm": reduction(torch.linalg.vector_norm),
    "normalize": normalize,
    "normalize_backward": derivative_for(standardized),
    "normalize_by": normalize,
    "normalize_groups": normalize,
    "outer": lambda a, b: torch.outer(a.reshape(-1), b.reshape(-1)),
    "pad": pad,
    "pixel_shuffle": pooling(lambda x, factor: F.pixel_shuffle(x, factor)),
    "pixel_unshuffle": pooling(lambda x, factor: F.pixel_unshuffle(x, factor)),
    "power": torch.pow,
    "prod": reduction(product),
    "put": put,
    "reciprocal": torch.reciprocal,
    "relu": F.relu,
    "relu_backward": lambda g, y: torch.where(y > 0, g, 0.0),
    "repeat": repeat,
    "reshape": lambda x, shape: torch.reshape(x, shape),
    "rnn_sequence": rnn_sequence,
    "roll": roll,
    "root_mean_square": root_mean_square,
    "scatter_add": lambda x, indices, values, axis: torch.scatter_add(x, axis, indices, values),
    "self_attention": self_attention,
    "sigmoid": torch.sigmoid,
    "sigmoid_backward": lambda g, y: g * y * (1 - y),
    "signed_log_determinant": lambda a: torch.stack(list(torch.linalg.slogdet(a)), dim=-1),
    "silu": F.silu,
    "silu_backward": derivative(F.silu),
    "sin": torch.sin,
    "sinh": torch.sinh,
    "slogdet": of_stacks(lambda a, part=1: torch.linalg.slogdet(a)[part]),
    "softmax": lambda x, axis=-1: F.softmax(x, dim=axis),
    "softmax_backward": lambda g, y, axis: y * (g - (g * y).sum(axis, keepdim=True)),
    "softplus": F.softplus,
    "softplus_backward": derivative(F.softplus),
    "solve": solve,
    "sort": lambda x, axis=-1: torch.sort(x.reshape(-1) if axis is None else x, dim=0 if axis is None else axis)[0],
    "split": split,
    "sqrt": torch.sqrt,
    "square": torch.square,
    "squeeze": lambda x, axis=None: x.squeeze() if axis is None else x.squeeze(axis),
    "stack": lambda *arrays, axis=0: torch.stack(arrays, dim=axis),
    "std": reduction(lambda x, **settings: torch.sqrt(variance(x, **settings))),
    "straight_through": lambda x: x,
    "subtract": torch.sub,
    "sum": reduction(torch.sum),
    "sum_to": sum_to,
    "swapaxes": lambda x, axis1, axis2: torch.swapaxes(x, axis1, axis2),
    "take": lambda x, *indices, pattern: index(x, key_of(pattern, indices)),
    "tan": torch.tan,
    "tanh": torch.tanh,
    "tanh_backward": lambda g, y: g * (1 - y * y),
    "tensordot": tensordot,
    "tile": lambda x, repetitions: torch.tile(x, repetitions),
    "to_device": lambda x, device, source: x,
    "trace": lambda x, **axes: diagonal(x, **axes).sum(-1),
    "transpose": lambda x, axes=None: x.permute(tuple(reversed(range(x.ndim))) if axes is None else axes),
    "tril": lambda x, k=0: torch.tril(x, k),
    "triu": lambda x, k=0: torch.triu(x, k),
    "upsample2d": pooling(upsample),
    "var": reduction(variance),
    "vstack": lambda *arrays: torch.vstack(arrays),
    "where": torch.where,
    "window_max": window_max,
    "window_pick": window_pick,
    "window_put": adjoint(window_pick),
    "window_spread": adjoint(window_sum),
    "window_sum": window_sum,
}

# ------------------------------------------------------------------------------------------------------ the comparison

DIFFERENTIABLE = [case for case in CASES if case.differentiable]
REFUSED = {
    "conv2d-no channels",
    "conv2d-into no channels",
    "conv_transpose2d-no channels",
}  # by PyTorch, as far as gradients go


def in_torch(case: Case, floats):
    """The outputs of the case's twin; Python numbers become tensors, since some of its functions take nothing else."""
    values = iter(floats)
    arguments = [
        next(values)
        if is_float(a)
        else a
        if a is None
        else torch.as_tensor(a, dtype=torch.float64 if isinstance(a, float) else None)
        for a in case.arguments
    ]
    results = TWINS[case.name](*arguments, **case.keywords)
    return list(results) if isinstance(results, tuple) else [results]


def random_like(arrays, seed):
    rng = np.random.default_rng(seed)
    return [np.asarray(rng.standard_normal(tuple(a.shape))) for a in arrays]


def assert_close(obtained, expected, bound, what):
    for i, (a, b) in enumerate(zip(obtained, expected, strict=True)):
        a = np.zeros(tuple(b.shape)) if a is None else a.data
        b = b.numpy(force=True)
        assert a.shape == b.shape, f"{what} {i}"
        assert np.max(np.abs(a - b), initial=0.0) <= bound * np.max(np.abs(b), initial=1.0), f"{what} {i}"


def test_every_differentiable_operation_has_a_twin():
    assert {case.name for case in DIFFERENTIABLE} == set(TWINS)


@pytest.mark.parametrize("case", [case for case in DIFFERENTIABLE if str(case) not in REFUSED], ids=str)
def test_float64(case: Case):
    """Within 1e-10 of the largest magnitude: values, gradients for a random cotangent, and the gradients of those."""
    x = [mg.Tensor(a, requires_grad=True) for a in case.floats]
    y = case.outputs(x)
    cotangents = random_like(y, seed=1)
    u = [mg.Tensor(c, requires_grad=True) for c in cotangents]
    first = mg.grad(y, x, u, create_graph=True, allow_unused=True)
    connected = [g for g in first if g is not None]
    second = mg.grad(connected, [*x, *u], random_like(connected, seed=2), allow_unused=True)

    x_torch = [torch.tensor(a, requires_grad=True) for a in case.floats]
    y_torch = in_torch(case, x_torch)
    u_torch = [torch.tensor(c, requires_grad=True) for c in cotangents]
    options = {"allow_unused": True, "materialize_grads": True}
    first_torch = torch.autograd.grad(y_torch, x_torch, u_torch, create_graph=True, **options)
    reached = [g for g, ours in zip(first_torch, first, strict=True) if ours is not None]
    seeds = [torch.tensor(v) for v in random_like(reached, seed=2)]
    second_torch = torch.autograd.grad(reached, [*x_torch, *u_torch], seeds, **options)

    assert_close(y, y_torch, 1e-10, "output")
    assert_close(first, first_torch, 1e-10, "gradient of argument")
    assert_close(second, second_torch, 1e-10, "second-order gradient of argument or cotangent")


FAST = {
    "tanh": mg.tanh,
    "sigmoid": mg.sigmoid,
    "softplus": mg.softplus,
    "silu": mg.silu,
    "gelu": mg.gelu,
    "erf": mg.erf,
    "log_ndtr": mg.log_ndtr,
    "relu": mg.relu,
    "leaky_relu": mg.leaky_relu,
    "elu": mg.elu,
    "softmax": mg.softmax,
    "log_softmax": mg.log_softmax,
    "logsumexp": mg.logsumexp,
}


@pytest.mark.parametrize("name", FAST)
def test_float32_kernels(name):
    """From PyTorch's float64 a float32 kernel is off by at most 16 roundings, for 10,001 inputs from -12 to 12.

    A rounding is one of a number of the largest magnitude. Slopes such as that of silu, s (1 + x (1 - s)), multiply the rounding of s
    by x, which makes 12 of it.
    """
    values = np.linspace(-12.0, 12.0, 10_001, dtype="float32").reshape(73, 137)
    cotangent = np.cos(np.arange(values.size)).astype("float32").reshape(values.shape)
    x, x_torch = mg.Tensor(values, requires_grad=True), torch.tensor(values.astype("float64"), requires_grad=True)
    y, y_torch = FAST[name](x), TWINS[name](x_torch)
    if y.ndim == 0:
        cotangent = np.float32(0.7)
    assert y.dtype == np.float32
    assert_close([y], [y_torch], 16 * 2.0**-24, "output")
    (expected,) = torch.autograd.grad(y_torch, x_torch, torch.tensor(np.float64(cotangent)))
    assert_close([mg.grad(y, x, cotangent)], [expected], 16 * 2.0**-24, "gradient")
