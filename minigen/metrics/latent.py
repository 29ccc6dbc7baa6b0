"""How a latent space is used: which latents say anything, whether near codes mean near images, and whether every place means an image.

    active        latent j is active if Var_x(E_q(z_j|x)[z_j]) > 0.01                                    Burda et al. 2016, section 5.2

An inactive latent's posterior is the prior for every image: the decoder cannot tell images by it, and has learnt to overlook it.

Lectures ask two things of a latent space that images are to be drawn from: *continuity*, two places near each other mean similar images,
and *completeness*, a place that no image was encoded to means an image all the same. A plain autoencoder is trained for neither. Here they
are measured so that autoencoders and VAEs compare, whatever the scale of their codes; the figures lie between 0 and 1, 1 being best:

    agreement      the share of held-out images whose code's nearest code, among the training images', belongs to an image of the same class
    evenness       along the straight line from one held-out code to another, cut into T equal steps z_0, z_1, ..., z_T:
                   mean_t |D(z_t) - D(z_t-1)| / max_t |D(z_t) - D(z_t-1)|, averaged over lines. It is 1 where the image changes at one pace,
                   and 1/T where it stays as it is and then jumps
    completeness   the share of places that mean an image: whose decoding is *near*, its nearest training image no farther than that of 95 %
                   of the held-out images, and *unambiguous*, its 5 nearest training images being of one class

Agreement and evenness are about continuity. Of the two conditions of completeness the first refuses what looks like no training image at
all. It lets pass what lies between them, such as a blurred mixture of two digits, which has short distances to both: hence the second.
Held-out images themselves do not all meet them; their share stands beside it.

What *places* are is the caller's choice: for a VAE draws from its prior; for an autoencoder, which has none, draws from the normal
distribution of the codes' own mean and covariance, `normal_like`. Distances are Euclidean over pixels, with their limits (`nearest.py`).
Neighbours come nearer with more training images, so figures compare at equal numbers of them.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minigen.metrics.mmd import squared_distances
from minigen.random import Generator

NEAR = 0.95  # of held-out images
NEIGHBOURS = 5  # of one class
STEPS = 32  # T
BATCH = 200  # images at a time


class ActiveUnits(NamedTuple):
    """Which latents are in use.

    Attributes:
        number: of active ones.
        activity: the variance over images of each latent's posterior mean, (d,).
    """

    number: int
    activity: NDArray[np.float64]


class Regularity(NamedTuple):
    """How well ordered a latent space is; the module says what the figures are. All are shares, 1 being best.

    Attributes:
        agreement: of classes, between a held-out code and the nearest training code.
        evenness: of the change of the image along straight lines.
        completeness: of places, how many mean an image.
        held_out: of held-out images, how many meet the same conditions.
    """

    agreement: float
    evenness: float
    completeness: float
    held_out: float


def active_units(means: ArrayLike, *, threshold: float = 0.01) -> ActiveUnits:
    """Count the latents whose posterior mean varies with the image.

    Args:
        means: E_q(z|x)[z] of N images, (N, d), as `VAE.encode` gives them.
        threshold: the least variance of an active one; 0.01 in the literature, for a prior of variance 1.

    Raises:
        ValueError: no means, or not (N, d).

    Example:
        >>> active_units([[0.0, 0.01], [2.0, 0.02]])
        ActiveUnits(number=1, activity=array([1.0e+00, 2.5e-05]))
    """
    array = np.asarray(means, dtype=np.float64)
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"active_units: means of shape {array.shape}, expected (N, d) of at least one image")
    activity = array.var(axis=0)
    return ActiveUnits(int((activity > threshold).sum()), activity)


def normal_like(codes: ArrayLike, n: int, *, rng: Generator) -> NDArray[np.float32]:
    """Draw n places from the normal distribution of the codes' mean and covariance, (N, d) -> (n, d).

    Example:
        >>> codes = np.array([[0.0, 0.0], [2.0, 20.0], [4.0, 40.0]])  # on a line
        >>> places = normal_like(codes, 1000, rng=Generator(0))
        >>> places.shape, bool(np.allclose(places[:, 1], 10 * places[:, 0], atol=1e-4))
        ((1000, 2), True)
    """
    array = np.asarray(codes, dtype=np.float64)
    mean = array.mean(axis=0)
    _, spreads, axes = np.linalg.svd((array - mean) / len(array) ** 0.5, full_matrices=False)
    return (mean + rng.normal((n, len(spreads)), dtype="float64") * spreads @ axes).astype(np.float32)


def regularity(
    encode: Callable[[NDArray], NDArray],
    decode: Callable[[NDArray], NDArray],
    *,
    training: tuple[NDArray, NDArray],
    held_out: tuple[NDArray, NDArray],
    places: NDArray,
    lines: int = 200,
    rng: Generator,
) -> Regularity:
    """Measure continuity and completeness of a latent space.

    Args:
        encode: from images (N, ...) to codes (N, d); for a VAE the posterior's means.
        decode: D, from places (M, d) to images (M, ...), such as `VAE.mean_images`.
        training: images (N, ...), N >= 5, and their classes, (N,).
        held_out: images not learnt from, (K, ...), K >= 2, and their classes, (K,).
        places: where images are to be drawn from, (M, d).
        lines: between random pairs of held-out codes.
        rng: draws the pairs.

    Raises:
        ValueError: too few images, or a number of labels that is not theirs.

    Example:
        >>> images = np.linspace(0, 1, 21, dtype="float32")[:, None]
        >>> training, held_out = ((x, (x[:, 0] > 0.5).astype(int)) for x in (images, images[:-1] + 0.01))
        >>> places = np.array([[0.5], [1.0], [3.0]], "float32")
        >>> found = regularity(
        ...     lambda x: 2 * x, lambda z: z / 2, training=training, held_out=held_out, places=places, rng=Generator(0)
        ... )  # of the places, one means class 0, one is between the classes, and one is far from all images
        >>> round(found.agreement, 3), round(found.evenness, 3), round(found.completeness, 3)
        (0.95, 1.0, 0.333)
    """
    for name, (images, labels), least in (("training", training, NEIGHBOURS), ("held_out", held_out, 2)):
        if len(images) != len(labels) or len(images) < least:
            raise ValueError(
                f"regularity: {name} has images {images.shape} and labels {labels.shape}, expected a label for each, and at least {least}"
            )
    codes, held_out_codes = (_in_batches(encode, images) for images, _ in (training, held_out))
    near_codes, _ = _neighbours(held_out_codes, codes, 1)
    labels_of_held_out, held_out_distances = _labels_around(held_out[0], training)
    labels_of_places, distances = _labels_around(_in_batches(decode, places), training)
    reach = np.quantile(held_out_distances, NEAR)
    return Regularity(
        agreement=float((training[1][near_codes[:, 0]] == held_out[1]).mean()),
        evenness=_evenness(decode, held_out_codes, lines, rng),
        completeness=float((_is_one(labels_of_places) & (distances <= reach)).mean()),
        held_out=float((_is_one(labels_of_held_out) & (held_out_distances <= reach)).mean()),
    )


def _labels_around(images: NDArray, training: tuple[NDArray, NDArray]) -> tuple[NDArray, NDArray[np.float64]]:
    """Return the classes of the nearest training images, (N, 5), and the distance to the nearest, (N,)."""
    nearest, distances = _neighbours(images, training[0], NEIGHBOURS)
    return training[1][nearest], distances


def _is_one(labels: NDArray) -> NDArray[np.bool_]:
    """Return where the classes of a row are all the same."""
    return (labels == labels[:, :1]).all(axis=1)


def _neighbours(x: NDArray, among: NDArray, count: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the indices of the nearest, (N, count) in no order, and the distance to the very nearest, (N,)."""
    others = among.reshape(len(among), -1).astype(np.float64)
    indices, distances = [], []
    for start in range(0, len(x), BATCH):
        rows = x[start : start + BATCH].reshape(-1, others.shape[1]).astype(np.float64)
        squares = squared_distances(rows, others)
        indices.append(np.argpartition(squares, count - 1, axis=1)[:, :count])
        distances.append(np.sqrt(squares.min(axis=1)))
    return np.concatenate(indices), np.concatenate(distances)


def _evenness(decode: Callable[[NDArray], NDArray], codes: NDArray, lines: int, rng: Generator) -> float:
    n = len(codes)
    first = rng.integers(0, n, lines)
    second = (first + rng.integers(1, n, lines)) % n  # another one
    t = np.linspace(0, 1, STEPS + 1, dtype=codes.dtype)[:, None]
    found = []
    for a, b in zip(codes[first], codes[second], strict=True):
        images = decode(a + t * (b - a)).reshape(STEPS + 1, -1)
        paces = np.sqrt(np.square(np.diff(images, axis=0), dtype=np.float64).sum(axis=1))
        found.append(paces.mean() / paces.max() if paces.any() else 1.0)
    return float(np.mean(found))


def _in_batches(network: Callable[[NDArray], NDArray], x: NDArray) -> NDArray:
    return np.concatenate([network(x[start : start + BATCH]) for start in range(0, len(x), BATCH)])
