"""Which modes of the target a generator serves: the sign of mode collapse is a mass near 0."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minigen.data.checks import scalar_samples


def mode_mass(samples: ArrayLike, centres: ArrayLike) -> NDArray[np.float64]:
    """Return the share of the samples that is nearest to each centre.

    Compare with the exact masses in `Density.modes`. Each share is unbiased for the probability
    m of the points nearest to that centre, with standard deviation sqrt(m (1 - m) / N). It counts
    a sample however far it is: it tells which modes are served, not how well.

    Args:
        samples: (N,) or (N, 1).
        centres: (K,), where the modes stand. A sample as near to two counts for the first.

    Returns:
        (K,), float64, with sum 1, in the order of the centres.

    Raises:
        ValueError: samples or centres are empty or not finite.

    Example:
        >>> mode_mass([[-2.1], [1.8], [2.2], [1.9]], [-2.0, 2.0])
        array([0.25, 0.75])
    """
    x = scalar_samples(samples, "mode_mass: samples")
    c = scalar_samples(centres, "mode_mass: centres")
    nearest = np.abs(x[:, None] - c).argmin(axis=1)  # (N, K) -> (N,)
    return np.bincount(nearest, minlength=c.size) / x.size
