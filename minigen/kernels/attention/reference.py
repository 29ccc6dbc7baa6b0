"""Attention in plain array code: the definition, for any float dtype, on NumPy and CuPy alike.

Every query is compared with every key, and fetches the mean of the values, weighted by the softmax of the comparisons, in each of H heads:

    s = scale q k^T,    p = exp(s - l),    l = log sum exp(s),    out = p v.            Vaswani et al. 2017, equation 1

Sums run over the keys that the query sees; where it sees none, p and out are 0 and l is -inf. The gradients for a cotangent g of out are

    dv = p^T g,    dp = g v^T,    ds = p (dp - sum(g out)),    dq = scale ds k,    dk = scale ds^T q,

in which sum(g out) is that of p dp over the keys. Of p nothing is kept but l, one number to a query: the gradients make p anew from it (Dao
et al. 2022, "FlashAttention", section 3.1), since it would take T S numbers.

N examples, H heads, T queries and S keys; q (N, T, H, D), k (N, S, H, D), v (N, S, H, E), out (N, T, H, E), l (N, H, T).
"""

from minigen.backend import Array, array_module


def seen_keys(like: Array, queries: int, keys: int) -> Array:
    """Which key each query sees if the last query stands at the last key, and none looks ahead: (T, S), on the device of `like`.

    Example:
        >>> import numpy as np
        >>> seen_keys(np.zeros(0), 2, 3)
        array([[ True,  True, False],
               [ True,  True,  True]])
    """
    module = array_module(like)
    return module.arange(keys) <= module.arange(keys - queries, keys)[:, None]


def attend(
    query: Array, key: Array, value: Array, *, mask: Array | None, causal: bool, scale: float
) -> tuple[Array, Array]:
    """Return out and l.

    `mask` is true where a query sees a key, (N, T, S) or with 1 for N or T. With `causal`, query t sees only the keys s <= t + S - T.

    Example:
        >>> import numpy as np
        >>> x = np.ones((1, 2, 1, 3))
        >>> out, l = attend(x, x, x, mask=None, causal=True, scale=1.0)
        >>> out[0, :, 0, 0], np.exp(l - 3.0)
        (array([1., 1.]), array([[[1., 2.]]]))
    """
    module = array_module(query)
    share = _scores(query, key, mask, causal, scale)
    top = share.max(axis=-1, keepdims=True)
    top = module.where(top == -module.inf, 0.0, top)
    share -= top
    module.exp(share, out=share)
    total = share.sum(axis=-1, keepdims=True)
    sees = total != 0
    logarithm = module.where(sees, module.log(module.where(sees, total, 1.0)) + top, -module.inf)
    share /= module.where(sees, total, 1.0)
    out = module.matmul(share, value.swapaxes(1, 2))  # (N, H, T, S) @ (N, H, S, E)
    return module.ascontiguousarray(out.swapaxes(1, 2)), logarithm[..., 0]


def attend_backward(
    g: Array, query: Array, key: Array, value: Array, out: Array, logarithm: Array, *, mask: Array | None, causal: bool, scale: float
) -> tuple[Array, Array, Array]:  # fmt: skip
    """Return the gradients of query, key and value for a cotangent g of out; the rest as of `attend`.

    Example:
        >>> import numpy as np
        >>> x = np.ones((1, 2, 1, 3))
        >>> out, l = attend(x, x, x, mask=None, causal=False, scale=1.0)
        >>> attend_backward(x, x, x, x, out, l, mask=None, causal=False, scale=1.0)[2][0, :, 0, 0]
        array([1., 1.])
    """
    module = array_module(query)
    g, query, key, value, out = (array.swapaxes(1, 2) for array in (g, query, key, value, out))  # (N, H, T or S, ...)
    share = _scores(query.swapaxes(1, 2), key.swapaxes(1, 2), mask, causal, scale)
    share = module.exp(share - module.where(logarithm == -module.inf, 0.0, logarithm)[..., None])
    slope = module.matmul(g, value.swapaxes(-1, -2))  # (N, H, T, E) @ (N, H, E, S)
    slope = share * (slope - (g * out).sum(axis=-1, keepdims=True)) * scale
    return (
        module.matmul(slope, key).swapaxes(1, 2),  # (N, H, T, S) @ (N, H, S, D)
        module.matmul(slope.swapaxes(-1, -2), query).swapaxes(1, 2),  # (N, H, S, T) @ (N, H, T, D)
        module.matmul(share.swapaxes(-1, -2), g).swapaxes(1, 2),  # (N, H, S, T) @ (N, H, T, E)
    )


def attend_packed_backward(
    g: Array, packed: Array, out: Array, logarithm: Array, *, mask: Array | None, causal: bool, scale: float
) -> Array:
    """Return the gradient of `packed`, (N, T, 3, H, D): queries, keys and values side by side, as a single linear map gives them."""
    query, key, value = (packed[:, :, i] for i in range(3))
    gradients = attend_backward(g, query, key, value, out, logarithm, mask=mask, causal=causal, scale=scale)
    return array_module(g).stack(gradients, axis=2)


def _scores(query: Array, key: Array, mask: Array | None, causal: bool, scale: float) -> Array:
    """Return s, -inf where a key is not seen, (N, H, T, S)."""
    module = array_module(query)
    scores = module.matmul(query.swapaxes(1, 2), key.transpose(0, 2, 3, 1)) * scale  # (N, H, T, D) @ (N, H, D, S)
    if mask is not None:
        scores = module.where(mask[:, None], scores, -module.inf)
    if causal:
        scores = module.where(seen_keys(query, query.shape[1], key.shape[1]), scores, -module.inf)
    return scores
