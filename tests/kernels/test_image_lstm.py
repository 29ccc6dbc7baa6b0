"""The walk over an image: the compiled kernels against the reference, whose own oracle are the cases of the operations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigen.kernels import threads
from minigen.kernels.image_lstm import cpu, reference
from minigen.kernels.image_lstm.lines import DIRECTIONS, lines, offsets

BOUND = 1e-5
"""On the error, relative to the largest magnitude or 1."""


def arrays_of(seed, n, size, features, taps):
    rng = np.random.default_rng(seed)

    def normal(*shape, scale=1.0):
        return (scale * rng.standard_normal(shape)).astype(np.float32)[::-1].copy()[::-1]  # backwards in memory

    inputs, g = normal(n, *size, 4 * features), normal(n, *size, features)
    return inputs, normal(taps, features, 4 * features, scale=features**-0.5), g


def both_ways(library, inputs, weight, g, direction):
    states, gates, cells = library.image_lstm_forward(inputs, weight, direction=direction)
    return states, gates, cells, library.image_lstm_backward(g, gates, cells, weight, direction=direction)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 1000), n=st.integers(0, 9), size=st.tuples(st.integers(1, 6), st.integers(1, 6)), features=st.integers(1, 40),
    direction=st.sampled_from(DIRECTIONS), radius=st.integers(0, 2),
)  # fmt: skip
def test_the_compiled_walk_computes_what_the_reference_says(seed, n, size, features, direction, radius):
    arrays = arrays_of(seed, n, size, features, 2 * radius + 1 if direction == "down" else 2)
    expected = both_ways(reference, *(array.astype(np.float64) for array in arrays), direction)
    for obtained, wanted in zip(both_ways(cpu, *arrays, direction), expected, strict=True):
        assert obtained.dtype == np.float32
        np.testing.assert_allclose(obtained, wanted, rtol=0, atol=BOUND * np.abs(wanted).max(initial=1.0))


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_threads_share_out_the_images(direction, monkeypatch):
    monkeypatch.setattr(cpu, "_ENOUGH_PRODUCTS", 1)
    arrays = arrays_of(0, 5, (3, 4), 6, 3 if direction == "down" else 2)
    pieces, in_pieces = [], cpu.in_pieces

    def counted(work, *settings):
        in_pieces(lambda a, b: pieces.append((a, b)) or work(a, b), *settings)

    before = threads.get_threads()
    try:
        threads.set_threads(1)
        alone = both_ways(cpu, *arrays, direction)
        threads.set_threads(3)
        monkeypatch.setattr(cpu, "in_pieces", counted)
        shared = both_ways(cpu, *arrays, direction)
    finally:
        threads.set_threads(before)
    assert len(pieces) == 6
    for one, other in zip(alone, shared, strict=True):
        np.testing.assert_array_equal(one, other)


@given(
    size=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    direction=st.sampled_from(DIRECTIONS),
    taps=st.sampled_from([1, 3, 5]),
)
def test_every_pixel_is_in_one_line_and_its_taps_are_in_the_line_before(size, direction, taps):
    height, width = size
    line_of, position_of = {}, {}
    for t, (first, last, pixels) in enumerate(lines(size, direction)):
        found = list(range(height * width))[pixels]
        assert len(found) == last - first > 0
        for position, pixel in zip(range(first, last), found, strict=True):
            line_of[pixel], position_of[pixel] = t, position
    assert sorted(line_of) == list(range(height * width))
    for pixel, t in line_of.items():
        row, column = divmod(pixel, width)
        assert position_of[pixel] == (column if direction == "down" else row)
        for i, j in offsets(direction, taps):
            if 0 <= row + i < height and 0 <= column + j < width:
                assert line_of[(row + i) * width + column + j] == t - 1
