"""Vectors for what has none: for symbols, for places in a sequence, for times and coordinates."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np  # noqa: F401 - for the examples

import minigen.ops as ops
from minigen.backend import Array, array_module, to_device
from minigen.engine import Tensor, TensorLike
from minigen.nn.module import Buffer, Module, Parameter
from minigen.ops.index import check_indices
from minigen.random import Generator
from minigen.sizes import counts

if TYPE_CHECKING:
    from jaxtyping import Float, Integer, Num


class Embedding(Module):
    """A table with a learned vector for each symbol: row i stands for symbol i.

    (Bengio et al. 2003, "A Neural Probabilistic Language Model".) At first the entries are N(0, 1). Only rows that a batch names get a
    gradient other than 0.

    Args:
        count: symbols, K.
        features: C, the length of a vector.
        rng: draws the initial weights, which are put on its device.

    Attributes:
        weight: (K, C).

    Raises:
        ValueError: count or features is below 1.

    Example:
        >>> letters = Embedding(26, 8, rng=Generator(0))
        >>> letters(np.array([[0, 4], [25, 0]])).shape
        (2, 2, 8)
    """

    def __init__(self, count: int, features: int, *, rng: Generator) -> None:
        count, features = counts("Embedding", count=count, features=features)
        self.weight = Parameter(rng.normal((count, features)))

    def forward(self, indices: Integer[TensorLike, "*shape"]) -> Float[Tensor, "*shape C"]:
        """Look up symbols, integers of any shape -> (..., C).

        Indices from the CPU are checked, and then moved to the weight's device. Those that are on the GPU already are looked at inside
        `mg.debug()` only, since the CPU has to wait for them: else, as in `ops.index`, what is out of range wraps around there.

        Raises:
            TypeError: the indices are not integers.
            IndexError: an index that is checked is outside [0, K).
        """
        return ops.index(self.weight, checked_indices("Embedding", indices, self.weight))


def checked_indices(
    name: str, indices: Integer[TensorLike, "*shape"], weight: Float[Tensor, "K ..."]
) -> Integer[Array, "*shape"]:
    """Return indices of a table's rows on the device of the table, as an array.

    Args:
        name: who asks, for the error message.
        indices: integers of any shape. Their range is checked if they are on the CPU, or inside `mg.debug()`.
        weight: the table, (K, ...).

    Raises:
        TypeError: the indices are not an array of integers.
        IndexError: an index is outside [0, K).

    Example:
        >>> checked_indices("Embedding", np.array([0, 3]), Tensor(np.zeros((3, 2))))
        Traceback (most recent call last):
        IndexError: Embedding: indices in [0, 3]; expected integers in [0, 3)
    """
    check_indices(name, indices, len(weight))
    return to_device(indices.data if isinstance(indices, Tensor) else indices, weight.device)


class LearnedPositions(Module):
    """Adds to every element of a sequence a learned vector that stands for its place (Gehring et al. 2017; Vaswani et al. 2017, 3.5).

    At first the entries are N(0, 0.02^2), as in GPT-2 (Radford et al. 2019).

    Args:
        length: of the longest sequence, L.
        features: C.
        rng: draws the initial weights, which are put on its device.

    Attributes:
        weight: (L, C).

    Raises:
        ValueError: length or features is below 1.

    Example:
        >>> positions = LearnedPositions(100, 8, rng=Generator(0))
        >>> positions(np.zeros((2, 5, 8), "float32")).shape
        (2, 5, 8)
    """

    def __init__(self, length: int, features: int, *, rng: Generator) -> None:
        length, features = counts("LearnedPositions", length=length, features=features)
        self.weight = Parameter(rng.normal((length, features), scale=0.02))

    def forward(self, x: Float[TensorLike, "N T C"], first: int = 0) -> Float[Tensor, "N T C"]:
        """Add positions, (N, T, C) -> (N, T, C).

        Args:
            x: (N, T, C).
            first: the place of x's first element, for a sequence that comes in parts.

        Raises:
            ValueError: x has other features, or goes beyond the last position.
        """
        length, features = self.weight.shape
        if len(x.shape) != 3 or x.shape[2] != features:
            raise ValueError(f"LearnedPositions: x has shape {x.shape}, expected (N, T, C) with C = {features}")
        last = first + x.shape[1]
        if not 0 <= first <= last <= length:
            raise ValueError(
                f"LearnedPositions: x (N, T, C) = {x.shape} from place {first} on needs the positions {first} to {last - 1}; "
                f"the layer has 0 to {length - 1}"
            )
        return x + self.weight[first:last]


class SinusoidalEmbedding(Module):
    """Waves for a position or a time t, slower and slower:

        y = (sin w_0 t, ..., sin w_(h-1) t, cos w_0 t, ..., cos w_(h-1) t),    w_k = longest_period^(-k/h),    h = features / 2.

    The frequencies are those of Vaswani et al. 2017, "Attention Is All You Need", section 3.5: w_k is in radians a step, so that the
    waves are from 2 pi to nearly 2 pi longest_period steps long. All sines come first, as in the program of Ho et al. 2020, "Denoising
    Diffusion Probabilistic Models"; Vaswani et al. have sine and cosine of one frequency side by side. A step in t turns every pair
    (sin, cos) by an angle: a linear map that does not depend on t.

    Args:
        features: C, even.
        longest_period: in steps, but for a factor of 2 pi.

    Raises:
        ValueError: features is odd or below 2, or longest_period is not above 1.

    Example:
        >>> SinusoidalEmbedding(4, longest_period=100.0)(np.array([0.0, 1.0])).round(2)
        array([[0.  , 0.  , 1.  , 1.  ],
               [0.84, 0.1 , 0.54, 1.  ]])
    """

    def __init__(self, features: int, *, longest_period: float = 10_000.0) -> None:
        features = _even("SinusoidalEmbedding", features)
        if not longest_period > 1:
            raise ValueError(f"SinusoidalEmbedding: longest_period is {longest_period}, expected more than 1 step")
        self.features, self.longest_period = features, longest_period

    def forward(self, times: Num[TensorLike, "*shape"]) -> Float[Tensor, "*shape C"]:
        """Embed positions or times, integers or not, any shape -> (..., C); of integers in float32."""
        if times.dtype.kind != "f":
            times = ops.astype(times, dtype="float32")
        half = self.features // 2
        module = array_module(times.data if isinstance(times, Tensor) else times)
        steps = module.arange(half, dtype=times.dtype) * (-math.log(self.longest_period) / half)
        return _waves(ops.expand_dims(times, -1) * module.exp(steps))  # (..., 1) * (h,)


class FourierFeatures(Module):
    """Waves of random directions and lengths for a point x, as of an image or a surface:

        y = (sin 2 pi B^T x, cos 2 pi B^T x),    the entries of B drawn once from N(0, scale^2).

    A network of x itself learns only coarse structure; scale sets how fine it can get (Tancik et al. 2020, "Fourier Features Let Networks
    Learn High Frequency Functions in Low Dimensional Domains", section 6.1; the paper has the cosines first).

    Args:
        in_features: D, the coordinates of a point.
        features: C, even.
        scale: the standard deviation of the frequencies, in waves a unit of x.
        rng: draws the frequencies, which are put on its device.

    Attributes:
        frequencies: B, (D, C/2), a buffer: saved, not learned.

    Raises:
        ValueError: in_features is below 1, features odd or below 2, or scale not positive.

    Example:
        >>> features = FourierFeatures(2, 64, scale=10.0, rng=Generator(0))
        >>> features(np.zeros((28, 28, 2), "float32")).shape
        (28, 28, 64)
    """

    def __init__(self, in_features: int, features: int, *, scale: float, rng: Generator) -> None:
        features = _even("FourierFeatures", features)
        (in_features,) = counts("FourierFeatures", in_features=in_features)
        if not scale > 0:
            raise ValueError(f"FourierFeatures: scale {scale} must be positive")
        self.frequencies = Buffer(rng.normal((in_features, features // 2), scale=scale))

    def forward(self, x: Float[TensorLike, "*batch D"]) -> Float[Tensor, "*batch C"]:
        """Embed points, (..., D) -> (..., C)."""
        if x.shape[-1:] != self.frequencies.shape[:1]:
            raise ValueError(
                f"FourierFeatures: x (..., D) has shape {x.shape}, but the layer has frequencies of D = {len(self.frequencies)} coordinates"
            )
        return _waves(2 * math.pi * ops.matmul(x, self.frequencies))


def _even(name: str, features: int) -> int:
    (features,) = counts(name, features=features)
    if features % 2:
        raise ValueError(f"{name}: features is {features}, expected an even number, half of them sines, half cosines")
    return features


def _waves(angles: TensorLike) -> Tensor:
    return ops.concatenate([ops.sin(angles), ops.cos(angles)], axis=-1)
