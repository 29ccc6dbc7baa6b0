"""What a model draws in the course of its training: always from the same noise, so that the pictures can be compared."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigen.nn import check_whole

EPOCHS = (0, 1, 3, 10, 30, 100, 300, 1000)


class Snapshots:
    """Images that a model draws after some epochs, or steps. It is a part of the run's checkpoint.

    Args:
        draw: returns images of the model as it is, (N, H, W, C), on the CPU.
        shape: theirs.
        epochs: after which they are kept, rising.
        unit: what `epochs` counts.

    Attributes:
        images: of all epochs, (len(epochs), N, H, W, C); the first `taken` are there.
        taken: their number.

    Example:
        >>> snapshots = Snapshots(lambda: np.ones((2, 8, 8, 1)), (2, 8, 8, 1), epochs=(0, 5))
        >>> for epoch in (0, 1, 2):
        ...     snapshots.look(epoch)
        >>> [label for label, images in snapshots.rows()]
        ['epoch 0', 'at the end']
    """

    def __init__(
        self,
        draw: Callable[[], NDArray[Any]],
        shape: tuple[int, ...],
        *,
        epochs: Sequence[int] = EPOCHS,
        unit: str = "epoch",
    ) -> None:
        self.draw, self.epochs, self.unit = draw, tuple(epochs), unit
        self.images = np.zeros((len(self.epochs), *shape), np.float32)
        self.taken = 0

    def look(self, epoch: float) -> None:
        """Keep what the model draws now, if it is time."""
        if self.taken < len(self.epochs) and epoch >= self.epochs[self.taken]:
            self.images[self.taken] = self.draw()
            self.taken += 1

    def rows(self) -> list[tuple[str, NDArray[Any]]]:
        """Return the images of each epoch and those of now with their labels, for `plots.image_rows`."""
        rows = [
            (f"{self.unit} {epoch:,}", images)
            for epoch, images in zip(self.epochs, self.images[: self.taken], strict=False)
        ]
        return [*rows, ("at the end", self.draw())]

    def state(self) -> dict[str, Any]:
        """Return the images and how many there are."""
        return {"images": self.images, "taken": self.taken}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from a state.

        Raises:
            ValueError: it counts more images than there are.
        """
        self.taken = check_whole(state["taken"], "Snapshots: taken", most=len(self.epochs))
        self.images = state["images"].copy()
