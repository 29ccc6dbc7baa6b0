"""Endless minibatches for training: of a finite data set, reshuffled each epoch, or always fresh.

A run that is stopped and resumed must see the same batches as one that was not. Fresh samples need
only the generator's own state for that. A shuffled epoch also needs the order it is in the middle
of; rather than save N indices, `Batches` shuffles each epoch with a generator of its own and saves
that generator's seed and a position: two integers.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigen.backend import device_of
from minigen.data.checks import check_finite
from minigen.data.densities import Density
from minigen.engine import Tensor
from minigen.guards import exclusive
from minigen.nn import check_whole
from minigen.random import Generator
from minigen.sizes import whole_number


class Batches(Iterator[Any]):
    """An endless iterator of shuffled minibatches, which may be shared by threads, copied and pickled.

    Each epoch visits the examples in a new random order. The last N mod batch_size of that order
    are left out, so that every batch has the same size and every step the same noise; the next
    shuffle gives them the same chance as all others.

    Args:
        data: an array with N examples along its first axis, or a tuple of arrays of equal N
            (images and labels, say).
        batch_size: examples per batch, at most N.
        rng: a Generator on the CPU; one integer is drawn from it per epoch.

    Yields:
        Arrays of batch_size examples, copies, in the form of `data`: an array or a tuple.

    Raises:
        ValueError: no data, first axes that differ, a batch_size outside 1..N, or values that are
            not finite (the first bad index is named).

    Example:
        >>> batches = Batches(np.arange(10), batch_size=4, rng=Generator(0))
        >>> batch = next(batches)
        >>> state = batches.state()
        >>> following = next(batches)
        >>> batches.load_state(state)
        >>> bool((next(batches) == following).all()), len({*batch, *following})
        (True, 8)
    """

    def __init__(self, data: NDArray[Any] | tuple[NDArray[Any], ...], *, batch_size: int, rng: Generator) -> None:
        self._arrays = data if isinstance(data, tuple) else (data,)
        self._is_tuple = isinstance(data, tuple)
        self._length = _common_length(self._arrays)
        batch_size = whole_number("Batches", "batch_size", batch_size)
        if not 1 <= batch_size <= self._length:
            raise ValueError(
                f"Batches: batch_size is {batch_size}, expected 1 to {self._length}, the number of examples"
            )
        self.batch_size = batch_size
        self._rng = rng
        # As if an epoch had just ended: the first batch begins a new one.
        self.load_state({"epoch_seed": 0, "position": self._length})

    def __next__(self) -> Any:
        with exclusive():  # threads that share the batches never get the same one
            if self._position + self.batch_size > self._length:
                self.load_state({"epoch_seed": int(self._rng.integers(0, 2**31, ())), "position": 0})
            chosen = self._order[self._position : self._position + self.batch_size]  # (batch_size,)
            self._position += self.batch_size
        batch = tuple(array[chosen] for array in self._arrays)
        return batch if self._is_tuple else batch[0]

    def state(self) -> dict[str, int]:
        """Return the seed of the present epoch's order and the position in it.

        Together with the state of `rng`, which shuffles the epochs to come, this resumes the
        sequence of batches exactly.
        """
        return {"epoch_seed": self._epoch_seed, "position": self._position}

    def load_state(self, state: dict[str, int]) -> None:
        """Continue from a state that `state` returned for the same data and batch size.

        Raises:
            ValueError: the position lies outside the data, or the seed is not valid.
        """
        check_whole(state["epoch_seed"], "Batches: epoch_seed", most=2**31)
        if check_whole(state["position"], "Batches: position") > self._length:
            raise ValueError(
                f"Batches: the state's position is {state['position']}, but there are "
                f"{self._length} examples; it was saved for other data"
            )
        self._epoch_seed = state["epoch_seed"]
        self._position = state["position"]
        self._order = Generator(self._epoch_seed).permutation(self._length)  # (N,)


def density_batches(density: Density, *, batch_size: int, rng: Generator) -> Iterator[NDArray[np.float32]]:
    """Return an endless iterator over fresh samples of a density; no example comes twice.

    All state is the generator's: with `rng` restored, a new call continues the same sequence.

    Args:
        density: the target.
        batch_size: samples per batch.
        rng: a Generator on the CPU.

    Returns:
        An iterator over arrays (batch_size, 1), float32.

    Example:
        >>> from minigen.data.densities import target
        >>> next(density_batches(target("mixture"), batch_size=64, rng=Generator(0))).shape
        (64, 1)
    """
    return _FreshBatches(density, batch_size, rng)


class _FreshBatches(Iterator[NDArray[np.float32]]):
    """The iterator that `density_batches` returns: a class, since Python's generators can be neither copied nor pickled."""

    def __init__(self, density: Density, batch_size: int, rng: Generator) -> None:
        self._density, self._batch_size, self._rng = density, batch_size, rng

    def __next__(self) -> NDArray[np.float32]:
        return self._density.sample(self._batch_size, self._rng)


def _common_length(arrays: tuple[NDArray[Any], ...]) -> int:
    for number, array in enumerate(arrays):
        if not device_of(array):
            name = f"data[{number}]" if len(arrays) > 1 else "data"
            hint = "x.data" if isinstance(array, Tensor) else "np.array(x)"
            raise TypeError(
                f"Batches: {name} is a {type(array).__name__}; expected an array, such as {hint}, or a tuple of arrays, (x, labels)"
            )
    shapes = [np.shape(array) for array in arrays]
    if not shapes or not all(shapes) or len({shape[0] for shape in shapes}) != 1:
        raise ValueError(
            f"Batches: data of shapes {shapes}, expected one or more arrays whose first axes have the same length"
        )
    for number, array in enumerate(arrays):
        check_finite(array, f"Batches: data[{number}]" if len(arrays) > 1 else "Batches: data")
    return shapes[0][0]
