"""Drawing from an autoregressive model under a progress bar, which Ctrl-C may break off: what is drawn by then can be kept."""

import math
from collections.abc import Iterator
from typing import Any

from numpy.typing import NDArray

from minigen.backend import Array, to_device
from minigen.models.autoregressive import Autoregressive
from minigen.random import Generator


class DrawingStopped(KeyboardInterrupt):
    """Ctrl-C amid a drawing; it says how far that came."""


def drawing(
    model: Autoregressive, x: NDArray[Any], known: NDArray[Any] | None = None, *, rng: Generator, condition: NDArray[Any] | None = None
) -> Iterator[tuple[int, Array]]:  # fmt: skip
    """Draw the unknown sites of a copy of x, one after the other, as `Autoregressive.fill` does. Ctrl-C amid a step breaks it off.

    `last_drawn` keeps what is drawn by then.

    Args:
        model: on the device of rng.
        x: examples on the CPU, (N, *size).
        known: bool, of a shape that broadcasts to x's: which sites stay; None for none.
        rng: draws; the examples go to its device.
        condition: of each example, for a model that has one.

    Yields:
        How many sites are done, 1, 2, ..., D; and all examples, in an array on the device of rng which the next step changes.

    Raises:
        DrawingStopped: Ctrl-C broke the drawing off; it says how far it came.

    Example:
        >>> import numpy as np
        >>> from minigen.models import BeliefNet
        >>> [done for done, images in drawing(BeliefNet((2, 2, 1)), np.zeros((5, 2, 2, 1)), rng=Generator(0))]
        [1, 2, 3, 4]
    """
    from tqdm import tqdm

    drawn, done, sites = to_device(x.copy(), rng.device), 0, math.prod(x.shape[1:])
    stays, given = (None if array is None else to_device(array, rng.device) for array in (known, condition))
    steps = model.fill(drawn, stays, rng=rng, condition=given)
    try:
        for done in tqdm(steps, total=sites, desc="drawing", unit="step", leave=False, delay=1.0, dynamic_ncols=True):
            yield done, drawn
    except KeyboardInterrupt:
        raise DrawingStopped(f"stopped after {done:,} of {sites:,} steps of drawing") from None


def last_drawn(steps: Iterator[tuple[int, Array]], blank: Array) -> tuple[int, Array, DrawingStopped | None]:
    """Draw to the end, or until Ctrl-C: a program writes what it gets, and then raises what has stopped it.

    Args:
        steps: of `drawing`.
        blank: what there is before the first of them.

    Returns:
        How many sites are done, the examples, and what broke the drawing off, or None.

    Example:
        >>> import numpy as np
        >>> from minigen.models import BeliefNet
        >>> blank = np.zeros((5, 2, 2, 1))
        >>> done, images, stopped = last_drawn(drawing(BeliefNet((2, 2, 1)), blank, rng=Generator(0)), blank)
        >>> done, images.shape, stopped
        (4, (5, 2, 2, 1), None)
    """
    done, drawn = 0, blank
    try:
        for done, drawn in steps:  # noqa: B007 -- the last ones are wanted
            pass
    except DrawingStopped as stop:
        return done, drawn, stop
    return done, drawn, None
