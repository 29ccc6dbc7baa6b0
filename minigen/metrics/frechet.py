"""The Fréchet distance between images by their features: each cloud of features is taken for a Gaussian (Heusel et al. 2017).

    d^2 = |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^1/2)                      Fréchet 1957; Dowson & Landau 1982, equation 4

is the squared Wasserstein-2 distance of N(m1, S1) and N(m2, S2). S1 S2 is not symmetric, and a general square root of it is unstable where
covariances are singular, as they are with fewer samples than features. But S1 S2 has the eigenvalues of the symmetric S1^1/2 S2 S1^1/2, so

    tr (S1 S2)^1/2 = sum of the square roots of the eigenvalues of S1^1/2 S2 S1^1/2

which takes two decompositions of symmetric matrices, and is defined always.

A figure means something only beside three others, which `frechet_score` returns with it:

* the *extractor*. Another network gives other distances; with Inception-v3 the figure is called FID, with ours it is not comparable to one.
* the number of samples. The estimate is biased upwards, by about c / N, with c different for different models (Chong & Forsyth 2020), so
  two figures at different N do not compare.
* real against real: what a perfect model would score at that N, by the bias alone.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minigen.random import Generator

Doubles = NDArray[np.float64]


class FrechetScore(NamedTuple):
    """A squared Fréchet distance, and what it has to be read with.

    Attributes:
        value: d^2 between generated and real features, N of each.
        real_against_real: d^2 between N real features and N others, the same N in `value`.
        samples: N.
        extractor: what made the features.
    """

    value: float
    real_against_real: float
    samples: int
    extractor: str


def gaussian_frechet(mean1: ArrayLike, covariance1: ArrayLike, mean2: ArrayLike, covariance2: ArrayLike) -> float:
    """Return the squared Fréchet distance of two Gaussians.

    Args:
        mean1, mean2: (F,).
        covariance1, covariance2: (F, F), symmetric, with no negative eigenvalue.

    Raises:
        ValueError: shapes do not fit.

    Example:
        >>> gaussian_frechet([0.0, 0.0], np.eye(2), [3.0, 4.0], 4 * np.eye(2))  # 3^2 + 4^2 + 2 (2 - 1)^2
        27.0
    """
    m1, m2, S1, S2 = (np.asarray(array, dtype=np.float64) for array in (mean1, mean2, covariance1, covariance2))
    F = m1.size
    if m1.shape != (F,) or m2.shape != (F,) or S1.shape != (F, F) or S2.shape != (F, F):
        raise ValueError(
            f"gaussian_frechet: means {m1.shape}, {m2.shape} and covariances {S1.shape}, {S2.shape}, expected (F,) and (F, F)"
        )
    variances, U = np.linalg.eigh(S1)
    root = (U * np.sqrt(np.maximum(variances, 0.0))) @ U.T
    eigenvalues = np.linalg.eigvalsh(root @ S2 @ root)
    trace = np.sqrt(np.maximum(eigenvalues, 0.0)).sum()
    return float((m1 - m2) @ (m1 - m2) + np.trace(S1) + np.trace(S2) - 2 * trace)


def frechet_distance(x: ArrayLike, y: ArrayLike) -> float:
    """Return the squared Fréchet distance of the Gaussians fitted to two sets of features; for the bias see `frechet_score`.

    Args:
        x: (N, F), N >= 2.
        y: (M, F), M >= 2.

    Raises:
        ValueError: shapes do not fit, or features are not finite.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x, y = rng.normal(size=(2000, 3)), rng.normal(size=(2000, 3)) + 1
        >>> round(frechet_distance(x, y), 0)  # 1 along each of three axes
        3.0
    """
    x, y = _features(x, "frechet_distance"), _features(y, "frechet_distance")
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"frechet_distance: {x.shape[1]} and {y.shape[1]} features; one extractor must have made both")
    return gaussian_frechet(x.mean(axis=0), _covariance(x), y.mean(axis=0), _covariance(y))


def frechet_score(real: ArrayLike, generated: ArrayLike, *, extractor: str, rng: Generator) -> FrechetScore:
    """Compare generated with real features, beside real ones with each other at the same number of samples.

    The real features are parted at random into two halves; against the first, the generated ones and the second are measured.

    Args:
        real: (N, F), features of real images.
        generated: (M, F), features of generated ones. Of them, at most N // 2 are used, the first.
        extractor: names what made the features.
        rng: parts the real ones.

    Returns:
        Both squared distances, each between min(N // 2, M) features and as many.

    Raises:
        ValueError: fewer than 4 real or 2 generated features, shapes that do not fit, or features that are not finite.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> real, generated = rng.normal(size=(1000, 8)), rng.normal(size=(500, 8)) * 1.5
        >>> score = frechet_score(real, generated, extractor="none: the numbers themselves", rng=Generator(0))
        >>> score.samples, round(score.value, 1), round(score.real_against_real, 2)
        (500, 1.9, 0.16)
    """
    real, generated = _features(real, "frechet_score"), _features(generated, "frechet_score")
    n = min(len(real) // 2, len(generated))
    if n < 2:
        raise ValueError(f"frechet_score: {len(real)} real and {len(generated)} generated features; at least 4 and 2")
    order = rng.permutation(len(real))
    first, second = real[order[:n]], real[order[n : 2 * n]]
    return FrechetScore(frechet_distance(generated[:n], first), frechet_distance(second, first), n, extractor)


def _features(x: ArrayLike, owner: str) -> Doubles:
    array = np.asarray(x, dtype=np.float64)
    if array.ndim != 2 or len(array) < 2 or not np.isfinite(array).all():
        raise ValueError(f"{owner}: features of shape {array.shape}, expected finite numbers, (N, F) with N >= 2")
    return array


def _covariance(x: Doubles) -> Doubles:
    """The unbiased one, (N, F) -> (F, F)."""
    centred = x - x.mean(axis=0)
    return centred.T @ centred / (len(x) - 1)
