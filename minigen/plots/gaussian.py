"""The picture of a Gaussian fitted by gradient descent beside the closed form."""

import math

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from numpy.typing import ArrayLike, NDArray

from minigen.plots.style import FIXED, GREY, Stroke, curve, legend_above, new_figure, styled


@styled
def gaussian_fit(
    samples: ArrayLike,
    *,
    mean: ArrayLike,
    covariance: ArrayLike,
    exact_mean: ArrayLike,
    exact_covariance: ArrayLike,
    steps: ArrayLike,
    history: ArrayLike,
    labels: tuple[str, str] = ("$x_1$", "$x_2$"),
    title: str = "",
) -> Figure:
    """Draw a two-dimensional Gaussian fitted to samples beside the best one, and how its loss came down to the minimum.

    The ellipses are the contours at 1 and 2 standard deviations, of the fit and of the closed form. The mean negative
    log-likelihood is least for the samples' mean and covariance S (divided by N), where it is
    1 + log 2 pi + (log det S) / 2.

    Args:
        samples: (N, 2), the data.
        mean: (2,), the fitted mean.
        covariance: (2, 2), the fitted covariance.
        exact_mean: (2,), the mean of the samples.
        exact_covariance: (2, 2), the covariance of the samples, divided by N.
        steps: (T,), the training steps at which the loss was measured.
        history: (T,), the negative log-likelihood at these steps, in nats per sample, averaged over all samples.
        labels: of the two axes of the data.
        title: stands above the panels.

    Raises:
        ValueError: a shape is another.

    Example:
        >>> samples = np.array([[-1.0, 0.0], [1.0, 0.0], [0.0, -1.0], [0.0, 1.0]])
        >>> figure = gaussian_fit(
        ...     samples, mean=[0.1, 0.0], covariance=np.eye(2),
        ...     exact_mean=[0, 0], exact_covariance=np.eye(2) / 2, steps=[0, 1], history=[3.0, 2.4],
        ... )
        >>> figure.axes[1].lines[1].get_label()
        'minimum: 2.1447'
    """
    samples = np.asarray(samples, dtype=np.float64)
    _check("samples", samples, (len(samples), 2))
    fit = np.asarray(mean, dtype=np.float64), np.asarray(covariance, dtype=np.float64)
    best = np.asarray(exact_mean, dtype=np.float64), np.asarray(exact_covariance, dtype=np.float64)
    for name, array in zip(("mean", "covariance", "exact_mean", "exact_covariance"), (*fit, *best), strict=True):
        _check(name, array, (2,) if name.endswith("mean") else (2, 2))

    figure = new_figure(12.0, 5.0, title)
    plane, loss = figure.subplots(1, 2)
    plane.scatter(*samples.T, s=9, color=GREY, alpha=0.5, linewidths=0, label="data")
    for name, gaussian, line in (("fit, 1 and 2 std", fit, FIXED["p_g"]), ("closed form", best, FIXED["exact"])):
        plane.add_patch(_contour(*gaussian, 1, line, label=name))
        plane.add_patch(_contour(*gaussian, 2, line))
    plane.set(xlabel=labels[0], ylabel=labels[1], aspect="equal", adjustable="datalim")
    legend_above(plane)

    steps = np.asarray(steps, dtype=np.float64)
    losses = curve("gaussian_fit: history", history, steps.size)
    minimum = 1 + math.log(2 * math.pi) + 0.5 * np.linalg.slogdet(best[1]).logabsdet
    loss.plot(steps, losses, label="fit", **FIXED["p_g"].keywords)
    loss.axhline(minimum, label=f"minimum: {minimum:.4f}", **FIXED["exact"].keywords)
    loss.set(xlabel="training step", ylabel="negative log-likelihood\n(nats per sample)")
    legend_above(loss)
    return figure


def _check(name: str, array: NDArray, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise ValueError(f"gaussian_fit: {name} has shape {array.shape}, expected {shape}")


def _contour(mean: NDArray, covariance: NDArray, sigmas: int, line: Stroke, label: str = "") -> Ellipse:
    """Return the ellipse (x - mean)^T covariance^-1 (x - mean) = sigmas^2, whose axes are the eigenvectors."""
    variances, directions = np.linalg.eigh(covariance)
    width, height = 2 * sigmas * np.sqrt(np.maximum(variances, 0.0))
    angle = math.degrees(math.atan2(directions[1, 0], directions[0, 0]))
    centre = (mean[0], mean[1])
    return Ellipse(centre, width, height, angle=angle, fill=False, linewidth=2, label=label, **line.keywords)
