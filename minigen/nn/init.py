"""Initial weights: scales that keep the variance of activations and gradients level from layer to layer.

For a weight of shape (*taps, in, out), fan_in = taps * in and fan_out = taps * out count the terms of one output's and one input's sum.

    Xavier    std = gain sqrt(2 / (fan_in + fan_out))    Glorot & Bengio 2010, equation 16
    Kaiming   std = gain / sqrt(fan_in)                  He et al. 2015, equation 10
    orthogonal: W^T W = gain^2 I                         Saxe et al. 2014

A uniform distribution of that standard deviation is U(-sqrt(3) std, sqrt(3) std).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from minigen.backend import Array, array_module
from minigen.random import Generator
from minigen.sizes import as_shape

if TYPE_CHECKING:
    from jaxtyping import Float

GAINS = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 3 / 4}


def gain(nonlinearity: str, slope: float = 0.01) -> float:
    """Return the factor that makes up for what a nonlinearity takes from the variance.

    Args:
        nonlinearity: "linear", "sigmoid", "tanh", "relu", "leaky_relu" or "selu".
        slope: that of "leaky_relu".

    Example:
        >>> gain("relu") == math.sqrt(2)
        True
    """
    if nonlinearity == "leaky_relu":
        return math.sqrt(2 / (1 + slope**2))
    if nonlinearity not in GAINS:
        raise ValueError(
            f"gain: nonlinearity {nonlinearity!r} is unknown; it is one of {sorted([*GAINS, 'leaky_relu'])}"
        )
    return GAINS[nonlinearity]


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return (fan_in, fan_out) of a weight of shape (*taps, in, out).

    Example:
        >>> fans((3, 3, 16, 32))
        (144, 288)
    """
    shape = as_shape("fans", shape)
    if len(shape) < 2:
        raise ValueError(f"fans: a weight has at least the axes (in, out); shape {shape} has not")
    taps = math.prod(shape[:-2])
    return taps * shape[-2], taps * shape[-1]


def xavier_uniform(shape: tuple[int, ...], rng: Generator, *, gain: float = 1.0) -> Float[Array, "*shape"]:
    """Return float32 weights, uniform, with Xavier's standard deviation.

    Example:
        >>> xavier_uniform((4, 2), Generator(0)).shape
        (4, 2)
    """
    bound = gain * math.sqrt(6 / sum(fans(shape)))
    return rng.uniform(shape, low=-bound, high=bound)


def xavier_normal(shape: tuple[int, ...], rng: Generator, *, gain: float = 1.0) -> Float[Array, "*shape"]:
    """Return float32 weights, normal, with Xavier's standard deviation.

    Example:
        >>> xavier_normal((4, 2), Generator(0)).shape
        (4, 2)
    """
    return rng.normal(shape, scale=gain * math.sqrt(2 / sum(fans(shape))))


def kaiming_uniform(shape: tuple[int, ...], rng: Generator, *, gain: float = math.sqrt(2)) -> Float[Array, "*shape"]:
    """Return float32 weights, uniform, with Kaiming's standard deviation.

    Example:
        >>> kaiming_uniform((4, 2), Generator(0)).shape
        (4, 2)
    """
    bound = gain * math.sqrt(3 / fans(shape)[0])
    return rng.uniform(shape, low=-bound, high=bound)


def kaiming_normal(shape: tuple[int, ...], rng: Generator, *, gain: float = math.sqrt(2)) -> Float[Array, "*shape"]:
    """Return float32 weights, normal, with Kaiming's standard deviation.

    Example:
        >>> kaiming_normal((4, 2), Generator(0)).shape
        (4, 2)
    """
    return rng.normal(shape, scale=gain / math.sqrt(fans(shape)[0]))


def orthogonal(shape: tuple[int, ...], rng: Generator, *, gain: float = 1.0) -> Float[Array, "*shape"]:
    """Return float32 weights whose (taps * in, out) matrix has orthonormal columns, or rows if it is wider than high, times gain.

    The Q of a normal matrix's QR decomposition, its columns signed so that it is uniform over the orthogonal group (Mezzadri 2007).

    Example:
        >>> w = orthogonal((4, 2), Generator(0))
        >>> np.allclose(w.T @ w, np.eye(2), atol=1e-6)
        True
    """
    fan_in, out = fans(shape)[0], shape[-1]
    normal = rng.normal((max(fan_in, out), min(fan_in, out)), dtype="float64")
    module = array_module(normal)
    q, r = module.linalg.qr(normal)
    q = q * module.sign(module.diagonal(r))
    return (gain * (q if fan_in >= out else q.T)).reshape(shape).astype(np.float32)
