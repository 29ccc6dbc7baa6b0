"""Cases of attention."""

from typing import Any

import numpy as np
import scipy.special

import minigen as mg
from minigen.ops.attention import attend, attend_packed
from ops.cases.case import case, normal, rng


def attended(
    query: np.ndarray, key: np.ndarray, value: np.ndarray, mask: Any = None, *, causal: bool = False, scale: Any = None
) -> np.ndarray:
    """Attention, one query at a time."""
    (n, queries, heads, features), keys = query.shape, key.shape[1]
    out = np.zeros((n, queries, heads, value.shape[3]))
    mask = np.ones((1, 1, keys), bool) if mask is None else mask.reshape(len(mask), -1, keys)
    for i, t, h in np.ndindex(n, queries, heads):
        seen = mask[i % len(mask), t % mask.shape[1]]
        places = [s for s in range(keys) if seen[s] and (not causal or keys - s >= queries - t)]
        if places:
            scores = key[i, places, h] @ query[i, t, h] * (features**-0.5 if scale is None else scale)
            out[i, t, h] = scipy.special.softmax(scores) @ value[i, places, h]
    return out


def attended_packed(packed: np.ndarray, mask: Any = None, **settings: Any) -> np.ndarray:
    return attended(packed[:, :, 0], packed[:, :, 1], packed[:, :, 2], mask, **settings)


PADDING = np.array([[True, True, False, True], [False, True, True, True]])
case(mg.attention, normal(2, 3, 2, 3), normal(2, 4, 2, 3), normal(2, 4, 2, 2), expected=attended, label="heads")
case(
    mg.attention,
    normal(1, 3, 1, 2),
    normal(1, 3, 1, 2),
    normal(1, 3, 1, 2),
    expected=attended,
    causal=True,
    label="causal",
)
case(
    mg.attention, normal(2, 3, 1, 2), normal(2, 4, 1, 2), normal(2, 4, 1, 2), PADDING, expected=attended, causal=True, scale=2.0,
    label="causal, filled up",
)  # fmt: skip
case(
    mg.attention, normal(2, 3, 1, 2), normal(2, 2, 1, 2), normal(2, 2, 1, 1), rng.random((1, 3, 2)) < 0.7, expected=attended, causal=True,
    label="pairs, and a query that sees no key",
)  # fmt: skip
case(
    attend, normal(2, 2, 1, 2), normal(2, 3, 1, 2), normal(2, 3, 1, 1), PADDING[:, None, 1:], expected=attended, causal=False, scale=0.7,
)  # fmt: skip
case(mg.self_attention, normal(2, 3, 3, 2, 2), PADDING[:, 1:], expected=attended_packed, causal=True, label="filled up")
case(attend_packed, normal(1, 3, 3, 1, 2), None, expected=attended_packed, causal=False, scale=0.7)
case(mg.attention, normal(0, 3, 1, 2), normal(0, 2, 1, 2), normal(0, 2, 1, 1), expected=attended, label="no example")
