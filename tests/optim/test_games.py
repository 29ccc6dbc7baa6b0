"""The three ways to play against their closed forms in the bilinear game, and against finite differences in another."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigen as mg
from minigen.optim import WAYS as WAYS_BY_NAME
from minigen.optim import (
    alternating_step,
    bilinear_distances,
    bilinear_growth,
    extragradient_step,
    measured_growth,
    play_bilinear_game,
    simultaneous_step,
)

WAYS = (simultaneous_step, alternating_step, extragradient_step)
points = st.floats(-3, 3).filter(lambda number: abs(number) > 1e-3)
rates = st.floats(0.01, 1.9)


def bilinear(x, y):
    return mg.sum(x * y)


def step(way, value, x, y, rate):
    moved = way(value, mg.tensor(np.array(x)), mg.tensor(np.array(y)), learning_rate=rate)
    return tuple(player.numpy() for player in moved)


@given(x=points, y=points, rate=rates)
def test_simultaneous_steps_grow_by_their_exact_rate(x, y, rate):
    moved = step(simultaneous_step, bilinear, x, y, rate)
    assert np.hypot(*moved) == pytest.approx(math.sqrt(1 + rate**2) * math.hypot(x, y), rel=1e-12)


@given(x=points, y=points, rate=rates)
def test_alternating_steps_stay_on_their_ellipse(x, y, rate):
    def kept(x, y):
        return x * x + y * y - rate * x * y

    assert kept(*step(alternating_step, bilinear, x, y, rate)) == pytest.approx(kept(x, y), rel=1e-11)


@given(x=points, y=points, rate=rates)
def test_extragradient_steps_shrink_by_their_exact_rate(x, y, rate):
    moved = step(extragradient_step, bilinear, x, y, rate)
    assert np.hypot(*moved) == pytest.approx(math.sqrt(1 - rate**2 + rate**4) * math.hypot(x, y), rel=1e-12)


def test_a_hundred_steps_end_where_the_rates_say():
    rate, ends = 0.2, {}
    for way in WAYS:
        x, y = mg.tensor(np.array(1.0)), mg.tensor(np.array(0.0))
        for _ in range(100):
            x, y = way(bilinear, x, y, learning_rate=rate)
        ends[way] = float(x.item()), float(y.item())
    assert math.hypot(*ends[simultaneous_step]) == pytest.approx((1 + rate**2) ** 50, rel=1e-12)
    assert math.hypot(*ends[extragradient_step]) == pytest.approx((1 - rate**2 + rate**4) ** 50, rel=1e-12)
    # The ellipse reaches from 1/sqrt(1 + h/2) to 1/sqrt(1 - h/2); after t steps the angle on it is 2 t arcsin(h / 2).
    angle = 200 * math.asin(rate / 2)
    x = math.cos(angle) + math.tan(math.asin(rate / 2)) * math.sin(angle)
    assert ends[alternating_step][0] == pytest.approx(x, abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_every_pair_of_singular_vectors_plays_its_own_game(seed):
    random = np.random.default_rng(seed)
    matrix, rate = random.normal(size=(3, 5)), 0.1
    left, scales, right = np.linalg.svd(matrix)
    x, y = random.normal(size=3), random.normal(size=5)

    def value(x, y):
        return mg.sum((x @ matrix) * y)

    def norms(x, y):
        return np.hypot(left.T @ x, right[:3] @ y)

    h = rate * scales
    np.testing.assert_allclose(norms(*step(simultaneous_step, value, x, y, rate)), np.sqrt(1 + h**2) * norms(x, y))
    shrunk = np.sqrt(1 - h**2 + h**4) * norms(x, y)
    np.testing.assert_allclose(norms(*step(extragradient_step, value, x, y, rate)), shrunk)
    moved_x, moved_y = step(alternating_step, value, x, y, rate)
    kept = x @ x + y @ y - rate * x @ matrix @ y
    assert moved_x @ moved_x + moved_y @ moved_y - rate * moved_x @ matrix @ moved_y == pytest.approx(kept, rel=1e-12)
    for way in WAYS:  # what A does not see does not move
        np.testing.assert_allclose(right[3:] @ step(way, value, x, y, rate)[1], right[3:] @ y, atol=1e-14)


def test_in_a_game_that_is_not_linear_the_gradients_are_taken_where_the_equations_say():
    def value(x, y):
        return mg.sum(mg.sin(x) * y * y + x * x * x * y)

    def slopes(x, y):
        return np.cos(x) * y**2 + 3 * x**2 * y, 2 * np.sin(x) * y + x**3

    x, y, rate = 0.7, -0.4, 0.3
    along_x, along_y = slopes(x, y)
    assert step(simultaneous_step, value, x, y, rate) == pytest.approx((x - rate * along_x, y + rate * along_y))
    moved = x - rate * along_x
    assert step(alternating_step, value, x, y, rate) == pytest.approx((moved, y + rate * slopes(moved, y)[1]))
    ahead_x, ahead_y = slopes(x - rate * along_x, y + rate * along_y)
    assert step(extragradient_step, value, x, y, rate) == pytest.approx((x - rate * ahead_x, y + rate * ahead_y))


@pytest.mark.parametrize("way", WAYS)
def test_players_keep_their_dtype_and_come_back_as_constants(way):
    x, y = way(bilinear, mg.ones(3), mg.ones(3), learning_rate=0.1)
    assert x.data.dtype == y.data.dtype == np.float32
    assert not x.requires_grad
    assert not y.requires_grad


@pytest.mark.parametrize("way", WAYS_BY_NAME)
def test_paths_have_the_exact_distances_and_growth(way):
    path = play_bilinear_game(way, learning_rate=0.2, steps=100)
    np.testing.assert_allclose(bilinear_distances(way, 0.2, 100), np.linalg.norm(path, axis=1), rtol=1e-12)
    assert measured_growth(way, path, 0.2) == pytest.approx(bilinear_growth(way, 0.2), rel=1e-13)
