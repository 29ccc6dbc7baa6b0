"""Pictures of distances between distributions: their curves as one moves away, and the plans that move it back."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, Rectangle
from numpy.typing import ArrayLike, NDArray

from minigen.plots.style import BLACK, FIXED, FREE, GREEN, GREY, LIGHT_GREY, Stroke, curve, new_figure, stroke, styled

DISTANCES = {
    "W1": Stroke(GREEN),
    "JS": Stroke(FREE[2].color),
    "TV": Stroke(FREE[1].color, "--"),
    "KL(p || q)": Stroke(FREE[0].color),
    "KL(q || p)": Stroke(FREE[3].color, ":"),
}
"""The strokes of the distances and divergences of the lectures; those that may coincide differ in more than their colour."""

GAP = 2.8
"""Between the piles of p and those of q, in boxes: room for the arrows."""


@styled
def divergence_curves(
    theta: ArrayLike,
    *,
    values: Mapping[str, Mapping[str, ArrayLike]],
    gradients: Mapping[str, Mapping[str, ArrayLike]],
    limits: tuple[float, float],
    dots: Mapping[str, Sequence[tuple[float, float]]] | None = None,
    title: str = "",
) -> Figure:
    r"""Draw distances between two distributions, and below them their gradients, against the shift between the two.

    A column for each pair of distributions. An infinite value is drawn along the upper edge, marked by the sign of
    infinity; NaN, such as its gradient or a value at a jump, is a gap. It follows Arjovsky et al. 2017, "Wasserstein
    Generative Adversarial Networks", Figure 1.

    Args:
        theta: (T,), the shift, rising.
        values: by the pair's name, by the distance's name: (T,). The names of `DISTANCES` have strokes of their own.
        gradients: d value / d theta, by the same names.
        limits: how high the panels of the values and those of the gradients reach; what is larger leaves the panel.
        dots: isolated values (theta, value), by the pair's name.
        title: stands above the panels.

    Raises:
        ValueError: names or lengths differ.

    Example:
        >>> theta = np.linspace(-1, 1, 5)
        >>> figure = divergence_curves(
        ...     theta, values={"points": {"TV": np.ones(5)}}, gradients={"points": {"TV": np.zeros(5)}}, limits=(2, 1)
        ... )
        >>> [panel.get_ylabel() for panel in figure.axes]
        ['value', 'gradient $d/d\\theta$']
    """
    names = {pair: list(curves) for pair, curves in values.items()}
    if names != {pair: list(curves) for pair, curves in gradients.items()}:
        raise ValueError(
            f"divergence_curves: values are of {names}, gradients of "
            f"{ {pair: list(curves) for pair, curves in gradients.items()} }; expected the same names in the same order"
        )
    theta = np.asarray(theta, dtype=np.float64)
    figure = new_figure(4.6 * len(values), 7.6, title)
    panels = figure.subplots(2, len(values), sharex=True, sharey="row", squeeze=False)
    for column, pair in enumerate(values):
        upper, lower = panels[:, column]
        for i, name in enumerate(names[pair]):
            line = DISTANCES.get(name, stroke(name, i))
            height = curve(f"divergence_curves: values[{pair!r}][{name!r}]", values[pair][name], theta.size)
            slope = curve(f"divergence_curves: gradients[{pair!r}][{name!r}]", gradients[pair][name], theta.size)
            # The first is drawn widest and the others on it, so that equal curves are all seen.
            style = line.keywords | {"linewidth": 5.0 if i == 0 else 2.4, "solid_capstyle": "butt"}
            upper.plot(theta, np.where(np.isinf(height), np.nan, height), label=name, **style)
            lower.plot(theta, slope, **style)
            if np.isinf(height).any():
                edge = np.where(np.isinf(height), 0.97, np.nan)
                upper.plot(theta, edge, transform=upper.get_xaxis_transform(), **style)
                upper.text(0.97, 0.95, r"$\infty$", transform=upper.transAxes, ha="right", va="top", fontsize=18)
        for at, value in (dots or {}).get(pair, ()):
            upper.plot(at, value, marker="o", markersize=8, color=BLACK, linestyle="", zorder=3)
        upper.set(title=pair, ylim=(-0.04 * limits[0], limits[0]))
        lower.set(xlabel=r"shift $\theta$", ylim=(-limits[1], limits[1]))
    panels[0, 0].set_ylabel("value")
    panels[1, 0].set_ylabel(r"gradient $d/d\theta$")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


@styled
def transport_plans(x: ArrayLike, y: ArrayLike, *, plans: Mapping[str, ArrayLike], title: str = "") -> Figure:
    """Draw plans that move piles of boxes on the line, each as boxes with arrows and as the matrix gamma(x, y).

    On the left p's piles stand above, and q's hang below; a box of q has the colour of the place that it came from. An
    arrow is as wide as the number of boxes that take it. On the right is the matrix with its marginals: the sums of
    its rows are p, those of its columns q. A pairing that never goes backwards has no arrows that cross.

    Args:
        x: (n,), the places of p.
        y: (m,), the places of q.
        plans: by the plan's title: (n, m), whole numbers, the boxes that go from x_i to y_j; all with the same marginals.
        title: stands above the panels.

    Raises:
        ValueError: a plan has another shape, or entries that are not numbers of boxes; the marginals differ.

    Example:
        >>> figure = transport_plans([1, 2], [4, 5], plans={"sorted": np.eye(2), "reversed": np.eye(2)[::-1]})
        >>> [panel.get_title() for panel in figure.axes]
        ['sorted', '$\\\\gamma(x, y)$ and its marginals', 'reversed', '$\\\\gamma(x, y)$ and its marginals']
    """
    x, y = np.asarray(x, dtype=np.float64).reshape(-1), np.asarray(y, dtype=np.float64).reshape(-1)
    boxes = {name: _boxes(name, plan, (x.size, y.size)) for name, plan in plans.items()}
    marginals = {(tuple(plan.sum(axis=1)), tuple(plan.sum(axis=0))) for plan in boxes.values()}
    if len(marginals) > 1:
        raise ValueError(f"transport_plans: the plans have different marginals, expected one p and one q: {marginals}")

    figure = new_figure(12.5, 4.4 * len(plans), title)
    panels = figure.subplots(len(plans), 2, squeeze=False, width_ratios=(1.7, 1), gridspec_kw={"hspace": 0.06})
    for (piles, matrix), (name, plan) in zip(panels, boxes.items(), strict=True):
        _draw_piles(piles, x, y, plan)
        piles.set_title(name)
        _draw_matrix(matrix, x, y, plan)
        matrix.set_title(r"$\gamma(x, y)$ and its marginals")
    return figure


def _boxes(name: str, plan: ArrayLike, shape: tuple[int, int]) -> NDArray[np.int64]:
    array = np.asarray(plan, dtype=np.float64)
    if array.shape != shape:
        raise ValueError(f"transport_plans: plans[{name!r}] has shape {array.shape}, expected (n, m) = {shape}")
    whole = np.rint(array)
    if not (np.abs(array - whole).max() < 1e-6 and whole.min() >= 0):
        raise ValueError(f"transport_plans: plans[{name!r}] has entries that are not whole numbers of boxes:\n{array}")
    return whole.astype(np.int64)


def _color(place: int) -> str:
    """Return the colour of the boxes that come from a place of p."""
    return FREE[place % len(FREE)].color


def _draw_piles(axes: Axes, x: NDArray, y: NDArray, plan: NDArray) -> None:
    """Draw p's boxes above the gap, q's below it, and an arrow for each entry of the plan."""
    p, q = plan.sum(axis=1), plan.sum(axis=0)
    for i, place in enumerate(x):
        for level in range(p[i]):
            _draw_box(axes, place, GAP + level, i)
    for j, place in enumerate(y):
        origins = np.repeat(np.arange(x.size), plan[:, j])
        for level, origin in enumerate(origins):
            _draw_box(axes, place, -1.0 - level, int(origin))

    for i, j in np.argwhere(plan):
        # Arrows that share a pile are spread over its width, in the order of their other ends.
        start = x[i] + _spread(y[plan[i] > 0], y[j])
        end = y[j] + _spread(x[plan[:, j] > 0], x[i])
        axes.add_patch(
            FancyArrowPatch(
                (start, GAP - 0.06), (end, 0.06), color=_color(i), linewidth=1.5 + 1.5 * plan[i, j], shrinkA=0, shrinkB=0,
                arrowstyle="-|>", mutation_scale=16,
            )
        )  # fmt: skip
        axes.text(
            start + 0.25 * (end - start), 0.75 * GAP, str(plan[i, j]), ha="center", va="center", fontsize=12,
            bbox={"boxstyle": "circle,pad=0.15", "facecolor": "white", "edgecolor": _color(i)},
        )  # fmt: skip
    low, high = min(x.min(), y.min()), max(x.max(), y.max())
    for height, letter, label_height in ((GAP, "$p$", GAP + 0.5), (0.0, "$q$", -0.5)):
        axes.axhline(height, color=BLACK, linewidth=1.2)
        axes.text(low - 0.95, label_height, letter, ha="center", va="center", fontsize=16)
    axes.set(
        xlim=(low - 1.3, high + 0.8), ylim=(-0.3 - q.max(), GAP + p.max() + 0.3), xlabel="place",
        xticks=np.union1d(x, y), yticks=[],
    )  # fmt: skip
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)


def _spread(places: NDArray, place: float) -> float:
    """Return how far to the side of a pile the arrow to `place` is, among those to all `places`."""
    return 0.34 * (int((places < place).sum()) - (places.size - 1) / 2)


def _draw_box(axes: Axes, place: float, bottom: float, origin: int) -> None:
    axes.add_patch(Rectangle((place - 0.46, bottom + 0.04), 0.92, 0.92, facecolor=_color(origin), edgecolor=BLACK))


def _draw_matrix(axes: Axes, x: NDArray, y: NDArray, plan: NDArray) -> None:
    """Draw the numbers of a plan in its places' colours, with p at the right of it and q below."""
    n, m = plan.shape
    for i, j in np.ndindex(n, m):
        strength = 0.85 * plan[i, j] / plan.max()
        axes.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, facecolor=_color(i), alpha=strength, linewidth=0))
        axes.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, fill=False, edgecolor=GREY))
        axes.text(j, i, str(plan[i, j]), ha="center", va="center", fontsize=15, color=BLACK if plan[i, j] else GREY)
    for i, total in enumerate(plan.sum(axis=1)):
        axes.text(m - 0.15, i, str(total), ha="center", va="center", fontsize=15, fontweight="bold")
    for j, total in enumerate(plan.sum(axis=0)):
        axes.text(j, n - 0.2, str(total), ha="center", va="center", fontsize=15, fontweight="bold")
    axes.text(m - 0.15, -0.85, "$p(x)$", ha="center", va="center", fontsize=14)
    axes.text(-0.85, n - 0.2, "$q(y)$", ha="center", va="center", fontsize=14)
    axes.set(
        xlim=(-0.5, m - 0.5), ylim=(n - 0.5, -0.5), aspect="equal", xlabel="$y$", ylabel="$x$",
        xticks=range(m), xticklabels=[f"{place:g}" for place in y],
        yticks=range(n), yticklabels=[f"{place:g}" for place in x],
    )  # fmt: skip
    axes.xaxis.set_label_position("top")
    axes.tick_params(length=0, labeltop=True, labelbottom=False)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)


@styled
def planar_plans(
    x: ArrayLike, y: ArrayLike, *, a: ArrayLike, b: ArrayLike, plans: Mapping[str, ArrayLike], title: str = ""
) -> Figure:
    """Draw plans that move mass in the plane, side by side: as lines as wide as the mass that takes them.

    Args:
        x: (n, 2), the places of p.
        y: (m, 2), the places of q.
        a: (n,), the masses of p; the area of a disc is in proportion.
        b: (m,), the masses of q.
        plans: by the plan's title: (n, m), the mass that goes from x_i to y_j.
        title: stands above the panels.

    Raises:
        ValueError: a shape is another.

    Example:
        >>> figure = planar_plans(
        ...     [[0, 0], [1, 0]], [[0, 1], [1, 1]], a=[1, 2], b=[2, 1], plans={"euclidean": [[1, 0], [1, 1]]}
        ... )
        >>> len(figure.axes[0].lines)
        3
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    n, m = len(a), len(b)
    arrays = {"x": (x, (n, 2)), "y": (y, (m, 2)), "a": (a, (n,)), "b": (b, (m,))}
    drawn = {name: np.asarray(plan, dtype=np.float64) for name, plan in plans.items()}
    for name, (array, shape) in (arrays | {f"plans[{name!r}]": (plan, (n, m)) for name, plan in drawn.items()}).items():
        if array.shape != shape:
            raise ValueError(f"planar_plans: {name} has shape {array.shape}, expected {shape}")

    largest = max(a.max(), b.max())
    figure = new_figure(6.2 * len(plans), 5.9, title)
    panels = figure.subplots(1, len(plans), sharex=True, sharey=True, squeeze=False)[0]
    for panel, (name, plan) in zip(panels, drawn.items(), strict=True):
        for i, j in np.argwhere(plan > 1e-9 * largest):  # below that it is rounding
            panel.plot(*zip(x[i], y[j], strict=True), color=GREY, linewidth=10 * plan[i, j] / largest, zorder=2)
            middle = 0.5 * (x[i] + y[j])
            panel.text(
                *middle, f"{plan[i, j]:g}", ha="center", va="center", fontsize=13,
                bbox={"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": LIGHT_GREY},
            )  # fmt: skip
        for points, mass, line in ((x, a, FIXED["p_data"]), (y, b, FIXED["p_g"])):
            panel.scatter(*points.T, s=800 * mass / largest, color=line.color, zorder=3)
            for place, amount in zip(points, mass, strict=True):
                panel.text(*place, f"{amount:g}", ha="center", va="center", color="white", fontsize=13, zorder=4)
        panel.set(title=name, xlabel="$x_1$", aspect="equal")
        panel.margins(0.12)
    panels[0].set_ylabel("$x_2$")
    discs = [
        Line2D([], [], marker="o", markersize=11, linestyle="", color=FIXED[name].color) for name in ("p_data", "p_g")
    ]
    figure.legend(discs, ["$p$", "$q$"], loc="outside lower center", ncols=2)
    return figure
