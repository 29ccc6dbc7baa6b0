"""Pictures of language models: how they learn, which characters surprise them, and what a temperature does to their guesses."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray

from minigen.plots.style import BLACK, BLUE, FREE, GREY, VERMILLION, curve, drawable, legend_above, new_figure, styled

SIGNS = {"\n": "↵", " ": "·", "\t": "→"}
"""What stands for characters that leave no ink."""

MOST = 8.0
"""Bits of surprise from which on the ground is as red as it gets, in every picture: one in 256."""

SURPRISE = LinearSegmentedColormap.from_list("surprise", ["white", "#F3B48B", VERMILLION])


@styled
def language_curves(
    steps: ArrayLike, *, training: ArrayLike, test: ArrayLike, baselines: Mapping[str, float] | None = None, title: str = ""
) -> Figure:  # fmt: skip
    """Draw bits per character in the course of training.

    Args:
        steps: (T,).
        training, test: bits per character on the training text and on the held-out one, (T,).
        baselines: bits per character of other models on the held-out text, by name.
        title: stands above the panel.

    Raises:
        ValueError: lengths differ.

    Example:
        >>> figure = language_curves([0, 1], training=[6.0, 3.0], test=[6.0, 3.2], baselines={"bigrams": 3.5})
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['bigrams: 3.50']
    """
    steps = np.asarray(steps, dtype=np.float64)
    learnt = curve("language_curves: training", training, steps.size)
    held_out = curve("language_curves: test", test, steps.size)
    figure = new_figure(9.5, 5.5, title)
    axes = figure.subplots()
    axes.plot(steps, learnt, label="training text", color=BLUE)
    axes.plot(steps, held_out, label=f"held-out text: {held_out[-1]:.2f} at the end", color=VERMILLION)
    for name, bits in (baselines or {}).items():
        axes.axhline(bits, color=GREY, linestyle=":")
        axes.text(1.0, bits, f"{name}: {bits:.2f}", transform=axes.get_yaxis_transform(), ha="right", va="bottom")
    axes.set(xlabel="training step", ylabel="bits per character")
    legend_above(axes)
    return figure


@styled
def surprise(text: str, bits: ArrayLike, *, columns: int = 60, title: str = "") -> Figure:
    """Draw a passage, each character on a ground that is the redder the less the model expected it.

    Args:
        text: the passage; its lines begin anew where they do so in the text, or after `columns` characters.
        bits: -log2 p of each character given those before it, (T,).
        columns: characters in a line, at most.
        title: stands above.

    Raises:
        ValueError: the passage is empty, or has another number of characters than of bits.

    Example:
        >>> figure = surprise("to be\\n", [5.0, 1.0, 1.0, 3.0, 0.2, 2.0])
        >>> "".join(letter.get_text() for letter in figure.axes[0].texts)
        'to·be↵'
    """
    values = curve("surprise: bits", bits, len(text))
    if not text:
        raise ValueError("surprise: the passage is empty")
    places = _lines(text, columns)
    rows, wide = max(row for row, _ in places) + 1, max(column for _, column in places) + 1
    figure = new_figure(max(7.0, 0.215 * wide + 1.6), max(2.6, 0.36 * rows + 0.9), title)
    axes = figure.subplots()
    norm = Normalize(0.0, MOST)
    colours = SURPRISE(norm(values))
    for character, (row, column), colour, value in zip(text, places, colours, values, strict=True):
        axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=colour, linewidth=0))
        pale = character in SIGNS
        axes.text(
            column, row, _sign(character), ha="center", va="center_baseline", family="monospace", fontsize=15,
            color=GREY if pale and value < MOST / 2 else BLACK, parse_math=False,
        )  # fmt: skip
    axes.set(xlim=(-0.5, wide - 0.5), ylim=(rows - 0.5, -0.5), xticks=[], yticks=[])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(
        ScalarMappable(norm=norm, cmap=SURPRISE),
        ax=axes,
        label="surprise (bits)",
        extend="max",
        fraction=0.04,
        pad=0.01,
        aspect=max(6, 3 * rows),
    )
    bar.outline.set_visible(False)
    return figure


def _sign(character: str) -> str:
    """Return what stands for a character in a picture."""
    return SIGNS.get(character) or drawable(character)


def _lines(text: str, columns: int) -> list[tuple[int, int]]:
    """Return where each character stands, (row, column)."""
    places, row, column = [], 0, 0
    for character in text:
        if column == columns:
            row, column = row + 1, 0
        places.append((row, column))
        column += 1
        if character == "\n":
            row, column = row + 1, 0
    return places


@styled
def temperatures(
    characters: Sequence[str], probabilities: Mapping[str, ArrayLike], *, shown: int = 12, title: str = ""
) -> Figure:
    """Draw the likeliest next characters and their probabilities, as the model gives them and tempered.

    Args:
        characters: the vocabulary, K.
        probabilities: of each character, (K,), by the name of the setting; the first one decides on the order.
        shown: how many characters.
        title: stands above the panels.

    Raises:
        ValueError: a shape is another.

    Example:
        >>> figure = temperatures("abc", {"temperature 1": [0.2, 0.5, 0.3], "temperature 0.5": [0.1, 0.66, 0.24]}, shown=2)
        >>> [label.get_text() for label in figure.axes[0].get_xticklabels()]
        ['b', 'c']
    """
    every: dict[str, NDArray[np.float64]] = {
        name: curve(f"temperatures: {name}", values, len(characters)) for name, values in probabilities.items()
    }
    order = np.argsort(-next(iter(every.values())), kind="stable")[:shown]
    figure = new_figure(4.6 * len(every), 4.4, title)
    panels = np.atleast_1d(figure.subplots(1, len(every), sharey=True))
    for k, (panel, (name, values)) in enumerate(zip(panels, every.items(), strict=True)):
        panel.bar(range(len(order)), values[order], color=FREE[k % len(FREE)].color)
        panel.set_xticks(range(len(order)), [_sign(characters[i]) for i in order], family="monospace", parse_math=False)
        panel.set_title(name)
        panel.grid(visible=False, axis="x")
    panels[0].set(ylabel="probability", ylim=(0, 1))
    figure.supxlabel("next character", fontsize=15)
    return figure
