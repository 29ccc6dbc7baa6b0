"""The packaged Old Faithful data are the published ones."""

import numpy as np

from minigen.data import load_geyser, silverman_bandwidth


def test_columns():
    geyser = load_geyser()
    assert geyser.duration.shape == geyser.waiting.shape == geyser.kind.shape == (272,)
    assert geyser.duration.dtype == geyser.waiting.dtype == np.float64
    assert np.unique(geyser.kind).tolist() == ["long", "short"]


def test_first_rows_and_known_summary():
    geyser = load_geyser()
    # The head and the means that R prints for its `faithful`, and the bandwidth of `density(faithful$eruptions)`.
    np.testing.assert_allclose(geyser.duration[:5], [3.6, 1.8, 3.333, 2.283, 4.533])
    np.testing.assert_array_equal(geyser.waiting[:5], [79, 54, 74, 62, 85])
    assert round(geyser.duration.mean(), 3) == 3.488
    assert round(geyser.waiting.mean(), 1) == 70.9
    assert round(silverman_bandwidth(geyser.duration), 4) == 0.3348


def test_kind_separates_the_clusters():
    geyser = load_geyser()
    short, long = geyser.kind == "short", geyser.kind == "long"
    assert geyser.duration[short].mean() < 2.5 < 4.0 < geyser.duration[long].mean()
    assert geyser.waiting[short].max() < geyser.waiting[long].mean()
