"""Pictures of adversarial learning: the two densities, the discriminator between them, and how a training went."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from minigen.plots.style import FIXED, GREEN, LIGHT_GREY, curve, legend_above, new_figure, stroke, styled

ARROWS = 33
"""How many arrows show the map from z to G(z)."""


@styled
def gan_densities(
    x: ArrayLike,
    *,
    p_data: ArrayLike,
    p_generator: ArrayLike,
    discriminator: ArrayLike | None = None,
    discriminator_label: str = "$D(x)$",
    optimal: ArrayLike | None = None,
    latent: ArrayLike,
    generated: ArrayLike,
    latent_dimension: int,
    title: str = "",
) -> Figure:
    """Draw a one-dimensional generator beside its data, with the discriminator and the map from z to G(z).

    It follows Goodfellow et al. 2014, "Generative Adversarial Nets", Figure 1. Three panels share the data axis. The
    first has the densities and, on the right-hand axis, the discriminator. In the second an arrow leads from each z,
    below, to G(z), above: arrows meet where G contracts and p_g is high. The third is the graph of G, turned so that
    G(z) lies along the data axis; for a uniform z and a rising G its slope dz/dG is p_g, up to a constant.

    Args:
        x: (M,), points of the data axis, rising.
        p_data: (M,), the data's density at x.
        p_generator: (M,), p_g, the density of generated samples at x.
        discriminator: (M,), D at x; left out where None.
        discriminator_label: what D is called; say so where it is not a probability, as in least-squares GANs and critics.
        optimal: (M,), D* = p_data / (p_data + p_g) at x; left out where None.
        latent: (N,), z, or its first coordinate; rising. Evenly spaced values for a uniform z; for another
            distribution its quantiles make the arrowheads as dense as p_g.
        generated: (N,), G(z).
        latent_dimension: the number of coordinates of z. Above 1 the map is drawn along the first, the others being
            0, and the labels say so.
        title: stands above the panels.

    Raises:
        ValueError: lengths differ, or latent does not rise.

    Example:
        >>> x, z = np.linspace(-3, 3, 101), np.linspace(-2, 2, 50)
        >>> p, q = np.exp(-(x**2)), np.exp(-((x - 1) ** 2))
        >>> figure = gan_densities(x, p_data=p, p_generator=q, latent=z, generated=z + 1, latent_dimension=8)
        >>> [panel.get_ylabel() for panel in figure.axes[:3]]
        ['density', '', '$z_1$ (of 8; others 0)']
    """
    x, z = np.asarray(x, dtype=np.float64), np.asarray(latent, dtype=np.float64).reshape(-1)
    p = curve("gan_densities: p_data", p_data, x.size)
    q = curve("gan_densities: p_generator", p_generator, x.size)
    g = curve("gan_densities: generated", generated, z.size)
    if not z[-1] > z[0]:
        raise ValueError(f"gan_densities: latent runs from {z[0]:g} to {z[-1]:g}, expected rising values")
    z_label = "$z$" if latent_dimension == 1 else f"$z_1$ (of {latent_dimension}; others 0)"

    figure = new_figure(8.5, 8.5, title)
    densities, arrows, graph = figure.subplots(3, 1, sharex=True, height_ratios=(5, 2, 2.5))
    densities.fill_between(x, p, color=LIGHT_GREY, linewidth=0)
    densities.fill_between(x, q, color=GREEN, alpha=0.2, linewidth=0)
    densities.plot(x, p, label=r"$p_{\mathrm{data}}(x)$", **FIXED["p_data"].keywords)
    densities.plot(x, q, label="$p_g(x)$", **FIXED["p_g"].keywords)
    densities.set(xlim=(x[0], x[-1]), ylabel="density", xlabel="$x$")
    densities.set_ylim(bottom=0.0)
    densities.tick_params(labelbottom=True)
    if discriminator is None and optimal is None:
        legend_above(densities)
    else:
        legend_above(densities, _draw_discriminators(densities, x, discriminator, discriminator_label, optimal))

    _draw_map(arrows, x, z, g, z_label)
    graph.plot(g, z, **FIXED["G"].keywords)
    graph.set(xlabel="$G(z)$", ylabel=z_label)
    figure.align_ylabels([densities, graph])
    return figure


def _draw_discriminators(
    densities: Axes, x: NDArray, discriminator: ArrayLike | None, label: str, optimal: ArrayLike | None
) -> Axes:
    """Draw D and D* over the densities on an axis at the right, from 0 to 1 or as far as D goes."""
    axes = densities.twinx()
    axes.spines["right"].set_visible(True)
    axes.grid(visible=False)
    drawn = []
    if discriminator is not None:
        drawn.append(curve("gan_densities: discriminator", discriminator, x.size))
        axes.plot(x, drawn[-1], label=label, **FIXED["D"].keywords)
    if optimal is not None:
        drawn.append(curve("gan_densities: optimal", optimal, x.size))
        axes.plot(x, drawn[-1], label="$D^*(x)$", **FIXED["D*"].keywords)
    low, high = min(0.0, *(np.nanmin(d) for d in drawn)), max(1.0, *(np.nanmax(d) for d in drawn))
    margin = 0.03 * (high - low)
    axes.set_ylim(low - margin if low < 0 else 0.0, high + margin)
    axes.set_ylabel("$D^*(x)$" if discriminator is None else label)
    return axes


def _draw_map(axes: Axes, x: NDArray, z: NDArray, g: NDArray, z_label: str) -> None:
    """Draw arrows from the z axis along the lower edge to G(z) on the data axis along the upper edge."""
    low, high = z[0] - 0.05 * (z[-1] - z[0]), z[-1] + 0.05 * (z[-1] - z[0])
    z_axis = axes.twiny()
    z_axis.grid(visible=False)
    z_axis.set(xlim=(low, high))
    z_axis.xaxis.set_ticks_position("bottom")
    z_axis.xaxis.set_label_position("bottom")
    z_axis.set_xlabel(z_label, labelpad=1)

    chosen = np.linspace(0, z.size - 1, min(ARROWS, z.size)).round().astype(int)
    start = x[0] + (x[-1] - x[0]) * (z[chosen] - low) / (high - low)  # where z stands on the data axis
    axes.quiver(
        start, np.zeros(start.size), g[chosen] - start, np.ones(start.size), color=GREEN,
        angles="xy", scale_units="xy", scale=1, width=0.0022, headwidth=5, headlength=7,
    )  # fmt: skip
    axes.spines["top"].set_visible(True)
    axes.tick_params(bottom=False, top=True)
    axes.set(ylim=(0, 1), yticks=[])


@styled
def training_curves(
    steps: ArrayLike,
    *,
    losses: Mapping[str, ArrayLike],
    equilibrium: Mapping[str, float | None] | None = None,
    distance: ArrayLike,
    distance_label: str = "$W_1$",
    floor: float | None = None,
    gradient_norm: ArrayLike,
    title: str = "",
) -> Figure:
    """Draw how an adversarial training went: the losses, the distance to the data, the generator's gradient.

    Args:
        steps: (T,), the training steps at which all was measured.
        losses: the loss of each player, (T,), by label. "D" and "G" have their fixed colours.
        equilibrium: the loss of a player at equilibrium, by the same labels, such as log 4 for the minimax "D"; None
            where it has none.
        distance: (T,), how far generated samples are from real ones.
        distance_label: what measures it; by default W1, in the data's units.
        floor: the distance that perfect samples would show, which is above 0 since samples are finite.
        gradient_norm: (T,), the Euclidean norm of the generator's gradient.
        title: stands above the panels.

    Raises:
        ValueError: lengths differ.

    Example:
        >>> steps = np.arange(3)
        >>> figure = training_curves(
        ...     steps, losses={"D": [1.2, 1.3, 1.4], "G": [0.9, 0.8, 0.7]},
        ...     distance=[1.0, 0.1, 0.05], gradient_norm=[1.0, 2.0, 0.5],
        ... )
        >>> [panel.get_ylabel() for panel in figure.axes]
        ['loss', '$W_1$', 'gradient norm of $G$']
    """
    steps = np.asarray(steps)
    distances = curve("training_curves: distance", distance, steps.size)
    figure = new_figure(8.5, 8.0, title)
    loss, far, norm = figure.subplots(3, 1, sharex=True)
    for i, (label, values) in enumerate(losses.items()):
        line = stroke(label, i)
        loss.plot(steps, curve(f"training_curves: losses[{label!r}]", values, steps.size), label=label, **line.keywords)
        target = (equilibrium or {}).get(label)
        if target is not None:
            loss.axhline(target, label=f"{label} at equilibrium: {target:.4g}", color=line.color, linestyle=":")
    loss.set_ylabel("loss")
    legend_above(loss)

    far.plot(steps, distances, label="generated samples", **FIXED["G"].keywords)
    if floor is not None:
        far.axhline(floor, label=f"perfect samples: {floor:.3g}", **FIXED["exact"].keywords)
    far.set(yscale="log", ylabel=distance_label)
    legend_above(far)

    norm.plot(steps, curve("training_curves: gradient_norm", gradient_norm, steps.size), **FIXED["G"].keywords)
    norm.set(yscale="log", ylabel="gradient norm of $G$", xlabel="training step")
    figure.align_ylabels()
    return figure


@styled
def saturation(
    steps: ArrayLike, *, norms: Mapping[str, ArrayLike], discriminator_on_fake: ArrayLike, title: str = ""
) -> Figure:
    """Draw how the generator's gradient fares while the discriminator learns to reject a fixed generator.

    As D(G(z)) goes to 0, so does the gradient of the minimax loss log(1 - D(G(z))), in proportion; that of the
    non-saturating loss -log D(G(z)) does not (Goodfellow et al. 2014, section 3). Both panels have logarithmic axes,
    where proportion is a parallel course.

    Args:
        steps: (T,), the discriminator's training steps.
        norms: the Euclidean norm of the generator's gradient under each loss, (T,), by label.
        discriminator_on_fake: (T,), the mean of D(G(z)), a probability.
        title: stands above the panels.

    Raises:
        ValueError: lengths differ.

    Example:
        >>> figure = saturation(
        ...     [0, 1], norms={"minimax": [0.5, 1e-3], "non-saturating": [0.5, 0.8]}, discriminator_on_fake=[0.5, 1e-3]
        ... )
        >>> [line.get_label() for line in figure.axes[0].lines]
        ['minimax', 'non-saturating']
    """
    steps = np.asarray(steps)
    probability = curve("saturation: discriminator_on_fake", discriminator_on_fake, steps.size)
    figure = new_figure(8.5, 6.5, title)
    norm, fake = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    for i, (label, values) in enumerate(norms.items()):
        course = curve(f"saturation: norms[{label!r}]", values, steps.size)
        norm.plot(steps, course, label=label, **stroke(label, i).keywords)
    norm.set(yscale="log", ylabel="gradient norm of $G$")
    legend_above(norm)
    fake.plot(steps, probability, **FIXED["D"].keywords)
    fake.set(yscale="log", ylabel="mean $D(G(z))$", xlabel="training step of $D$, against a fixed $G$")
    figure.align_ylabels()
    return figure
