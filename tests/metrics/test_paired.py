"""Gains of one method over another: what is common to both cancels in their error."""

import numpy as np
import pytest

from minigen.metrics import paired_gain


def test_what_is_common_to_both_cancels():
    rng = np.random.default_rng(0)
    common, own = 100 * rng.normal(size=50), rng.normal(size=50)
    found = paired_gain(common + own + 3, common)
    assert found.mean == pytest.approx(own.mean() + 3)
    assert found.standard_error == pytest.approx(own.std(ddof=1) / 50**0.5)


def test_an_exact_answer():
    assert paired_gain([3.0, 5.0], [1.0, 1.0]) == (3.0, 1.0)  # differences of 2 and 4: deviation sqrt(2), over sqrt(2)


@pytest.mark.parametrize(
    ("values", "baseline"), [([1.0], [2.0]), ([1.0, 2.0], [1.0, 2.0, 3.0]), ([[1.0, 2.0]], [[1.0, 2.0]])]
)
def test_other_shapes_are_refused(values, baseline):
    with pytest.raises(ValueError, match=r"paired_gain: values of shape"):
        paired_gain(values, baseline)
