"""Old Faithful: 272 eruptions of a geyser in Yellowstone National Park.

Source: A. Azzalini and A. W. Bowman (1990), "A look at some data on the Old Faithful geyser",
Applied Statistics 39, 357-365. Short and long eruptions make the durations a natural target with
two modes.
"""

import csv
from importlib.resources import files
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Geyser(NamedTuple):
    """The columns of the data set, one row per eruption in the order observed.

    Attributes:
        duration: (272,), float64; how long the eruption lasted, in minutes.
        waiting: (272,), float64; time until the next eruption, in whole minutes.
        kind: (272,), "short" or "long"; a label of the cluster in the plane of the two.

    Example:
        >>> Geyser._fields
        ('duration', 'waiting', 'kind')
    """

    duration: NDArray[np.float64]
    waiting: NDArray[np.float64]
    kind: NDArray[np.str_]


def load_geyser() -> Geyser:
    """Load the Old Faithful data (Azzalini & Bowman 1990), which the package carries.

    Returns:
        Three columns of 272 eruptions.

    Example:
        >>> geyser = load_geyser()
        >>> len(geyser.duration), float(geyser.duration.min()), float(geyser.duration.max())
        (272, 1.6, 5.1)
    """
    text = (files("minigen.data") / "files" / "geyser.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    return Geyser(
        duration=np.array([float(row["duration"]) for row in rows]),
        waiting=np.array([float(row["waiting"]) for row in rows]),
        kind=np.array([row["kind"] for row in rows]),
    )
