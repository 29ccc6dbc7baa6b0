"""Cases of attention."""

from typing import Any

import numpy as np
import scipy.special

import minigen as mg
from minigen.ops.attention import attend, attend_biased, attend_packed
from ops.cases.case import case, fixed, normal, rng


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


def biased(
    query: np.ndarray, key: np.ndarray, value: np.ndarray, bias: np.ndarray, *, causal: bool = False, scale: Any = None
) -> np.ndarray:
    """Attention with numbers added to the scores, of all pairs at once."""
    (_, queries, _, features), keys = query.shape, key.shape[1]
    scores = np.einsum("nthd,nshd->nhts", query, key) * (features**-0.5 if scale is None else scale)
    scores = scores + (bias[:, None, None] if bias.ndim == 2 else bias[:, None] if bias.ndim == 3 else bias)
    if causal:
        scores[..., ~np.tri(queries, keys, keys - queries, dtype=bool)] = -np.inf
    return np.einsum("nhts,nshe->nthe", scipy.special.softmax(scores, axis=-1), value)


def biased_packed(packed: np.ndarray, bias: np.ndarray, **settings: Any) -> np.ndarray:
    return biased(packed[:, :, 0], packed[:, :, 1], packed[:, :, 2], bias, **settings)


heads = fixed(2, 3, 2, 3), fixed(2, 4, 2, 3), fixed(2, 4, 2, 2)
for shape in ((2, 4), (1, 3, 4), (2, 1, 4), (1, 2, 3, 4), (2, 2, 1, 4)):
    label = f"numbers{shape}".replace(" ", "")
    case(mg.attention, *heads, fixed(*shape), expected=biased, causal=shape == (1, 2, 3, 4), label=label)
case(mg.attention, *(x[:0] for x in heads), fixed(1, 3, 4), expected=biased, label="numbers, no example")
case(mg.self_attention, fixed(2, 3, 3, 2, 2), fixed(1, 2, 3, 3), expected=biased_packed, scale=0.4, label="numbers")
case(attend_biased, *heads, fixed(1, 1, 3, 4), expected=biased, causal=True, scale=0.7)
