"""Convolutions with fewer products: the identity, which convolutions it serves, and its outcome against the definition."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_convolution import EPSILON, NAMES, arguments, bounds, geometry, is_transformed

from minigen.kernels import threads
from minigen.kernels.convolution import cpu, winograd


@pytest.mark.parametrize("r", [2, 3])
def test_two_outputs_of_r_taps_need_r_plus_1_products(r):
    rng = np.random.default_rng(0)
    d, w = rng.integers(-9, 10, r + 1), 2 * rng.integers(-9, 10, r)  # even, so that halves of sums are whole numbers
    y = winograd.A[r].T @ ((winograd.G[r] @ w) * (winograd.B[r].T @ d))
    assert y.tolist() == [(w * d[:r]).sum(), (w * d[1:]).sum()]


def test_a_strided_kernel_falls_into_parts():
    found = geometry((8, 8), (4, 4), stride=(2, 2), padding=(1, 1))
    parts = winograd.parts_of(found.forward)
    assert (parts.r, len(parts.lows)) == (2, 4)
    for (row, column), taps in zip(parts.lows, np.reshape(parts.taps, (4, 2, 2)), strict=True):
        for i, j in itertools.product(range(2), repeat=2):  # offset = s k + low, and tap = offset + padding
            assert taps[i, j] == 4 * (row + 2 * i + 1) + (column + 2 * j + 1)
    assert all(winograd.parts_of(phase).r == 2 for phase in found.phases)


@pytest.mark.parametrize(
    "found",
    [
        geometry((8, 8), (3, 3), taps=((0, 0), (0, 1), (1, 0))),  # masked
        geometry((8, 8), (3, 3), dilation=(2, 2)),
        geometry((8, 8), (5, 5)),
        geometry((9, 9), (3, 3), stride=(2, 2)),
        geometry((8, 8), (2, 3)),
        geometry((8, 8), (1, 4)),
        geometry((8, 8), (1, 9)),
        geometry((8, 8), (1, 1)),
    ],
    ids=lambda found: f"{found.kernel} {found.stride} {found.dilation}",
)
def test_other_kernels_are_left_alone(found):
    assert winograd.parts_of(found.forward) is None


@pytest.fixture(autouse=True)
def any_number_of_tiles(monkeypatch):
    monkeypatch.setattr(winograd, "_TILES", 1)


@settings(max_examples=40)
@given(
    form=st.sampled_from([((3, 3), (1, 1)), ((2, 2), (1, 1)), ((4, 4), (2, 2)), ((3, 6), (1, 2)), ((4, 2), (2, 1))]),
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    more=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    size=st.tuples(st.integers(6, 13), st.integers(6, 13)),
    channels=st.sampled_from([(16, 32), (32, 16), (48, 80)]),
    n=st.sampled_from([1, 2, 3, 9]),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_pass_equals_the_reference(form, padding, more, size, channels, n, seed):
    kernel, stride = form
    found = geometry(size, kernel, stride=stride, padding=padding, more=more)
    rng = np.random.default_rng(seed)
    c, k = channels
    shapes = [(n, *size, c), (*kernel, c, k), (n, *found.out_size, k), (k,), (c,)]
    call = (found, *(rng.standard_normal(shape, dtype=np.float32) for shape in shapes))
    for name in NAMES:
        assert is_transformed(name, call)
        obtained = getattr(cpu, name)(*arguments(name, call), geometry=found)
        exact, bound = bounds(name, call)
        assert (np.abs(obtained - exact) <= bound).all(), name


def layer(n=2, size=28, c=32, k=32):
    found = geometry((size, size), (3, 3), padding=(1, 1))
    rng = np.random.default_rng(0)
    shapes = [(n, size, size, c), (3, 3, c, k), (n, size, size, k), (k,), (c,)]
    return found, *(rng.standard_normal(shape, dtype=np.float32) for shape in shapes)


@pytest.mark.parametrize("name", NAMES)
def test_rounding_stays_near_that_of_plain_sums(name):
    call = layer()
    obtained = getattr(cpu, name)(*arguments(name, call), geometry=call[0])
    exact, _ = bounds(name, call)
    terms = 2 * 28 * 28 if name == "convolve_weight" else 9 * 32
    assert np.abs(obtained - exact).max() < 20 * EPSILON * np.sqrt(terms) * np.abs(exact).std()


@pytest.mark.parametrize("name", ["convolve", "convolve_transposed"])
def test_threads_change_nothing_and_each_image_is_on_its_own(name):
    call = layer(n=3)
    whole = getattr(cpu, name)(*arguments(name, call), geometry=call[0])
    before = threads.get_threads()
    threads.set_threads(3)
    try:
        shared = getattr(cpu, name)(*arguments(name, call), geometry=call[0])
    finally:
        threads.set_threads(before)
    assert (shared == whole).all()
    images, *others = arguments(name, call)
    alone = getattr(cpu, name)(images[1:2], *others, geometry=call[0])
    assert (alone == whole[1:2]).all()
