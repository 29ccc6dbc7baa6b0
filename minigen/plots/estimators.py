"""Pictures of gradient estimators: where their estimates lie, and how their spread falls with the number of samples."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from minigen.plots.style import FIXED, GREY, curve, new_figure, stroke, styled


@styled
def estimator_spread(
    parameter: ArrayLike,
    *,
    estimates: Mapping[str, ArrayLike],
    exact: ArrayLike,
    samples: ArrayLike,
    deviations: Mapping[str, ArrayLike],
    parameter_label: str = r"$\theta$",
    title: str = "",
) -> Figure:
    r"""Draw unbiased estimators of one gradient side by side, such as the score function's and the reparameterized one.

    The panels on the left, one per estimator on equal axes, show the mean of its estimates and a band of one standard
    deviation to each side, with the exact gradient. On the right, the standard deviation against the number of
    samples that one estimate averages, on logarithmic axes, with the law 1 / sqrt(samples) dotted through each
    estimator's first point.

    Args:
        parameter: (M,), the parameter's values, rising.
        estimates: (M, repetitions), independent estimates of the gradient at each value, by the estimator's label.
        exact: (M,), the exact gradient.
        samples: (K,), numbers of samples per estimate.
        deviations: (K,), the standard deviation of one estimate at each number of samples, by the same labels.
        parameter_label: what the parameter is called.
        title: stands above the panels.

    Raises:
        ValueError: lengths or labels differ.

    Example:
        >>> theta, samples = np.linspace(-1, 1, 3), np.array([1, 10, 100])
        >>> noise = np.array([-0.1, 0.1])
        >>> figure = estimator_spread(
        ...     theta, estimates={"reparameterized": 2 * theta[:, None] + noise}, exact=2 * theta,
        ...     samples=samples, deviations={"reparameterized": samples**-0.5},
        ... )
        >>> [panel.get_title() for panel in figure.axes]
        ['reparameterized', 'spread']
    """
    if list(estimates) != list(deviations):
        raise ValueError(
            f"estimator_spread: estimates are of {list(estimates)}, deviations of {list(deviations)}; "
            "expected the same labels in the same order"
        )
    theta, samples = np.asarray(parameter, dtype=np.float64), np.asarray(samples, dtype=np.float64)
    truth = curve("estimator_spread: exact", exact, theta.size)

    figure = new_figure(4.2 * (len(estimates) + 1), 4.6, title)
    *panels, spread = figure.subplots(1, len(estimates) + 1)
    for panel in panels[1:]:
        panel.sharey(panels[0])
    for i, (label, drawn) in enumerate(estimates.items()):
        drawn = np.asarray(drawn, dtype=np.float64)
        if drawn.ndim != 2 or len(drawn) != theta.size:
            raise ValueError(
                f"estimator_spread: estimates[{label!r}] has shape {drawn.shape}, expected ({theta.size}, repetitions)"
            )
        mean, deviation = drawn.mean(axis=1), drawn.std(axis=1)
        line, panel = stroke(label, i), panels[i]
        band = (mean - deviation, mean + deviation)
        panel.fill_between(theta, *band, color=line.color, alpha=0.3, linewidth=0, label="± 1 std")
        panel.plot(theta, mean, label="mean", **line.keywords)
        panel.plot(theta, truth, label="exact", **FIXED["exact"].keywords)
        panel.set(title=label, xlabel=parameter_label, ylabel="gradient")
        panel.legend()

        fall = curve(f"estimator_spread: deviations[{label!r}]", deviations[label], samples.size)
        spread.loglog(samples, fall, marker="o", label=label, **line.keywords)
        spread.loglog(samples, fall[0] * np.sqrt(samples[0] / samples), color=GREY, linestyle=":", zorder=1)
    spread.lines[-1].set_label(r"$\propto 1/\sqrt{\mathrm{samples}}$")
    spread.set(title="spread", xlabel="samples per estimate", ylabel="standard deviation")
    spread.legend()
    return figure
