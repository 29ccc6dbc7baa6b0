"""Learning-rate schedules: pure functions of the step number, so a resumed run needs only that number.

A schedule maps the number of steps taken so far (0 for the first step) to the learning rate of the next. An optimizer takes one in
place of a number.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from minigen.sizes import whole_number

Schedule: TypeAlias = Callable[[int], float]


def constant(rate: float) -> Schedule:
    """Return the schedule that is always `rate`.

    Example:
        >>> constant(0.1)(1000)
        0.1
    """
    return partial(_constant, rate)


def linear_warmup(after: Schedule | float, *, steps: int) -> Schedule:
    """Rise linearly during the first steps, from 1/steps of the rate to all of it, and then follow `after`.

    Args:
        after: the rate, or a schedule, which counts on from step 0 of the whole run.
        steps: the length of the rise.

    Raises:
        ValueError: steps is not a whole number of at least 1.

    Example:
        >>> schedule = linear_warmup(0.1, steps=4)
        >>> [round(schedule(step), 3) for step in (0, 1, 3, 100)]
        [0.025, 0.05, 0.1, 0.1]
    """
    schedule = after if callable(after) else constant(after)
    return partial(_warmed_up, schedule, whole_number("linear_warmup", "steps", steps, 1))


def cosine(rate: float, *, steps: int, final: float = 0.0) -> Schedule:
    """Fall from `rate` to `final` along half a cosine, and stay there (Loshchilov & Hutter 2017, equation 5).

    Raises:
        ValueError: steps is not a whole number of at least 1.

    Example:
        >>> schedule = cosine(0.2, steps=100)
        >>> [round(schedule(step), 3) for step in (0, 50, 100, 200)]
        [0.2, 0.1, 0.0, 0.0]
    """
    return partial(_cosine, rate, whole_number("cosine", "steps", steps, 1), final)


def step_decay(rate: float, *, every: int, factor: float = 0.1) -> Schedule:
    """Multiply the rate by `factor` after every `every` steps.

    Raises:
        ValueError: every is not a whole number of at least 1.

    Example:
        >>> schedule = step_decay(1.0, every=10, factor=0.5)
        >>> [schedule(step) for step in (0, 9, 10, 25)]
        [1.0, 1.0, 0.5, 0.25]
    """
    return partial(_decayed, rate, whole_number("step_decay", "every", every, 1), factor)


# The schedules themselves: functions with names, so that an optimizer can be pickled.


def _constant(rate: float, step: int) -> float:
    return rate


def _warmed_up(after: Schedule, steps: int, step: int) -> float:
    return after(step) * min(1.0, (step + 1) / steps)


def _cosine(rate: float, steps: int, final: float, step: int) -> float:
    return final + (rate - final) * 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps)))


def _decayed(rate: float, every: int, factor: float, step: int) -> float:
    return rate * factor ** (step // every)
