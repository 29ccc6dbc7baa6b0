"""Data sets, one-dimensional densities with exact answers, and batches."""

from minigen.data.batches import Batches, density_batches
from minigen.data.densities import (
    TARGETS,
    Density,
    Empirical,
    Gaussian,
    GaussianMixture,
    Laplace,
    Uniform,
    target,
)
from minigen.data.geyser import Geyser, load_geyser
from minigen.data.kernel_density import kernel_density, silverman_bandwidth

__all__ = [
    "TARGETS",
    "Batches",
    "Density",
    "Empirical",
    "Gaussian",
    "GaussianMixture",
    "Geyser",
    "Laplace",
    "Uniform",
    "density_batches",
    "kernel_density",
    "load_geyser",
    "silverman_bandwidth",
    "target",
]
