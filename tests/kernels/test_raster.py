"""The walk over an image: what it computes is what convolutions of the whole image give, in plain array code and compiled alike."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from raster_networks import three_lstms, two_stacks, walked, with_arrays

from minigen import kernels
from minigen.backend import to_device
from minigen.kernels import threads
from minigen.kernels.raster import cpu, reference
from minigen.kernels.raster.network import Layer, Network, Plane, planes


def shifted(x, row, column):
    """x of the pixel at an offset, zeros beyond the image: (N, H, W, C)."""
    out = np.zeros_like(x)
    height, width = x.shape[1:3]
    for i, j in itertools.product(range(height), range(width)):
        if 0 <= i + row < height and 0 <= j + column < width:
            out[:, i, j] = x[:, i + row, j + column]
    return out


def total(layer, x):
    bias = layer.bias if layer.bias.ndim == 1 else layer.bias[:, None, None]
    return sum(shifted(x, *at) @ weight for at, weight in zip(layer.offsets, layer.weight, strict=True)) + bias


def whole_image(network, image):
    """The same of `two_stacks`, by whole convolutions: (N, H, W, 1, P), for every colour."""
    vertical, link, horizontal, mixed, last = (*network.rows, *network.colours[0])

    def gate(t):
        a, b = np.split(t, 2, axis=-1)
        return np.tanh(a) / (1 + np.exp(-b))

    a = total(vertical, image)
    h = gate(total(horizontal, image) + total(link, a))
    w = np.maximum(total(mixed, gate(a)) + h, 0)
    return total(last, w)[..., None, :]


def small(seed, n, dtype, margin=2, size=(5, 4), channels=1):
    rng = np.random.default_rng(seed)
    image = rng.standard_normal((n, *size, channels)).astype(dtype)
    return two_stacks(rng, n, channels, margin, dtype), image


def test_the_reference_computes_the_convolutions_of_the_whole_image():
    network, image = small(0, 3, np.float64)
    found = walked(reference.Walk(network, n=3, width=4), image)
    np.testing.assert_allclose(found, whole_image(network, image), rtol=1e-12, atol=1e-12)


@settings(max_examples=15)
@given(
    seed=st.integers(0, 1000), n=st.integers(1, 20), margin=st.integers(1, 6),
    size=st.tuples(st.integers(1, 6), st.integers(1, 6)),
)  # fmt: skip
def test_the_compiled_walk_computes_the_same(seed, n, margin, size):
    network, image = small(seed, n, np.float32, margin, size)
    found = walked(cpu.Walk(network, n=n, width=size[1]), image)
    np.testing.assert_allclose(found, whole_image(network, image), rtol=1e-4, atol=1e-5)


@settings(max_examples=15)
@given(
    seed=st.integers(0, 1000), n=st.integers(1, 20), margin=st.integers(1, 3), colours=st.integers(1, 3),
    size=st.tuples(st.integers(1, 5), st.integers(1, 5)),
)  # fmt: skip
def test_the_compiled_walk_remembers_what_the_reference_does(seed, n, margin, colours, size):
    rng = np.random.default_rng(seed)
    network, image = three_lstms(rng, n, colours, margin, np.float32), rng.standard_normal((n, *size, colours))
    exact = reference.Walk(with_arrays(network, np.float64), n=n, width=size[1])
    found = walked(cpu.Walk(network, n=n, width=size[1]), image.astype(np.float32))
    np.testing.assert_allclose(found, walked(exact, image), rtol=1e-4, atol=1e-5)


def test_threads_share_out_the_examples(monkeypatch):
    monkeypatch.setattr(cpu, "_ENOUGH_PRODUCTS", 1000)
    before = threads.get_threads()
    network, image = small(1, 50, np.float32)
    smallest = []

    def recording(work, length, worth_a_thread):
        smallest.append(worth_a_thread)
        threads.in_pieces(work, length, worth_a_thread)

    monkeypatch.setattr(cpu, "in_pieces", recording)
    try:
        threads.set_threads(1)
        alone = walked(cpu.Walk(network, n=50, width=4), image)
        threads.set_threads(3)
        shared = walked(cpu.Walk(network, n=50, width=4), image)
    finally:
        threads.set_threads(before)
    np.testing.assert_array_equal(shared, alone)
    assert 3 * max(smallest) <= 50  # each has work


def test_blocks_of_channels_are_written_side_by_side():
    # Two colours: the layer of the second block reads what that of the first left at the same pixel, and adds to its own half.
    ones = np.ones((1, 4, 2), np.float32)
    base = Layer("image", "x", np.ones((1, 2, 2), np.float32), np.zeros(2, np.float32), ((0, -1),), kept="sum")
    mix = Layer("x", "y", ones, np.zeros(2, np.float32), ((0, 0),), added=("sum",))
    colours = tuple((base._replace(channel=2 * j), mix._replace(channel=2 * j)) for j in range(2))
    for kind in (reference.Walk, cpu.Walk):
        walk = kind(Network((), colours), n=1, width=2)
        for colour, drawn in enumerate((1.0, 10.0)):
            walk.parameters(0, 0, colour)
            walk.put(0, 0, colour, np.array([drawn], np.float32))
        # x = 11 in each of the first colour's two channels: y = 11 + 11 + x; the second sees all four.
        np.testing.assert_array_equal(walk.parameters(0, 1, 0), [[33, 33]])
        np.testing.assert_array_equal(walk.parameters(0, 1, 1), [[55, 55]])


def test_outcomes_stay_as_they_are_while_the_walk_goes_on():
    network, image = small(2, 3, np.float32)
    for kind in (reference.Walk, cpu.Walk):
        walk = kind(network, n=3, width=4)
        walk.row(0)
        first = walk.parameters(0, 0, 0)
        before = first.copy()
        for row in range(3):
            walk.row(row)
            walk.put(row, 0, 0, image[:, row, 0, 0])
            walk.parameters(row, 0, 0)
        np.testing.assert_array_equal(first, before)


def test_a_plane_keeps_no_more_than_its_readers_look_back():
    network, _ = small(0, 3, np.float32)
    found = planes(network)
    assert found["image"] == Plane(channels=1, rows=4, margin=2)
    assert found["link"] == Plane(channels=12, rows=1, margin=0)
    assert found["v"] == Plane(channels=5, rows=2, margin=1)
    assert found["h"].channels == found["sum"].channels == 6


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_arrays_choose_who_computes(device, dtype):
    network, image = small(3, 2, dtype)

    moved = with_arrays(network, lambda array: to_device(array, device))
    walk = kernels.raster_walk(moved, n=2, width=4)
    assert isinstance(walk, cpu.Walk) == (device == "cpu" and dtype == np.float32)
    found = walked(walk, to_device(image, device))
    np.testing.assert_allclose(found, whole_image(network, image), rtol=1e-4, atol=1e-5)
