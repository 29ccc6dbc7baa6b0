"""Recurrent networks in plain array code, for NumPy and CuPy: the definition of what the compiled kernels compute.

The share of the input, a = x W_x for all steps at once, is one big product that is made before; here time is walked. N sequences have T
steps and states of H features; W is the recurrent weight, (H, G H) for a cell of G gates, and b the bias, (G H,). A *mask* m, (N, T), is
1 where a sequence has a step and 0 where the state stays as it was, or None for 1 everywhere. With `reverse` time runs from T - 1 to 0.

    RNN     h' = tanh(a + h W + b)                                                          Elman 1990

    GRU     r, z = sigmoid of (a + h W + b)'s first two thirds                              Cho et al. 2014
            q = h W_n + c,    n = tanh(a_n + b_n + r q),    h' = (1 - z) n + z h            with a bias c of q, (H,)

    LSTM    i, f, g, o = the quarters of a + h W + b, under sigmoid, sigmoid, tanh, sigmoid    Hochreiter & Schmidhuber 1997,
            c' = f c + i g,    h' = o tanh(c')                                                 Gers et al. 2000

A forward function uses up `projected`, which is a, (N, T, G H): the gates take its place. A backward function gets g, the cotangent of
the forward's output, and returns the cotangent of a, by which those of x, W_x, W and b are each one product, and that of the first state.
"""

from minigen.backend import Array, array_module
from minigen.kernels.reference import sigmoid


def times(steps: int, reverse: bool) -> range:
    """Return the steps in the order of the walk.

    Example:
        >>> list(times(3, reverse=True))
        [2, 1, 0]
    """
    return range(steps - 1, -1, -1) if reverse else range(steps)


def _quarters(gates: Array, features: int) -> list[Array]:
    """The gates of one step, (N, G H), as G views, (N, H)."""
    return [gates[:, k : k + features] for k in range(0, gates.shape[1], features)]


def _chosen(mask: Array | None, t: int, new: Array, old: Array) -> Array:
    return new if mask is None else array_module(new).where(mask[:, t, None] > 0, new, old)


def _before(states: Array, first: Array, t: int, steps: int, reverse: bool) -> Array:
    """The state from which step t began."""
    t += 1 if reverse else -1
    return states[:, t] if 0 <= t < steps else first


def rnn_forward(
    projected: Array, weight: Array, bias: Array, hidden: Array, mask: Array | None, *, reverse: bool
) -> Array:
    """Return the states, (N, T, H), from `hidden` on, (N, H). They take the place of `projected`."""
    module = array_module(projected)
    for t in times(projected.shape[1], reverse):
        new = module.tanh(projected[:, t] + hidden @ weight + bias)
        projected[:, t] = hidden = _chosen(mask, t, new, hidden)
    return projected


def rnn_backward(g: Array, states: Array, weight: Array, mask: Array | None, *, reverse: bool) -> tuple[Array, Array]:
    """Return the cotangents of a, (N, T, H), and of the first state, (N, H)."""
    module = array_module(g)
    out, steps = module.empty_like(states), states.shape[1]
    carried = module.zeros_like(states[:, 0])
    for t in times(steps, not reverse):
        carried = carried + g[:, t]
        slope = carried * (1 - states[:, t] ** 2)
        out[:, t] = slope = _chosen(mask, t, slope, module.zeros_like(slope))
        carried = slope @ weight.T + _chosen(mask, t, module.zeros_like(slope), carried)
    return out, carried


def gru_forward(
    projected: Array, weight: Array, bias: Array, bias_n: Array, hidden: Array, mask: Array | None, *, reverse: bool
) -> tuple[Array, Array, Array]:
    """Return the states, (N, T, H), the gates r, z, n, (N, T, 3H), in the place of `projected`, and q, (N, T, H). `bias_n` is c."""
    module = array_module(projected)
    (n, steps, _), features = projected.shape, hidden.shape[1]
    states = module.empty((n, steps, features), projected.dtype)
    products = module.empty_like(states)
    for t in times(steps, reverse):
        product = hidden @ weight
        products[:, t] = q = product[:, 2 * features :] + bias_n
        both, candidate = projected[:, t, : 2 * features], projected[:, t, 2 * features :]  # views
        both[...] = sigmoid(both + product[:, : 2 * features] + bias[: 2 * features])
        r, z = _quarters(both, features)
        candidate[...] = module.tanh(candidate + bias[2 * features :] + r * q)
        hidden = _chosen(mask, t, candidate + z * (hidden - candidate), hidden)
        states[:, t] = hidden
    return states, projected, products


def gru_backward(
    g: Array, states: Array, gates: Array, products: Array, weight: Array, hidden: Array, mask: Array | None, *, reverse: bool
) -> tuple[Array, Array, Array]:  # fmt: skip
    """Return the cotangents of a, (N, T, 3H), of q, (N, T, H), and of the first state, (N, H)."""
    module = array_module(g)
    steps, features = states.shape[1:]
    out, out_q = module.empty_like(gates), module.empty_like(states)
    carried = module.zeros_like(hidden)
    for t in times(steps, not reverse):
        carried = carried + g[:, t]
        r, z, n = _quarters(gates[:, t], features)
        slope_n = carried * (1 - z) * (1 - n**2)
        slope_z = carried * (_before(states, hidden, t, steps, reverse) - n) * z * (1 - z)
        slope_r = slope_n * products[:, t] * r * (1 - r)
        slopes = module.concatenate([slope_r, slope_z, slope_n], axis=1)
        out[:, t] = slopes = _chosen(mask, t, slopes, module.zeros_like(slopes))
        out_q[:, t] = slopes[:, 2 * features :] * r
        back = slopes[:, : 2 * features] @ weight[:, : 2 * features].T + out_q[:, t] @ weight[:, 2 * features :].T
        carried = back + _chosen(mask, t, carried * z, carried)
    return out, out_q, carried


def lstm_forward(
    projected: Array, weight: Array, bias: Array, hidden: Array, cell: Array, mask: Array | None, *, reverse: bool
) -> tuple[Array, Array, Array]:
    """Return the states, the gates i, f, g, o, (N, T, 4H), in the place of `projected`, and the cells c, (N, T, H).

    The states are (N, T + 1, H): the T hidden ones, and after them the cell at the end of the walk.
    """
    module = array_module(projected)
    (n, steps, _), features = projected.shape, hidden.shape[1]
    states = module.empty((n, steps + 1, features), projected.dtype)
    cells = module.empty((n, steps, features), projected.dtype)
    for t in times(steps, reverse):
        gates = projected[:, t]  # a view
        gates += hidden @ weight + bias
        i, f, g, o = _quarters(gates, features)
        for gate in (i, f, o):
            gate[...] = sigmoid(gate)
        g[...] = module.tanh(g)
        new = f * cell + i * g
        hidden = _chosen(mask, t, o * module.tanh(new), hidden)
        cell = _chosen(mask, t, new, cell)
        states[:, t], cells[:, t] = hidden, cell
    states[:, steps] = cell
    return states, projected, cells


def lstm_backward(
    g: Array, gates: Array, cells: Array, weight: Array, cell: Array, mask: Array | None, *, reverse: bool
) -> tuple[Array, Array, Array]:
    """Return the cotangents of a, (N, T, 4H), and of the first hidden state and the first cell, (N, H) each."""
    module = array_module(g)
    steps, features = cells.shape[1:]
    out = module.empty_like(gates)
    carried, carried_cell = module.zeros_like(cell), g[:, steps]
    for t in times(steps, not reverse):
        carried = carried + g[:, t]
        i, f, candidate, o = _quarters(gates[:, t], features)
        bounded = module.tanh(cells[:, t])
        slope_cell = carried_cell + carried * o * (1 - bounded**2)
        slope_i = slope_cell * candidate * i * (1 - i)
        slope_f = slope_cell * _before(cells, cell, t, steps, reverse) * f * (1 - f)
        slope_g = slope_cell * i * (1 - candidate**2)
        slope_o = carried * bounded * o * (1 - o)
        slopes = module.concatenate([slope_i, slope_f, slope_g, slope_o], axis=1)
        out[:, t] = slopes = _chosen(mask, t, slopes, module.zeros_like(slopes))
        carried = slopes @ weight.T + _chosen(mask, t, module.zeros_like(carried), carried)
        carried_cell = _chosen(mask, t, slope_cell * f, carried_cell)
    return out, carried, carried_cell
