"""The block diagram of a game: for each turn what goes in, which networks see it, who learns, and what it descends on."""

from collections.abc import Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from minigen.models import Game, Turn
from minigen.nn import Module
from minigen.plots.boxes import BETWEEN_ROWS, LINE, TEXT, TITLE, Box, draw_box, draw_line, placed, sample_of, text_width
from minigen.plots.game_trace import Networks, Part, networks_of, shares_parameters, trace, undisturbed
from minigen.plots.graph_layout import Layout, layered
from minigen.plots.style import BLACK, BLUE, GREEN, GREY, LIGHT_GREY, drawable, styled
from minigen.random import Generator

LEARNS = {"judge": BLUE, "maker": GREEN}
"""The colours of networks that learn in a turn, as those of D and G in all pictures."""

WIDTHS = {True: 2.4, False: 1.2}
"""Of lines along which the gradient flows back to what learns, and of others."""

MARGIN, BETWEEN_TURNS, LEGEND = 14.0, 44.0, 34.0  # in points (1/72 inch)


@styled
@matplotlib.rc_context({"text.parse_math": False})  # names are the user's
def game_diagram(game: Game, batch: Any, *, rng: Generator, title: str = "") -> Figure:
    """Draw what happens in each turn of a game: one row for each of its `turns()`.

    Each turn's loss is computed once, and what its networks are given and return is noted. So the diagram shows the game as it is:

        x, y       the batch, of which y is the condition or the second part; the keys of a batch that is a dict
        z          noise that is drawn
        a network  each call of a network that is an attribute of the game; coloured where it learns in this turn
        between    points on the lines from examples to others, where gradient penalties are taken
        pool       examples that a judge may have seen earlier
        computed   what was computed in another way, without a gradient
        slope      the gradient of what a network returned, with respect to its input
        loss       with its terms

    The gradient that the player follows flows back along the thick lines. Networks run in evaluation mode. Parameters, buffers, gradients,
    generators and the pools stay as they are.

    Args:
        game: such as a GAN; any object with `turns()`.
        batch: a small one of what the losses take.
        rng: draws the noise; it is as before afterwards.
        title: stands above the turns.

    Raises:
        TypeError: the game has no turns.
        ValueError: there is none, or a turn calls none of the networks.
        FloatingPointError: a value is not finite; nothing can be told of a game that has diverged.

    Example:
        >>> from minigen.models import mlp_gan
        >>> rng = Generator(0)
        >>> gan = mlp_gan(features=1, latent=2, width=8, critic_steps=5, rng=rng)
        >>> figure = game_diagram(gan, rng.normal((8, 1)), rng=rng, title="A GAN of numbers")
        >>> [text.get_text() for text in figure.axes[0].texts[:3]]
        ['1  discriminator', '5 times', 'each on a new batch']
    """
    if not callable(getattr(game, "turns", None)):
        raise TypeError(
            f"game_diagram: a {type(game).__name__} has no turns(); expected a game, such as a GAN, whose turns() say who learns, and on "
            "which loss"
        )
    turns = game.turns()
    if not turns:
        raise ValueError(f"game_diagram: the turns() of a {type(game).__name__} are none; there is nothing to draw")
    networks = networks_of(game, turns)
    modules: list[Module] = [*networks.names, *networks.judges.values(), *(turn.network for turn in turns)]
    if isinstance(game, Module):
        modules = [game, *modules]
    rows = []
    for turn in turns:
        with undisturbed(modules) as before:
            rows.append(trace(turn, batch, networks, before=before, rng=rng))
    return _drawn(turns, rows, networks, title)


# ------------------------------------------------------------------------------------------------------ what is written


def _boxes(turn: Turn, parts: Sequence[Part], networks: Networks) -> list[Box]:
    """Return a turn's boxes, the loss first and each before its inputs."""
    last = len(parts) - 1
    boxes = []
    for part in reversed(parts):
        color, tint = BLACK, 0.0
        if part.network is not None:
            role = "judge" if part.network in networks.judges else "maker"
            learns = shares_parameters(part.network, turn.network)
            color, tint = (LEARNS[role], 0.4) if learns else (GREY, 0.15)
        rows = dict.fromkeys(part.rows, "")
        boxes.append(Box(part.title, rows, [last - source for source in part.sources], color, tint))
    return boxes


def _label(place: int, turn: Turn) -> list[str]:
    """Return the lines beside a turn: the player, and how it plays."""
    lines = [f"{place}  {turn.player}"]
    if turn.every > 1:
        lines.append(f"in every {_ordinal(turn.every)} round")
    if turn.repeats > 1:
        lines.append(f"{turn.repeats} times")
    each = "each on " if turn.repeats > 1 else "on "
    lines.append(f"{each}a new batch" if turn.draws else "on the same batch")
    if turn.weight_bound is not None:
        lines.append(f"weights clipped to ±{turn.weight_bound:g}")
    return lines


def _ordinal(n: int) -> str:
    ending = "th" if n % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{ending}"


# ------------------------------------------------------------------------------------------------------ how it is drawn


def _drawn(turns: Sequence[Turn], rows: Sequence[list[Part]], networks: Networks, title: str) -> Figure:
    """Draw the turns one below the other; their columns are shared, and the losses stand in the last one."""
    labels = [_label(place, turn) for place, turn in enumerate(turns, start=1)]
    boxes_of = [_boxes(turn, parts, networks) for turn, parts in zip(turns, rows, strict=True)]
    layouts = [layered([box.inputs for box in own], [box.height for box in own], gap=BETWEEN_ROWS) for own in boxes_of]
    most = max(max(layout.column) for layout in layouts)

    # All turns become one layout, the columns counted from the losses.
    boxes: list[Box] = []
    whole = Layout([], [], {})
    y = MARGIN + (LINE * 2 if title else 0.0)
    middles, borders = [], []
    for label, own, layout in zip(labels, boxes_of, layouts, strict=True):
        ends = [(centre - box.height / 2, centre + box.height / 2) for centre, box in zip(layout.y, own, strict=True)]
        ends += [(lane, lane) for lanes in layout.lanes.values() for lane in lanes]
        top, bottom = min(high for high, _ in ends), max(low for _, low in ends)
        height = max(bottom - top, LINE * len(label))
        down = y + height / 2 - (top + bottom) / 2
        first, shift = len(boxes), most - max(layout.column)
        boxes += [box._replace(inputs=[first + source for source in box.inputs]) for box in own]
        whole.column.extend(column + shift for column in layout.column)
        whole.y.extend(centre + down for centre in layout.y)
        whole.lanes.update({(first + i, k): [lane + down for lane in lanes] for (i, k), lanes in layout.lanes.items()})
        middles.append(y + height / 2)
        borders.append(y + height + BETWEEN_TURNS / 2)
        y += height + BETWEEN_TURNS

    beside = max(text_width(line, TITLE, weight="bold") for label in labels for line in label)
    frames, lines = placed(boxes, whole, start=2 * MARGIN + beside)
    handles = _legend({box.color for box in boxes})
    end = max(max(frame.right for frame in frames), _legend_width(handles), text_width(title, 15.0)) + MARGIN
    bottom = y - BETWEEN_TURNS / 2 + LEGEND
    figure = Figure(figsize=(end / 72, bottom / 72))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, end), ylim=(bottom, 0))  # a unit is a point, and y points down
    axes.set_axis_off()
    for middle, label in zip(middles, labels, strict=True):
        _draw_label(axes, label, middle)
    for border in borders[:-1]:
        axes.plot([MARGIN, end - MARGIN], [border, border], color=LIGHT_GREY, linewidth=1.5)
    flows = [list(part.sources.values()) for parts in rows for part in reversed(parts)]  # as the boxes' inputs
    for i, (box, frame) in enumerate(zip(boxes, frames, strict=True)):
        for k in range(len(box.inputs)):
            draw_line(axes, lines[i, k], color=BLACK if flows[i][k] else GREY, width=WIDTHS[flows[i][k]])
        draw_box(axes, box, frame)
    if title:
        axes.text(end / 2, MARGIN + LINE / 2, drawable(title), size=15, ha="center", va="center_baseline")
    axes.legend(handles=handles, loc="lower left", ncols=len(handles), fontsize=TEXT, borderaxespad=0.4)
    return figure


def _draw_label(axes: Axes, label: Sequence[str], middle: float) -> None:
    y = middle - LINE * (len(label) - 1) / 2
    for i, line in enumerate(label):
        weight = "normal" if i else "bold"
        axes.text(MARGIN, y, line, size=TEXT if i else TITLE, weight=weight, va="center_baseline")
        y += LINE


def _legend(colours: set[str]) -> list[Any]:
    handles: list[Any] = [
        sample_of(color, f"a {role} that learns", tint=0.4) for role, color in LEARNS.items() if color in colours
    ]
    if GREY in colours:
        handles.append(sample_of(GREY, "stands still", tint=0.15))
    flow = Line2D([], [], color=BLACK, linewidth=WIDTHS[True], label="the gradient flows back")
    return [*handles, flow, Line2D([], [], color=GREY, linewidth=WIDTHS[False], label="values only")]


def _legend_width(handles: Sequence[Any]) -> float:
    return sum(text_width(handle.get_label(), TEXT) + 4 * TEXT for handle in handles) + MARGIN
