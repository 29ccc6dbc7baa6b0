"""How far a model's distribution is from the data's: each metric with its estimator's bias."""

from minigen.metrics.density_match import compare_with_density, matching_bandwidth
from minigen.metrics.discriminator import discriminator_gap, optimal_discriminator
from minigen.metrics.divergence import jensen_shannon, kullback_leibler, total_variation
from minigen.metrics.exact_likelihood import exact_log_likelihood
from minigen.metrics.kernel_density import binned_kernel_density
from minigen.metrics.modes import ModeCoverage, mode_coverage, mode_mass
from minigen.metrics.transport import (
    Transport,
    earth_mover_distance,
    ground_cost,
    plan_cost,
    sorted_plan,
    transport_plan,
)
from minigen.metrics.wasserstein import (
    wasserstein1,
    wasserstein1_floor,
    wasserstein1_to_quantile,
)

__all__ = [
    "ModeCoverage",
    "Transport",
    "binned_kernel_density",
    "compare_with_density",
    "discriminator_gap",
    "earth_mover_distance",
    "exact_log_likelihood",
    "ground_cost",
    "jensen_shannon",
    "kullback_leibler",
    "matching_bandwidth",
    "mode_coverage",
    "mode_mass",
    "optimal_discriminator",
    "plan_cost",
    "sorted_plan",
    "total_variation",
    "transport_plan",
    "wasserstein1",
    "wasserstein1_floor",
    "wasserstein1_to_quantile",
]
