"""Cases of the log-probability of bits."""

import numpy as np
import scipy.special

import minigen as mg
from minigen.ops.bits import bits_log_prob_backward
from ops.cases.case import case, normal


def bit_log_prob(x: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """By the probabilities themselves, which small logits allow."""
    q = scipy.special.expit(logits)
    return x * np.log(q) + (1 - x) * np.log(1 - q)


def bits_log_prob(x: np.ndarray, logits: np.ndarray) -> np.ndarray:
    return bit_log_prob(x, logits).sum(-1)


def bits_slope(g: np.ndarray, x: np.ndarray, logits: np.ndarray) -> np.ndarray:
    return g[..., None] * (x - scipy.special.expit(logits))


for label, leading in (("repeated", (4,)), ("one each", (3, 4)), ("one for all", ()), ("spread", (3, 1))):
    case(mg.bits_log_prob, normal(*leading, 5), normal(3, 4, 5), expected=bits_log_prob, label=label)
    case(bits_log_prob_backward, normal(3, 4), normal(*leading, 5), normal(3, 4, 5), expected=bits_slope, label=label)
case(mg.bits_log_prob, normal(0, 5), normal(3, 0, 5), expected=bits_log_prob, label="empty")
for first, second in (((2, 3), (2, 3)), ((2, 1, 3), (4, 1)), ((), ()), ((0, 3), (3,))):
    label = f"{first},{second}".replace(" ", "")
    case(mg.bit_log_prob, normal(*first), normal(*second), expected=bit_log_prob, label=label)
