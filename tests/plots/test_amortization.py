"""The picture of inference gaps: what is drawn is what was given."""

import numpy as np
import pytest

from minigen.plots import inference_gaps

GAPS = {
    "training": {"approximation gap": 0.4, "amortization gap": 0.1},
    "held out": {"approximation gap": 0.5, "amortization gap": 0.7},
}


def test_distances_to_the_likelihood_and_stacked_gaps_are_drawn():
    figure = inference_gaps(
        [-30.0, -21.0, -19.0, -20.5], encoder=-22.0, log_likelihood=-20.0, gaps=GAPS, title="Digits"
    )
    course, bars = figure.axes
    fitted, encoder = course.lines
    np.testing.assert_allclose(
        fitted.get_ydata(), [10.0, 1.0, np.nan, 0.5]
    )  # noise may lift a bound above the estimate
    assert set(encoder.get_ydata()) == {2.0}
    assert course.get_yscale() == "log"
    boxes = [(bar.get_y(), bar.get_height()) for bar in bars.patches]
    np.testing.assert_allclose(boxes, [(0, 0.4), (0, 0.5), (0.4, 0.1), (0.5, 0.7)])
    assert [label.get_text() for label in bars.texts] == ["0.40", "0.50", "0.10", "0.70"]
    assert [label.get_text() for label in bars.get_xticklabels()] == ["training", "held out"]
    assert [text.get_text() for text in bars.get_legend().get_texts()] == ["approximation gap", "amortization gap"]
    assert figure.get_suptitle() == "Digits"


def test_bars_of_other_parts_are_refused():
    with pytest.raises(
        ValueError, match=r"every bar needs the parts \['approximation gap', 'amortization gap'\]; found"
    ):
        inference_gaps([-3.0], encoder=-3.0, log_likelihood=-2.0, gaps=GAPS | {"table": {"approximation gap": 0.5}})
