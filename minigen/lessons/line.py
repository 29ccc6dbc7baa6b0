"""Lessons about numbers on a line: what is learned, the units in which networks see it, and how close generated numbers come."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

import minigen.ops as ops
from minigen import metrics
from minigen.data import TARGETS, Density, Empirical, density_batches, empirical_density, read_column, target
from minigen.engine import Tensor
from minigen.lessons.frame import Rows, TrainingLesson
from minigen.lessons.settings import Count, TrainingSettings, optional
from minigen.random import Generator

SCALE = 2.0  # the data's standard deviation in the networks' units


@dataclass(frozen=True, kw_only=True)
class LineSettings(TrainingSettings):
    """Which numbers are learned."""

    target: Literal[*TARGETS] = "mixture"  # type: ignore[valid-type]
    """the density to learn"""
    data: Annotated[str | None, *optional(str, "FILE.csv")] = None  # or numbers of your own to learn from
    column: Annotated[str | None, *optional(str, "NAME")] = None  # of --data; may be left out if there is only one
    batch_size: Count = 256  # numbers in a batch

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.column and not self.data:
            raise ValueError("--column names a column of --data FILE.csv, which is not given")

    def density(self) -> Density:
        """Return the target of that name, or one made of the user's numbers.

        Raises:
            ValueError: the file has no such column, or something in it is not a number.
            OSError: it cannot be read.
        """
        if self.data is None:
            return target(self.target)
        return empirical_density(read_column(self.data, self.column), name=self.column or Path(self.data).stem)


L = TypeVar("L", bound=LineSettings)


class LineLesson(TrainingLesson[L]):
    """A lesson whose model generates numbers.

    Networks see the data in units of their own, in which it has mean 0 and standard deviation 2.

    Attributes:
        density: that is learned.
        unit: one unit of the networks in the data's units.
    """

    def __init__(self, settings: L) -> None:
        super().__init__(settings)
        self.density = settings.density()
        self.unit = self.density.standard_deviation / SCALE

    def batches(self, rng: Generator) -> Iterator[Tensor]:
        """Draw fresh numbers in the networks' units, (batch_size, 1), forever."""
        for x in density_batches(self.density, batch_size=self.settings.batch_size, rng=rng):
            yield self.to_network(x)

    def to_network(self, x: NDArray[Any]) -> Tensor:
        """Return numbers in the networks' units, (n, 1), on the device."""
        x = (x.reshape(-1, 1) - self.density.mean) / self.unit
        return ops.tensor(x, dtype="float32", device=self.device)

    def from_network(self, x: Tensor) -> NDArray[Any]:
        """Return numbers in the data's units, (n,), on the CPU."""
        return x.detach().to("cpu").numpy().ravel() * self.unit + self.density.mean

    def axis(self, points: int) -> NDArray[np.float64]:
        """Return points of the data axis, (M,)."""
        return np.linspace(*self.density.support, points)

    def estimate(self, generated: NDArray[Any], x: NDArray[Any]) -> NDArray[np.float64]:
        """Return a kernel estimate of the density of generated numbers at points of the data axis, (M,)."""
        return metrics.binned_kernel_density(generated, x, bandwidth=metrics.matching_bandwidth(self.density))

    def configuration(self) -> dict[str, Any]:
        """Return the settings and what tells the user's numbers from others in a file of the same name."""
        return super().configuration() | {name: value for name, value in self.source().items() if name == "sha256"}

    def source(self) -> dict[str, str]:
        """Return figures that say where the user's numbers are from; nothing for a target."""
        if not (self.settings.data and isinstance(self.density, Empirical)):
            return {}
        digest = hashlib.sha256(self.density.values.tobytes()).hexdigest()
        return {"target": self.density.name, "data": Path(self.settings.data).name, "sha256": digest}

    def rows(self, figures: Mapping[str, Any]) -> Rows:
        """Return the rows of a closing table for the figures of `metrics.compare_with_density`."""
        density = self.density
        return [
            ("Wasserstein distance W1", f"{figures['wasserstein1']:.4f}"),
            ("  of an exact sampler", f"{figures['wasserstein1_floor']:.4f}"),
            ("  in standard deviations", f"{figures['wasserstein1'] / density.standard_deviation:.4f}"),
            ("Jensen-Shannon divergence (nats)", f"{figures['jensen_shannon']:.4f}"),
            ("mass of the modes", " ".join(f"{mass:.1%}" for mass in figures["mode_mass"])),
            ("  exact", " ".join(f"{mass:.1%}" for mass in figures["mode_mass_exact"])),
            ("mean (exact)", f"{figures['mean']:.3f} ({density.mean:.3f})"),
            ("standard deviation (exact)", f"{figures['standard_deviation']:.3f} ({density.standard_deviation:.3f})"),
        ]
