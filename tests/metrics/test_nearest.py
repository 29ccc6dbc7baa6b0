"""Nearest training images, against all distances by brute force, however they are cut into pieces."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigen.metrics import nearest, nearest_images, neighbour_distances


@settings(max_examples=20)
@given(n=st.integers(0, 12), m=st.integers(1, 30), seed=st.integers(0, 100), chunk=st.sampled_from([1, 50, 2**22]))
def test_the_nearest_are_those_of_brute_force(n, m, seed, chunk):
    rng = np.random.default_rng(seed)
    images, among = (rng.uniform(size=(count, 3, 2, 1)).astype("float32") for count in (n, m))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nearest, "CHUNK", chunk)
        found = nearest_images(images, among=among)
    distances = np.linalg.norm((images[:, None] - among[None].astype(float)).reshape(n, m, 6), axis=2)
    np.testing.assert_array_equal(found.indices, distances.argmin(axis=1))
    np.testing.assert_allclose(found.distances, distances.min(axis=1), rtol=1e-12)


def test_a_copy_is_found_at_distance_zero_among_many_far_from_the_origin():
    among = 1e4 + np.random.default_rng(0).normal(size=(5000, 10))
    found = nearest_images(among[[7, 4999]], among=among)
    np.testing.assert_array_equal(found.indices, [7, 4999])
    np.testing.assert_array_equal(found.distances, 0)


def test_the_nearest_of_many_far_from_the_origin():
    rng = np.random.default_rng(0)
    near, among = rng.normal(size=(20, 3)), rng.normal(size=(500, 3))
    expected = nearest_images(near, among=among)
    found = nearest_images(near + 1e9, among=among + 1e9)
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_allclose(found.distances, expected.distances, atol=1e-6)


@pytest.mark.parametrize("chunk", [1, 2**22])
def test_of_equally_near_ones_the_first_counts(chunk, monkeypatch):
    monkeypatch.setattr(nearest, "CHUNK", chunk)
    among = np.array([[2.0], [1.0], [1.0], [-1.0]])
    assert nearest_images(np.array([[0.0]]), among=among).indices == [1]


def test_images_of_another_size_and_an_empty_choice_are_refused():
    with pytest.raises(ValueError, match=r"images are \(2, 3\), those to choose among \(5, 4\)"):
        nearest_images(np.zeros((2, 3)), among=np.zeros((5, 4)))
    with pytest.raises(ValueError, match="M >= 1"):
        nearest_images(np.zeros((2, 3)), among=np.zeros((0, 3)))


@settings(max_examples=20)
@given(
    n=st.integers(2, 20),
    k=st.integers(1, 19),
    seed=st.integers(0, 100),
    grid=st.booleans(),
    chunk=st.sampled_from([1, 50, 2**22]),
)
def test_the_distance_to_the_kth_other_is_that_of_brute_force_copies_included(n, k, seed, grid, chunk):
    k, rng = min(k, n - 1), np.random.default_rng(seed)
    images = rng.integers(0, 2, (n, 3, 1, 1)) if grid else rng.normal(size=(n, 3, 1, 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nearest, "CHUNK", chunk)
        found = neighbour_distances(images, k=k)
    x = images.reshape(n, 3)
    expected = [sorted(np.linalg.norm(x[i] - x[j]) for j in range(n) if j != i)[k - 1] for i in range(n)]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("k", [0, 3])
def test_an_image_is_not_its_own_neighbour(k):
    with pytest.raises(
        ValueError, match=f"neighbour_distances: k is {k}, expected at least 1 and less than the 3 images"
    ):
        neighbour_distances(np.zeros((3, 2)), k=k)
