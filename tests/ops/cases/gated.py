"""Cases of gated activation units."""

import numpy as np
import scipy.special

import minigen as mg
from minigen.ops.gated import gated_tanh_backward
from ops.cases.case import case, normal


def gated(x: np.ndarray) -> np.ndarray:
    a, b = np.split(x, 2, axis=-1)
    return np.tanh(a) * scipy.special.expit(b)


def gated_slope(g: np.ndarray, x: np.ndarray) -> np.ndarray:
    a, b = np.split(x, 2, axis=-1)
    slope_b = scipy.special.expit(b) * scipy.special.expit(-b)
    return np.concatenate([g * scipy.special.expit(b) / np.cosh(a) ** 2, g * np.tanh(a) * slope_b], axis=-1)


for label, leading in (("one row", ()), ("rows", (2, 3)), ("empty", (0,))):
    case(mg.gated_tanh, normal(*leading, 6), expected=gated, label=label)
    case(gated_tanh_backward, normal(*leading, 3), normal(*leading, 6), expected=gated_slope, label=label)
