"""Data sets, one- and two-dimensional densities with exact answers, and batches."""

from minigen.data.batches import Batches, density_batches
from minigen.data.densities import (
    TARGETS,
    Density,
    Empirical,
    Gaussian,
    GaussianMixture,
    Laplace,
    Uniform,
    empirical_density,
    target,
)
from minigen.data.geyser import Geyser, load_geyser
from minigen.data.kernel_density import (
    estimated_modes,
    kernel_density,
    sheather_jones_bandwidth,
    silverman_bandwidth,
)
from minigen.data.planar import PlanarDensity, PlanarMixture, grid, ring
from minigen.data.table import read_column

__all__ = [
    "TARGETS",
    "Batches",
    "Density",
    "Empirical",
    "Gaussian",
    "GaussianMixture",
    "Geyser",
    "Laplace",
    "PlanarDensity",
    "PlanarMixture",
    "Uniform",
    "density_batches",
    "empirical_density",
    "estimated_modes",
    "grid",
    "kernel_density",
    "load_geyser",
    "read_column",
    "ring",
    "sheather_jones_bandwidth",
    "silverman_bandwidth",
    "target",
]
