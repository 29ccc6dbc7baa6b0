"""Cases of recurrent networks: one sequence at a time, step by step."""

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.special

from minigen.ops.recurrent import gru_sequence, lstm_sequence, rnn_sequence
from ops.cases.case import case, normal


def walked(step: Callable[..., Any]) -> Callable[..., np.ndarray]:
    """A network's states for the rule (a, weight_h, *extra, *state) -> state, where a is x W_x + b."""

    def states(x: Any, weight_x: Any, weight_h: Any, bias: Any, *others: Any, reverse: bool = False) -> np.ndarray:
        *others, mask = others
        out = []
        for n in range(len(x)):
            extra = [other for other in others if other.ndim == 1]  # biases
            state = [other[n] for other in others if other.ndim == 2]  # the first
            rows = [None] * x.shape[1]
            for t in reversed(range(x.shape[1])) if reverse else range(x.shape[1]):
                if mask is None or mask[n, t]:
                    state = step(x[n, t] @ weight_x + bias, weight_h, *extra, *state)
                rows[t] = state[0]
            out.append(np.stack(rows + state[1:]))
        return np.stack(out)

    return states


def rnn_step(a: np.ndarray, weight: np.ndarray, hidden: np.ndarray) -> list[np.ndarray]:
    return [np.tanh(a + hidden @ weight)]


def gru_step(a: np.ndarray, weight: np.ndarray, bias_n: np.ndarray, hidden: np.ndarray) -> list[np.ndarray]:
    of_x, of_h = np.split(a, 3), np.split(hidden @ weight, 3)
    r, z = (scipy.special.expit(of_x[k] + of_h[k]) for k in range(2))
    n = np.tanh(of_x[2] + r * (of_h[2] + bias_n))
    return [(1 - z) * n + z * hidden]


def lstm_step(a: np.ndarray, weight: np.ndarray, hidden: np.ndarray, cell: np.ndarray) -> list[np.ndarray]:
    i, f, g, o = np.split(a + hidden @ weight, 4)
    cell = scipy.special.expit(f) * cell + scipy.special.expit(i) * np.tanh(g)
    return [scipy.special.expit(o) * np.tanh(cell), cell]


SOME_STEPS = np.array([[True, True, False], [False, True, True]])
for network, step, gates, more in (
    (rnn_sequence, rnn_step, 1, []),
    (gru_sequence, gru_step, 3, [(2,)]),
    (lstm_sequence, lstm_step, 4, []),
):
    weights = [normal(1, 2 * gates), normal(2, 2 * gates), normal(2 * gates), *(normal(*shape) for shape in more)]
    firsts = [normal(2, 2) for _ in range(2 if network is lstm_sequence else 1)]
    for steps, mask, reverse in ((3, None, False), (3, SOME_STEPS, False), (3, SOME_STEPS, True), (1, None, True)):
        case(
            network, normal(2, steps, 1), *weights, *firsts, mask, expected=walked(step), reverse=reverse,
            label=f"{steps} steps{'' if mask is None else ', masked'}{', reverse' if reverse else ''}",
        )  # fmt: skip
