# ruff: noqa: D103
# mypy: disallow-untyped-defs=False, check-untyped-defs=False
"""What recurrent networks do with the gates of one row of numbers, in loops over its features, compiled by Numba.

The loops are short and many. The compiled code runs a loop in vectors only after it has seen that no two of its arrays overlap, and with
many arrays there is no such code at all. So a loop has few, and what it overwrites is among them once.
"""

from minigen.kernels.approximations import ONE, TANH, logistic, saturating
from minigen.kernels.compiler import inner


@inner
def sigmoids(a, b):
    """a <- sigmoid(a + b)."""
    for k in range(a.size):
        a[k] = logistic(a[k] + b[k])


@inner
def tanhs(a, b):
    """a <- tanh(a + b)."""
    for k in range(a.size):
        a[k] = saturating(a[k] + b[k], TANH)


@inner
def candidates(n, bias, r, q):
    """n <- tanh(n + bias + r q)."""
    for k in range(n.size):
        n[k] = saturating(n[k] + bias[k] + r[k] * q[k], TANH)


@inner
def between(h, z, n):
    """h <- (1 - z) n + z h."""
    for k in range(h.size):
        h[k] = n[k] + z[k] * (h[k] - n[k])


@inner
def new_cell(c, f, i, g):
    """c <- f c + i g."""
    for k in range(c.size):
        c[k] = f[k] * c[k] + i[k] * g[k]


@inner
def shown(h, o, c):
    """h <- o tanh(c)."""
    for k in range(h.size):
        h[k] = o[k] * saturating(c[k], TANH)


@inner
def add(total, g):
    for k in range(total.size):
        total[k] += g[k]


@inner
def scale(g, factor):
    for k in range(g.size):
        g[k] *= factor[k]


@inner
def through_sigmoid(out, g, factor, y):
    """out <- g factor y (1 - y)."""
    for k in range(out.size):
        out[k] = g[k] * factor[k] * y[k] * (ONE - y[k])


@inner
def through_tanh(out, g, factor, y):
    """out <- g factor (1 - y^2)."""
    for k in range(out.size):
        out[k] = g[k] * factor[k] * (ONE - y[k]) * (ONE + y[k])


@inner
def lstm_cell(h, c, gates, sums):
    """i, f, g, o <- sigmoid, sigmoid, tanh, sigmoid of gates + sums, in the gates' place;  c <- f c + i g,  h <- o tanh(c)."""
    k = h.size
    both, g, o = gates[: 2 * k], gates[2 * k : 3 * k], gates[3 * k :]
    sigmoids(both, sums)
    tanhs(g, sums[2 * k :])
    sigmoids(o, sums[3 * k :])
    new_cell(c, both[k:], both, g)
    shown(h, o, c)


@inner
def lstm_cell_backward(slope, back_cell, back, gates, cell, old, ones, bounded):
    """The way back through `lstm_cell`, from the gradients of h, `back`, and of the new c, `back_cell`, which becomes that of the old one.

    slope <- the gradient of gates + sums; bounded: room for tanh(c).
    """
    k = back.size
    i, f, g, o = gates[:k], gates[k : 2 * k], gates[2 * k : 3 * k], gates[3 * k :]
    shown(bounded, ones, cell)
    through_sigmoid(slope[3 * k :], back, bounded, o)
    for n in range(k):
        back_cell[n] += back[n] * o[n] * (ONE - bounded[n]) * (ONE + bounded[n])
    through_sigmoid(slope[:k], back_cell, g, i)
    through_sigmoid(slope[k : 2 * k], back_cell, old, f)
    through_tanh(slope[2 * k : 3 * k], back_cell, i, g)
    scale(back_cell, f)
