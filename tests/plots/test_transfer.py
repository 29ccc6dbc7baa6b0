"""Pictures of transfer: what they show of the figures they were given, and what they refuse."""

import numpy as np
import pytest

from minigen.plots import accuracy_bars, paired_bars, score_histograms


def test_bars_of_accuracy_end_at_the_means_and_show_every_repetition():
    figure = accuracy_bars({"pixels": [0.7, 0.8], "features": [0.85, 0.95, 0.9]}, title="100 labels")
    (axes,) = figure.axes
    assert [round(bar.get_width(), 6) for bar in axes.patches] == [75.0, 90.0]
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    np.testing.assert_allclose(dots[1].get_xdata(), [85, 95, 90])
    assert [note.get_text() for note in axes.texts] == ["75.0 %", "90.0 %"]
    low, high = axes.get_xlim()
    assert 0 <= low < 70
    assert 95 < high <= 100
    assert axes.yaxis_inverted()


@pytest.mark.parametrize("accuracies", [{}, {"pixels": []}, {"pixels": [[0.5, 0.6]]}])
def test_bars_of_nothing_are_refused(accuracies):
    with pytest.raises(ValueError, match=r"accuracy_bars: shapes .*, expected \(repetitions,\)"):
        accuracy_bars(accuracies)


def test_histograms_hold_all_scores_in_common_bins():
    rng = np.random.default_rng(0)
    known, unknown = rng.normal(0, 1, 300), np.append(rng.normal(2, 1, 99), 50.0)
    figure = score_histograms(
        {"error": (known, unknown), "bound": (known, -unknown)},
        labels=("others", "4"),
        areas={"error": 0.9, "bound": 0.1},
    )
    assert [axes.get_title() for axes in figure.axes] == ["AUROC 0.900", "AUROC 0.100"]
    bars = figure.axes[0].patches
    assert len(bars) % 2 == 0
    for part in (bars[: len(bars) // 2], bars[len(bars) // 2 :]):
        assert sum(bar.get_height() * bar.get_width() for bar in part) == pytest.approx(
            1.0
        )  # the far one is in the last bin
    assert [text.get_text() for text in figure.axes[1].get_legend().get_texts()] == ["others", "4"]


def test_histograms_without_their_areas_are_refused():
    with pytest.raises(ValueError, match=r"score_histograms: scores of \['error'\], areas of \['bound'\]"):
        score_histograms({"error": ([1.0], [2.0])}, labels=("a", "b"), areas={"bound": 0.5})


def test_paired_bars_stand_side_by_side():
    figure = paired_bars(
        {"a": [0.9, 0.8, 0.7], "b": [0.6, 0.95, 0.4]}, groups="012", label="AUROC", group_label="digit", chance=0.5
    )
    (axes,) = figure.axes
    heights = [bar.get_height() for bar in axes.patches]
    assert heights == [0.9, 0.8, 0.7, 0.6, 0.95, 0.4]
    first, second = axes.patches[0], axes.patches[3]
    assert first.get_x() + first.get_width() == pytest.approx(second.get_x())
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "1", "2"]


def test_paired_bars_of_another_number_are_refused():
    with pytest.raises(ValueError, match=r"paired_bars: values of shapes \{'a': \(2,\)\}, expected \(3,\)"):
        paired_bars({"a": [0.1, 0.2]}, groups="012", label="AUROC", group_label="digit", chance=0.5)


def test_scores_that_are_all_equal_have_histograms():
    figure = score_histograms({"error": ([2.0] * 5, [2.0] * 3)}, labels=("others", "4"), areas={"error": 0.5})
    assert np.isfinite(figure.axes[0].get_ylim()).all()
