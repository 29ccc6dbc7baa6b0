"""Schedules: closed forms, what they are worth at their ends, and their composition."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigen.optim import constant, cosine, linear_warmup, step_decay

rates = st.floats(1e-6, 10)
lengths = st.integers(1, 1000)
steps = st.integers(0, 3000)


@given(rate=rates, step=steps)
def test_constant(rate, step):
    assert constant(rate)(step) == rate


@given(rate=rates, length=lengths, step=steps)
def test_warmup_rises_by_equal_parts(rate, length, step):
    schedule = linear_warmup(rate, steps=length)
    assert schedule(step) == pytest.approx(rate * (step + 1) / length if step < length else rate, rel=1e-14)
    assert schedule(length - 1) == schedule(length) == rate
    assert schedule(0) > 0


@given(rate=rates, share=st.floats(0, 1), length=lengths, step=steps)
def test_cosine(rate, share, length, step):
    final = share * rate
    schedule = cosine(rate, steps=length, final=final)
    assert schedule(0) == pytest.approx(rate, rel=1e-14)
    assert schedule(length + step) == pytest.approx(final, rel=1e-14, abs=1e-15 * rate)
    assert final - 1e-15 * rate <= schedule(step) <= rate * (1 + 1e-14)
    # Half a cosine is odd about its middle, and its slope there is -(rate - final) pi / 2 length.
    inside = step % (length + 1)
    assert schedule(inside) + schedule(length - inside) == pytest.approx(rate + final, rel=1e-12)
    middle = rate + (final - rate) * math.sin(math.pi / 2 * inside / length) ** 2  # (1 - cos t) / 2 = sin^2 t/2
    assert schedule(inside) == pytest.approx(middle, rel=1e-12, abs=1e-15 * rate)


@given(rate=rates, every=lengths, factor=st.floats(0.1, 1), step=steps)
def test_step_decay(rate, every, factor, step):
    schedule = step_decay(rate, every=every, factor=factor)
    by_hand = rate
    for _ in range(every, step + 1, every):
        by_hand *= factor
    assert schedule(step) == pytest.approx(by_hand, rel=1e-9)
    assert schedule(every * (step // every)) == schedule(step)


@pytest.mark.parametrize("after", [cosine(0.3, steps=50, final=0.01), step_decay(0.3, every=7, factor=0.5)])
def test_warmup_composes_with_any_schedule(after):
    schedule = linear_warmup(after, steps=10)
    for step in range(80):
        assert schedule(step) == pytest.approx(after(step) * min(1, (step + 1) / 10), rel=1e-14)


def test_warmups_compose():
    schedule = linear_warmup(linear_warmup(1.0, steps=4), steps=2)
    assert [schedule(step) for step in range(5)] == [0.125, 0.5, 0.75, 1.0, 1.0]


@given(rate=rates, length=lengths)
def test_schedules_fall_and_stay(rate, length):
    for schedule in (cosine(rate, steps=length), step_decay(rate, every=length)):
        values = [schedule(step) for step in np.linspace(0, 2 * length, 30).astype(int)]
        assert all(later <= earlier for earlier, later in itertools.pairwise(values))
