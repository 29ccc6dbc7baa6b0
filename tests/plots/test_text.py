"""The pictures of language models: every character in its place and colour, every curve with its numbers."""

import numpy as np
import pytest

from minigen import plots
from minigen.plots.text import SURPRISE


def test_curves_and_baselines_are_drawn_as_given():
    steps = np.arange(4)
    figure = plots.language_curves(
        steps, training=[5, 3, 2, 1.5], test=[5, 3.2, 2.5, 2.4], baselines={"unigrams": 4.8, "bigrams": 3.4}
    )
    (axes,) = figure.axes
    learnt, held_out, *others = axes.lines
    np.testing.assert_array_equal(learnt.get_xydata(), np.stack([steps, [5, 3, 2, 1.5]], axis=1))
    np.testing.assert_array_equal(held_out.get_ydata(), [5, 3.2, 2.5, 2.4])
    assert [line.get_ydata()[0] for line in others] == [4.8, 3.4]
    assert [text.get_text() for text in axes.texts] == ["unigrams: 4.80", "bigrams: 3.40"]
    assert axes.get_legend().get_texts()[1].get_text() == "held-out text: 2.40 at the end"
    with pytest.raises(ValueError, match="language_curves: test has shape"):
        plots.language_curves(steps, training=[5, 3, 2, 1.5], test=[5])


def test_each_character_stands_in_its_line_on_a_ground_of_its_surprise():
    text, bits = "ab $x$\ncd", np.array([0, 1, 2, 3, 4, 5, 6, 7, 12.0])
    axes = plots.surprise(text, bits).axes[0]
    found = {letter.get_position(): letter.get_text() for letter in axes.texts}
    assert [found[k, 0] for k in range(7)] == ["a", "b", "·", "$", "x", "$", "↵"]
    assert [found[k, 1] for k in range(2)] == ["c", "d"]
    for patch, value in zip(axes.patches, bits, strict=True):
        np.testing.assert_allclose(patch.get_facecolor(), SURPRISE(min(1.0, value / 8)))


def test_long_lines_are_broken():
    axes = plots.surprise("abcdefg", np.ones(7), columns=3).axes[0]
    assert [letter.get_position() for letter in axes.texts] == [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1), (0, 2)]


def test_a_passage_needs_its_bits():
    with pytest.raises(ValueError, match="surprise: bits has shape"):
        plots.surprise("abc", [1.0, 2.0])
    with pytest.raises(ValueError, match="the passage is empty"):
        plots.surprise("", [])


def test_the_likeliest_characters_come_first_in_every_panel():
    figure = plots.temperatures(
        "ab c", {"temperature 1": [0.1, 0.2, 0.4, 0.3], "temperature 2": [0.2, 0.24, 0.29, 0.27]}, shown=3
    )
    for panel, heights in zip(figure.axes, ([0.4, 0.3, 0.2], [0.29, 0.27, 0.24]), strict=True):
        assert [label.get_text() for label in panel.get_xticklabels()] == ["·", "c", "b"]
        assert [bar.get_height() for bar in panel.patches] == heights
    with pytest.raises(ValueError, match="temperatures: one has shape"):
        plots.temperatures("ab", {"one": [1.0]})
