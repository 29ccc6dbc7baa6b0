"""Timing in blocks, with a clock that is told the time."""

import harness
import numpy as np
import pytest


def test_short_calls_are_repeated_within_a_repetition_and_long_ones_are_not():
    asked = []

    def clock(work, calls):
        asked.append(calls)
        work()
        return calls * duration

    effort = harness.Effort(blocks=1, pause=0, warming=0.01, measuring=0, repetitions=3, longest=1)
    for duration, calls in ((1e-3, 5), (0.2, 1)):
        asked.clear()
        times = harness.milliseconds({"work": lambda: None}, effort, clock)["work"]
        assert asked[0] == 1
        assert set(asked[1:]) == {calls}
        np.testing.assert_allclose(times, [duration * 1e3] * 3)


def test_blocks_of_the_programs_take_turns():
    order = []
    works = {name: lambda name=name: order.append(name) for name in "ab"}
    harness.milliseconds(works, harness.Effort(3, 0, 0, 0, 2, 1))
    assert "".join(order) == 3 * ("aaa" + "bbb")  # each warmed up by a call, then two repetitions


def test_a_ratio_is_of_medians_and_its_range_as_wide_as_the_quartiles_allow():
    found = harness.against(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0]))
    assert found["ratio"] == 0.5
    assert found["ratio_quartiles"] == [pytest.approx(1.5 / 5), pytest.approx(2.5 / 3, rel=1e-3)]
