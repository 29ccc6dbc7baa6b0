"""The common look of all pictures: a paper's sobriety at a size that is read from the back of a lecture hall.

The colours are those of Okabe & Ito 2008, "Color Universal Design", which readers with any colour vision tell apart.
Each quantity of the lectures keeps its colour and its line in every picture, so that a legend is read once.
"""

import unicodedata
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import ArrayLike, NDArray

from minigen.guards import guard

BLACK, GREY, LIGHT_GREY = "#000000", "#6E6E6E", "#D9D9D9"
BLUE, SKY, GREEN = "#0072B2", "#56B4E9", "#009E73"
VERMILLION, ORANGE, PURPLE = "#D55E00", "#E69F00", "#CC79A7"

styled = matplotlib.rc_context(
    {
        "font.size": 14,
        "axes.labelsize": 15,
        "axes.titlesize": 15,
        "figure.titlesize": 17,
        "xtick.labelsize": 13,
        "ytick.labelsize": 13,
        "legend.fontsize": 14,
        "legend.frameon": False,
        "legend.handlelength": 1.6,  # in letters, as the next three; four labels fit above a panel
        "legend.handletextpad": 0.5,
        "legend.columnspacing": 1.2,
        "legend.labelspacing": 0.2,
        "lines.linewidth": 2.0,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": "#E6E6E6",
        "figure.dpi": 150,
        "svg.fonttype": "path",  # the same letters on every machine
        "svg.hashsalt": "minigen",  # the same picture gives the same file
    }
)
"""Decorates what makes or draws a figure; matplotlib's own settings are as before when it returns."""


@guard
def boxes_for_missing_letters() -> Iterator[None]:
    """Silence the warnings about letters that the font lacks inside the block: a box stands for each in the picture."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        yield


class Stroke(NamedTuple):
    """How a curve is drawn."""

    color: str
    linestyle: str = "-"

    @property
    def keywords(self) -> dict[str, Any]:
        """The stroke as matplotlib's keyword arguments."""
        return self._asdict()


FIXED = {
    "p_data": Stroke(BLACK),
    "p_g": Stroke(GREEN),
    "G": Stroke(GREEN),
    "D": Stroke(BLUE),
    "D*": Stroke(VERMILLION, "--"),
    "exact": Stroke(BLACK, "--"),
}
"""Quantities whose stroke has one meaning in all pictures."""

FREE = (Stroke(PURPLE), Stroke(ORANGE), Stroke(SKY), Stroke(GREY))
"""Strokes for anything else, in this order."""


def stroke(label: str, position: int) -> Stroke:
    """Return the stroke of a fixed quantity, or the free one at that position.

    Args:
        label: the curve's label, such as "D".
        position: the curve's place among those drawn together, from 0.

    Example:
        >>> stroke("G", 1) == FIXED["G"], stroke("minimax", 1) == FREE[1]
        (True, True)
    """
    return FIXED.get(label, FREE[position % len(FREE)])


def drawable(text: str) -> str:
    """Return a text with a sign for each character that no picture file can hold: control characters, halves of surrogate pairs.

    Example:
        >>> drawable("bell \\a")
        'bell �'
    """
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) in ("Cc", "Cs", "Cn") and c != "\n" else c for c in text
    )


def new_figure(width: float, height: float, title: str) -> Figure:
    """Return an empty figure of that size in inches, which arranges its panels by itself.

    The title is drawn as it is, since it may contain the user's words: matplotlib would read dollar signs as the ends of formulas.

    Example:
        >>> new_figure(8.5, 4.0, "Training").get_suptitle()
        'Training'
    """
    figure = Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.06))
    if title:
        figure.suptitle(drawable(title), parse_math=False)
    return figure


def legend_above(axes: Axes, *others: Axes) -> None:
    """Put one legend for the axes, and others drawn over it, above the panel, where it covers no curve.

    Example:
        >>> axes = new_figure(8.5, 4.0, "").subplots()
        >>> _ = axes.plot([0, 1], label="loss")
        >>> legend_above(axes)
        >>> [text.get_text() for text in axes.get_legend().get_texts()]
        ['loss']
    """
    handles = [handle for panel in (axes, *others) for handle in panel.get_legend_handles_labels()[0]]
    axes.legend(handles=handles, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=4, borderaxespad=0.2)


def curve(name: str, values: ArrayLike, size: int) -> NDArray[np.float64]:
    """Return the values of a curve as a flat vector.

    Args:
        name: what the values are to the caller; opens the message.
        values: (size,) or (size, 1).
        size: how many there must be.

    Raises:
        ValueError: another shape.

    Example:
        >>> curve("training_curves: wasserstein", [1.0, 2.0], 3)
        Traceback (most recent call last):
        ValueError: training_curves: wasserstein has shape (2,), expected (3,) like the horizontal axis
    """
    array = np.asarray(values, dtype=np.float64)
    if array.shape not in ((size,), (size, 1)):
        raise ValueError(f"{name} has shape {array.shape}, expected ({size},) like the horizontal axis")
    return array.reshape(-1)
