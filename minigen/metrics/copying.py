"""Has a model learnt its training images by heart? Two tests, neither of which needs a likelihood.

*Nearest distances.* An image that was copied lies nearer to the training images than a new one of the same distribution would. Let d(x) be
the distance of x to its nearest training image. For a sample y and a held-out image x,

    AUROC = P(d(y) < d(x)) + 1/2 P(d(y) = d(x))

is 1/2 if samples are as far from the training images as new images are, and near 1 for copies: if a share c of the samples are copies and
the others are like the held-out images, it is (1 + c) / 2. It is below 1/2 for samples that are far from everything: the test finds copies,
and says nothing of quality. So copies and poor images can offset each other; and blurred images, which are near to many others, can be
above 1/2 without being copies. Look at the nearest pairs too.

*Birthdays.* Of n equally likely images, s draws have two alike with probability 1 - prod_{i<s} (1 - i/n), which is 1/2 near
s = 1.18 sqrt(n). So if a batch of s samples has duplicates half of the time, the model draws in effect about s^2 / 1.39 different images
(Arora, Risteski & Zhang 2018, "Do GANs learn the distribution? Some theory and empirics"). If some images are more likely than others,
duplicates are more frequent, and there are more images than that: one image of probability 1/10 makes duplicates, however many others there
are. The share of all pairs that are alike is an unbiased estimate of sum_i p_i^2, the probability that two draws are the same image. Its
inverse is the *effective support*, n for n equally likely images and less otherwise. It uses all pairs, where the batches say only whether
there is one. A batch without duplicates speaks against a small support, whatever the distribution, since equally likely images have the
fewest duplicates: if `birthday_probability(n, s)` is 0.95, a support of n or less leaves a batch of s without one at most 5 % of the time.

A network's images are never equal to the last digit, so what counts as alike is up to the user. `alike_distance` proposes a part of the
distance between neighbours among real images. Look at the closest pairs, and put the test of as many real images beside it: what it finds
there are false alarms.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minigen.data.checks import check_finite
from minigen.metrics.auroc import auroc
from minigen.metrics.mmd import CHUNK, squared_distances
from minigen.metrics.nearest import nearest_images, neighbour_distances
from minigen.random import Generator
from minigen.sizes import counts

Doubles = NDArray[np.float64]

CLOSEST = 20  # pairs that are shown
PAIRS = 2**16  # that are looked at together
ROUNDING = 2e-9  # the share by which a squared distance may be off


class Birthdays(NamedTuple):
    """What a birthday test found.

    Attributes:
        batch_sizes: s, rising.
        shares: of the batches of each size, those that have two samples alike.
        support: the estimated number of different images, s^2 / (2 log 2), from the smallest s at which at least half of the batches have
            two alike; infinite if there is none.
        effective_support: 1 / share of all pairs that are alike; infinite if there is none. With c such pairs its relative error is about
            1 / sqrt(c).
        closest: the places of the closest pairs among all samples, (P, 2), the closest first.
        distances: theirs, (P,).
    """

    batch_sizes: tuple[int, ...]
    shares: tuple[float, ...]
    support: float
    effective_support: float
    closest: NDArray[np.int64]
    distances: Doubles


def copying_auroc(samples: NDArray, *, training: NDArray, held_out: NDArray) -> float:
    """Return how well the distance to the nearest training image tells samples from held-out images: 1/2 if none was copied, 1 if all.

    For given training images it is unbiased. If samples and held-out images have the same distribution, with no ties among the distances,
    its standard deviation is sqrt((N + L + 1) / (12 N L)): 0.013 for 1,000 of each.

    Args:
        samples: (N, ...), by a model.
        training: (M, ...), the images that it learnt from.
        held_out: (L, ...), of the same distribution, but not among them.

    Raises:
        ValueError: images of several sizes, none of one kind, or a pixel that is not finite.

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
    for name, images in (("samples", samples), ("training", training), ("held_out", held_out)):
        check_finite(images, f"copying_auroc: {name}")
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
    return abs(math.expm1(math.fsum(math.log1p(-i / support) for i in range(draws))))


def alike_distance(held_out: ArrayLike, *, share: float = 0.3) -> float:
    """Return a distance up to which two samples count as alike: a share of the median distance between neighbours among real images.

    Neighbours come nearer with more images, so give as many as there are samples. Of N different samples that lie spread out in d
    dimensions, about N/2 log(2) share^d pairs are that near by chance: hardly any in 10 dimensions, many in 1 or 2.

    Args:
        held_out: real images or their features, (N, ...), N >= 2.
        share: of the median.

    Raises:
        ValueError: fewer than two images, a pixel that is not finite, or a share that is negative.

    Example:
        >>> alike_distance([[0.0], [1.0], [3.0]], share=0.5)
        0.5
    """
    x = np.asarray(held_out)
    if x.ndim < 2 or len(x) < 2 or not 0 <= share < math.inf:
        raise ValueError(
            f"alike_distance: held-out images {x.shape} and share {share}, expected (N, ...) with N >= 2, and a share of at least 0"
        )
    check_finite(x, "alike_distance: held-out images")
    return float(share * np.median(neighbour_distances(x)))


def birthday_test(
    samples: ArrayLike, *, alike: float, batch_sizes: Sequence[int], repetitions: int = 200, rng: Generator
) -> Birthdays:
    """Look for samples that are alike: among all of them, and in batches of several sizes, drawn from them without replacement.

    Memory does not grow with N squared, even if all samples are alike.

    Args:
        samples: (N, F), numbers or features of images.
        alike: the largest Euclidean distance of two samples that count as the same; see `alike_distance`.
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
        >>> round(found.effective_support)
        99
    """
    x = np.asarray(samples, dtype=np.float64)
    if not len(batch_sizes):
        raise ValueError("birthday_test: batch_sizes is empty, expected at least one size")
    sizes, n = counts("birthday_test", **{f"batch_sizes[{i}]": s for i, s in enumerate(batch_sizes)}), len(x)
    if x.ndim != 2 or not np.isfinite(x).all():
        raise ValueError(f"birthday_test: samples of shape {x.shape}, expected finite numbers, (N, F)")
    if list(sizes) != sorted(set(sizes)) or sizes[-1] > n // 2:
        raise ValueError(
            f"birthday_test: batch sizes {sizes}, expected rising numbers of at most {n // 2}, half of the samples"
        )
    if not 0 <= alike < math.inf:
        raise ValueError(f"birthday_test: alike is {alike}, expected a distance of at least 0")
    is_in = np.zeros((len(sizes) * repetitions, n), bool)  # which samples are in each batch
    for batch, size in zip(is_in, np.repeat(sizes, repetitions), strict=True):
        batch[rng.permutation(n)[:size]] = True
    has_alike, pairs_alike = np.zeros(len(is_in), bool), 0
    closest, distances = np.empty((0, 2), np.int64), np.empty(0)
    for start, squares in _squares_of_pairs(x):
        pairs = np.argwhere(squares <= (1 + ROUNDING) * alike * alike) + start
        pairs_alike += len(pairs)
        for first in range(0, len(pairs), PAIRS):
            i, j = pairs[first : first + PAIRS].T
            for b in np.flatnonzero(~has_alike):
                has_alike[b] = (is_in[b, i] & is_in[b, j]).any()
        few = np.argpartition(squares, min(CLOSEST, squares.size) - 1, axis=None)[:CLOSEST]
        few = few[np.isfinite(squares.flat[few])]  # fewer, near the end
        closest = np.concatenate([closest, start + np.stack(np.unravel_index(few, squares.shape), axis=1)])
        distances = np.concatenate([distances, np.sqrt(squares.flat[few])])
        order = np.lexsort((*closest.T[::-1], distances))[:CLOSEST]
        closest, distances = closest[order], distances[order]
    shares = has_alike.reshape(len(sizes), repetitions).mean(axis=1).tolist()
    half = next((size for size, share in zip(sizes, shares, strict=True) if share >= 0.5), math.inf)
    effective = math.comb(n, 2) / pairs_alike if pairs_alike else math.inf
    return Birthdays(sizes, tuple(shares), half * half / (2 * math.log(2)), effective, closest, distances)


def _squares_of_pairs(x: Doubles) -> Iterator[tuple[int, Doubles]]:
    """Yield the squared distances of some rows to themselves and all later ones, (rows, ...), with the place of the first row.

    Each pair has its distance in one place; what is left over is infinite.
    """
    step = max(1, CHUNK // len(x))
    for start in range(0, len(x), step):
        squares = squared_distances(x[start : start + step], x[start:])
        squares[np.tril_indices(len(squares), 0, len(x) - start)] = math.inf
        yield start, squares
