"""The Kullback-Leibler divergence KL(p || q) = E_p[log p(x) - log q(x)], where it has a closed form.

With r = log(s_p / s_q), the logarithm of the ratio of the scales, and d = m_p - m_q:

    Normal       (e^2r - 1 + (d / s_q)^2 - 2r) / 2                      Kingma & Welling 2014, app. B, for q = N(0, 1)
    Laplace      e^(r - |d|/s_p) - 1 - r + |d| / s_q                    from E_p|x - m_q| = |d| + s_p e^(-|d|/s_p)
    Bernoulli    P(0) log P(0)/Q(0) + P(1) log P(1)/Q(1)                P and Q the probabilities of the bit
    Categorical  sum_k P(k) log P(k)/Q(k)
"""

from collections.abc import Callable
from typing import Any

import minigen.ops as ops
from minigen.distributions.bernoulli import Bernoulli
from minigen.distributions.categorical import Categorical
from minigen.distributions.distribution import Distribution
from minigen.distributions.laplace import Laplace
from minigen.distributions.normal import Normal
from minigen.distributions.scalars import expm1, log, magnitude, sigmoid, softplus, where


def kl_divergence(p: Distribution, q: Distribution) -> Any:
    """Return KL(p || q) in nats, from 0 to infinity; 0 only where p = q.

    Args:
        p: the distribution of the expectation, of batch shape B.
        q: the other, of a batch shape that broadcasts against B.

    Returns:
        The common batch shape; a sum over the dimensions of an example is the divergence of the joint distributions.

    Raises:
        TypeError: there is no closed form for the two types.
        ValueError: two Categoricals differ in their number of categories.

    Example:
        >>> import numpy as np
        >>> kl_divergence(Normal(np.array([0.0, 3.0]), scale=1.0), Normal(0.0, scale=1.0))
        array([0. , 4.5])
    """
    pair = (type(p), type(q))
    if pair not in CLOSED_FORMS:
        known = ", ".join(f"{a.__name__}/{b.__name__}" for a, b in CLOSED_FORMS)
        raise TypeError(
            f"kl_divergence: there is no closed form here for {pair[0].__name__}/{pair[1].__name__}, only for {known}; "
            "average log p(x) - log q(x) over samples from p"
        )
    return CLOSED_FORMS[pair](p, q)


def normal_kl(log_ratio: Any, z: Any) -> Any:
    """Return KL(p || q) of two normal distributions in nats, from the two numbers on which it depends.

    For q = N(0, 1) they are the log-variance and the mean of p.

    Args:
        log_ratio: 2r = log(s_p^2 / s_q^2), the logarithm of the ratio of the variances; a Tensor, an array or a Python number.
        z: (m_p - m_q) / s_q, of a shape that broadcasts against it.

    Returns:
        The common shape.

    Example:
        >>> normal_kl(0.0, 3.0)
        4.5
    """
    return 0.5 * (expm1(log_ratio) + z * z - log_ratio)


def _normals(p: Normal, q: Normal) -> Any:
    return normal_kl(p.log_variance - q.log_variance, (p.mean - q.mean) / q.scale)


def _laplaces(p: Laplace, q: Laplace) -> Any:
    r = log(p.scale) - log(q.scale)
    d = magnitude(p.mean - q.mean)
    return expm1(r - d / p.scale) - r + d / q.scale


def _bernoullis(p: Bernoulli, q: Bernoulli) -> Any:
    # log P(1) = -softplus(-l), log P(0) = -softplus(l)
    return _divergence_at(-p.logits, -q.logits) + _divergence_at(p.logits, q.logits)


def _divergence_at(p: Any, q: Any) -> Any:
    """Return P log P/Q for the probabilities P = sigmoid(-p) and Q = sigmoid(-q); 0 where P is 0."""
    probability = sigmoid(-p)
    possible = probability > 0
    p, q = (where(possible, logit + 0.0 * probability, 0.0) for logit in (p, q))  # a number gets the other's dtype
    return probability * (softplus(q) - softplus(p))


def _categoricals(p: Categorical, q: Categorical) -> Any:
    if p.categories != q.categories:
        raise ValueError(f"kl_divergence: p has {p.categories} categories, q has {q.categories}")
    probability = p.probabilities
    possible = probability > 0  # elsewhere 0 log 0 = 0
    log_p, log_q = (ops.where(possible, ops.log_softmax(c.logits), 0.0) for c in (p, q))
    return ops.sum(probability * (log_p - log_q), axis=-1)


CLOSED_FORMS: dict[tuple[type, type], Callable[..., Any]] = {
    (Normal, Normal): _normals,
    (Laplace, Laplace): _laplaces,
    (Bernoulli, Bernoulli): _bernoullis,
    (Categorical, Categorical): _categoricals,
}
"""The divergences by the types of p and q. Add an entry here for a distribution of your own."""
