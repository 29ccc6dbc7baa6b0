"""Has a model learnt its training images by heart? Two tests, neither of which needs a likelihood.

*Nearest distances.* An image that was copied lies nearer to the training images than a new one of the same distribution would. Let d(x) be
the distance of x to its nearest training image. For a sample y and a held-out image x,

    AUROC = P(d(y) < d(x)) + 1/2 P(d(y) = d(x))

is 1/2 if samples are as far from the training images as new images are, and near 1 for copies. It is below 1/2 for samples that are far
from everything: the test finds copies, and says nothing of quality.

*Birthdays.* Of n equally likely images, s draws have two alike with probability 1 - prod_{i<s} (1 - i/n), which is 1/2 near
s = 1.18 sqrt(n). So if a batch of s samples has duplicates half of the time, the model draws in effect about s^2 / 1.39 different images
(Arora & Zhang 2018, "Do GANs learn the distribution? Some theory and empirics"). If some images are more likely than others, duplicates are
more frequent, and there are more images than that. What counts as alike is up to the user.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minigen.metrics.auroc import auroc
from minigen.metrics.mmd import CHUNK, squared_distances
from minigen.metrics.nearest import nearest_images
from minigen.random import Generator
from minigen.sizes import counts

Doubles = NDArray[np.float64]


class Birthdays(NamedTuple):
    """What a birthday test found.

    Attributes:
        batch_sizes: s, rising.
        shares: of the batches of each size, those that have two samples alike.
        support: the estimated number of different images, s^2 / (2 log 2), from the smallest s at which at least half of the batches have
            two alike; infinite if there is none.
    """

    batch_sizes: tuple[int, ...]
    shares: tuple[float, ...]
    support: float


def copying_auroc(samples: NDArray, *, training: NDArray, held_out: NDArray) -> float:
    """Return how well the distance to the nearest training image tells samples from held-out images: 1/2 if none was copied, 1 if all.

    Args:
        samples: (N, ...), by a model.
        training: (M, ...), the images that it learnt from.
        held_out: (L, ...), of the same distribution, but not among them.

    Raises:
        ValueError: images of several sizes, or none of one kind.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> training, held_out, new = rng.normal(size=(3, 300, 4))
        >>> copies = training + 0.01 * rng.normal(size=(300, 4))
        >>> copying_auroc(copies, training=training, held_out=held_out)
        1.0
        >>> 0.4 < copying_auroc(new, training=training, held_out=held_out) < 0.6
        True
    """
    if not (len(samples) and len(held_out)):
        raise ValueError(
            f"copying_auroc: {len(samples)} samples and {len(held_out)} held-out images, expected some of each"
        )
    distances = [nearest_images(images, among=training).distances for images in (samples, held_out)]
    is_sample = np.arange(len(samples) + len(held_out)) < len(samples)
    return auroc(-np.concatenate(distances), is_sample)


def birthday_probability(support: int, draws: int) -> float:
    """Return the probability that two of s draws from n equally likely values are equal.

    Args:
        support: n.
        draws: s.

    Raises:
        ValueError: a number is below 1.

    Example:
        >>> round(birthday_probability(365, 23), 4)
        0.5073
    """
    support, draws = counts("birthday_probability", support=support, draws=draws)
    if draws > support:
        return 1.0
    return -math.expm1(math.fsum(math.log1p(-i / support) for i in range(draws)))


def birthday_test(
    samples: ArrayLike, *, alike: float, batch_sizes: Sequence[int], repetitions: int = 200, rng: Generator
) -> Birthdays:
    """Look for samples that are alike in batches of several sizes, drawn without replacement from the given samples.

    Args:
        samples: (N, F), numbers or features of images.
        alike: the largest Euclidean distance of two samples that count as the same.
        batch_sizes: s, rising, each at most half of N, so that batches differ.
        repetitions: batches of each size.
        rng: draws them, on the CPU.

    Raises:
        ValueError: a size is out of range, or a sample is not finite.

    Example:
        >>> values = np.random.default_rng(0).integers(0, 100, size=(2000, 1))  # 100 different ones
        >>> found = birthday_test(values, alike=0.0, batch_sizes=(4, 8, 12, 16), rng=Generator(0))
        >>> found.shares[0] < 0.2, found.shares[-1] > 0.6, 50 < found.support < 200
        (True, True, True)
    """
    x = np.asarray(samples, dtype=np.float64)
    sizes, n = counts("birthday_test", **{f"batch_sizes[{i}]": s for i, s in enumerate(batch_sizes)}), len(x)
    if x.ndim != 2 or not np.isfinite(x).all():
        raise ValueError(f"birthday_test: samples of shape {x.shape}, expected finite numbers, (N, F)")
    if list(sizes) != sorted(set(sizes)) or sizes[-1] > n // 2:
        raise ValueError(
            f"birthday_test: batch sizes {sizes}, expected rising numbers of at most {n // 2}, half of the samples"
        )
    if not alike >= 0:
        raise ValueError(f"birthday_test: alike is {alike}, expected a distance of at least 0")
    first, second = _pairs_within(x, alike)
    shares = []
    for size in sizes:
        found = 0
        for _ in range(repetitions):
            chosen = np.zeros(n, bool)
            chosen[rng.permutation(n)[:size]] = True
            found += bool((chosen[first] & chosen[second]).any())
        shares.append(found / repetitions)
    half = next((size for size, share in zip(sizes, shares, strict=True) if share >= 0.5), math.inf)
    return Birthdays(sizes, tuple(shares), half * half / (2 * math.log(2)))


def _pairs_within(x: Doubles, distance: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the two places of every pair of samples that are no further apart."""
    found: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    step = max(1, CHUNK // max(1, len(x)))
    for start in range(0, len(x), step):
        i, j = np.nonzero(squared_distances(x[start : start + step], x) <= distance * distance)
        later = j > i + start
        found.append((i[later] + start, j[later]))
    return np.concatenate([i for i, _ in found]), np.concatenate([j for _, j in found])
