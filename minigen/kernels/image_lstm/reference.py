"""LSTMs over images in plain array code, for NumPy and CuPy: the definition of what the compiled kernels compute.

With h[l] and c[l] the states and cells at position l of the line before, and h'[l] and c'[l] those of the line to be computed; x is what
comes from the input, W_k the weight of the k-th of K taps, and e_k how far it is along the line (see `lines.py`):

    a = x[l] + sum_k h[l + e_k] W_k,        i, f, g, o = the quarters of a, under sigmoid, sigmoid, tanh, sigmoid
    c'[l] = f c[l] + i g,    h'[l] = o tanh(c'[l])                          van den Oord et al. 2016a, "Pixel Recurrent Neural Networks",
                                                                            equation 3 (with the gates in another order)

States and cells outside of the image are 0. So the cell goes straight down from row to row, or straight along a row.
"""

from minigen.backend import Array, array_module
from minigen.kernels.image_lstm.lines import lines, margin, steps
from minigen.kernels.reference import sigmoid


def _quarters(gates: Array) -> list[Array]:
    """The four gates, (..., 4 F) -> (..., F), as views."""
    features = gates.shape[-1] // 4
    return [gates[..., k * features : (k + 1) * features] for k in range(4)]


def image_lstm_forward(inputs: Array, weight: Array, *, direction: str) -> tuple[Array, Array, Array]:
    """Return the states, the gates i, f, g, o and the cells of all pixels.

    Args:
        inputs: x, (N, H, W, 4F).
        weight: (K, F, 4F).
        direction: "down", "right" or "left".

    Returns:
        (N, H, W, F), (N, H, W, 4F), (N, H, W, F).
    """
    module = array_module(inputs, weight)
    (n, height, width, _), (taps, features, _) = inputs.shape, weight.shape
    beyond, matrix = margin(direction, taps), weight.reshape(taps * features, -1)
    flat = inputs.reshape(n, height * width, 4 * features)
    gates = module.empty_like(flat)
    states, cells = (module.empty((n, height * width, features), inputs.dtype) for _ in range(2))
    length = width if direction == "down" else height
    h = module.zeros((n, length + 2 * beyond, features), inputs.dtype)
    c = module.zeros((n, length, features), inputs.dtype)
    for first, last, pixels in lines((height, width), direction):
        start, stop = first + beyond, last + beyond
        seen = module.concatenate([h[:, start + e : stop + e] for e in steps(direction, taps)], axis=2)  # (N, L, K F)
        gates[:, pixels] = flat[:, pixels] + seen @ matrix
        i, f, g, o = _quarters(gates[:, pixels])
        for gate in (i, f, o):
            gate[...] = sigmoid(gate)
        g[...] = module.tanh(g)
        c[:, first:last] = cells[:, pixels] = f * c[:, first:last] + i * g
        h[:, start:stop] = states[:, pixels] = o * module.tanh(c[:, first:last])
    shape = (n, height, width, features)
    return states.reshape(shape), gates.reshape(inputs.shape), cells.reshape(shape)


def image_lstm_backward(g: Array, gates: Array, cells: Array, weight: Array, *, direction: str) -> Array:
    """Return the cotangent of x, (N, H, W, 4F), for that of the states, (N, H, W, F).

    A state is seen from the line behind it: its share of the cotangents d of the gates' sums there is sum_k d[l - e_k] W_k^T.
    """
    module = array_module(g, gates)
    (n, height, width, features), taps = cells.shape, len(weight)
    beyond, matrix = margin(direction, taps), weight.swapaxes(1, 2).reshape(taps * 4 * features, features)
    g, cells = (array.reshape(n, height * width, features) for array in (g, cells))
    shape, gates = gates.shape, gates.reshape(n, height * width, 4 * features)
    out = module.empty_like(gates)
    length = width if direction == "down" else height
    slopes = module.zeros((n, length + 2 * beyond, 4 * features), g.dtype)  # d of the line behind
    back_cells = module.zeros((n, length, features), g.dtype)
    walk = lines((height, width), direction)
    for t in range(len(walk) - 1, -1, -1):
        first, last, pixels = walk[t]
        start, stop = first + beyond, last + beyond
        behind = module.concatenate([slopes[:, start - e : stop - e] for e in steps(direction, taps)], axis=2)
        back = g[:, pixels] + behind @ matrix  # (N, L, K 4F) @ (K 4F, F)
        i, f, candidate, o = _quarters(gates[:, pixels])
        bounded = module.tanh(cells[:, pixels])
        back_cell = back_cells[:, first:last] + back * o * (1 - bounded**2)
        old = module.zeros_like(back)  # the cells of the line before; in a diagonal's first position there may be none
        if t:
            before = walk[t - 1]
            low, high = max(first, before.first), min(last, before.last)
            old[:, low - first : high - first] = cells[:, before.pixels][:, low - before.first : high - before.first]
        here = slopes[:, start:stop]  # a view
        here[...] = module.concatenate(
            [
                back_cell * candidate * i * (1 - i), back_cell * old * f * (1 - f),
                back_cell * i * (1 - candidate**2), back * bounded * o * (1 - o),
            ], axis=2,
        )  # fmt: skip
        out[:, pixels] = here
        back_cells[:, first:last] = back_cell * f
    return out.reshape(shape)
