"""Learning-rate schedules: pure functions of the step number, so a resumed run needs only that number.

A schedule maps the number of steps taken so far (0 for the first step) to the learning rate of the next. An optimizer takes one in
place of a number.
"""

import math
from collections.abc import Callable
from typing import TypeAlias

Schedule: TypeAlias = Callable[[int], float]


def constant(rate: float) -> Schedule:
    """Return the schedule that is always `rate`.

    Example:
        >>> constant(0.1)(1000)
        0.1
    """
    return lambda step: rate


def linear_warmup(after: Schedule | float, *, steps: int) -> Schedule:
    """Rise linearly during the first steps, from 1/steps of the rate to all of it, and then follow `after`.

    Args:
        after: the rate, or a schedule, which counts on from step 0 of the whole run.
        steps: the length of the rise.

    Example:
        >>> schedule = linear_warmup(0.1, steps=4)
        >>> [round(schedule(step), 3) for step in (0, 1, 3, 100)]
        [0.025, 0.05, 0.1, 0.1]
    """
    schedule = after if callable(after) else constant(after)
    return lambda step: schedule(step) * min(1.0, (step + 1) / steps)


def cosine(rate: float, *, steps: int, final: float = 0.0) -> Schedule:
    """Fall from `rate` to `final` along half a cosine, and stay there (Loshchilov & Hutter 2017, equation 5).

    Example:
        >>> schedule = cosine(0.2, steps=100)
        >>> [round(schedule(step), 3) for step in (0, 50, 100, 200)]
        [0.2, 0.1, 0.0, 0.0]
    """
    return lambda step: final + (rate - final) * 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps)))


def step_decay(rate: float, *, every: int, factor: float = 0.1) -> Schedule:
    """Multiply the rate by `factor` after every `every` steps.

    Example:
        >>> schedule = step_decay(1.0, every=10, factor=0.5)
        >>> [schedule(step) for step in (0, 9, 10, 25)]
        [1.0, 1.0, 0.5, 0.25]
    """
    return lambda step: rate * factor ** (step // every)
