"""How well a score tells positives from negatives: the ROC curve and the area under it.

A threshold t calls an example positive if its score s >= t. As t falls, the shares of negatives and of positives that are called so
rise from 0 to 1: the receiver operating characteristic. The area under it needs no threshold, and has a meaning of its own (Hanley &
McNeil 1982, "The meaning and use of the area under a receiver operating characteristic curve"). It is the statistic of Mann & Whitney,
for a random positive and a random negative:

    AUROC = P(s_+ > s_-) + 1/2 P(s_+ = s_-)

1/2 is chance, 1 perfect order; it does not depend on how many of the examples are positive. Over all pairs of a sample it is an unbiased
estimate.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Doubles = NDArray[np.float64]


def auroc(scores: ArrayLike, positive: ArrayLike) -> float:
    """Return the area under the ROC curve.

    Args:
        scores: (N,), higher for what should be positive.
        positive: (N,), whether an example is; booleans, or 0 and 1.

    Raises:
        ValueError: shapes differ, a score is NaN, or all examples are of one kind.

    Example:
        >>> auroc([0.1, 0.4, 0.4, 0.8], [False, False, True, True])
        0.875
    """
    negatives, positives = _parted(scores, positive, "auroc")
    negatives = np.sort(negatives)
    below = np.searchsorted(negatives, positives, side="left")
    below_or_tied = np.searchsorted(negatives, positives, side="right")
    return float((below + below_or_tied).mean() / (2 * len(negatives)))


def roc_curve(scores: ArrayLike, positive: ArrayLike) -> tuple[Doubles, Doubles]:
    """Return the corners of the ROC curve, from (0, 0) to (1, 1): one for each different score.

    Args:
        scores: (N,), higher for what should be positive.
        positive: (N,), whether an example is; booleans, or 0 and 1.

    Returns:
        The share of negatives and the share of positives with a score of at least t, as t falls; (T + 1,) each for T different scores.

    Raises:
        ValueError: as `auroc`.

    Example:
        >>> roc_curve([0.1, 0.4, 0.4, 0.8], [False, False, True, True])
        (array([0. , 0. , 0.5, 1. ]), array([0. , 0.5, 1. , 1. ]))
    """
    negatives, positives = _parted(scores, positive, "roc_curve")
    thresholds = np.unique(np.concatenate([negatives, positives]))[::-1]

    def share(kind: Doubles) -> Doubles:
        at_least = len(kind) - np.searchsorted(np.sort(kind), thresholds, side="left")
        return np.concatenate([[0.0], at_least / len(kind)])

    return share(negatives), share(positives)


def _parted(scores: ArrayLike, positive: ArrayLike, owner: str) -> tuple[Doubles, Doubles]:
    """Return the scores of the negatives, and those of the positives."""
    s, is_positive = np.asarray(scores, dtype=np.float64), np.asarray(positive)
    if s.shape != is_positive.shape or s.ndim != 1:
        raise ValueError(f"{owner}: scores {s.shape} and positive {is_positive.shape}, expected (N,) each")
    if np.isnan(s).any():
        raise ValueError(f"{owner}: {np.isnan(s).sum()} of {s.size} scores are NaN, which has no place in an order")
    if not np.isin(is_positive, (0, 1)).all():
        raise ValueError(f"{owner}: positive holds {np.unique(is_positive)[:5]}, expected booleans, or 0 and 1")
    is_positive = is_positive.astype(bool)
    if is_positive.all() or not is_positive.any():
        raise ValueError(f"{owner}: {is_positive.sum()} positives of {s.size} examples; it takes both kinds")
    return s[~is_positive], s[is_positive]
