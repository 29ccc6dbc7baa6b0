"""How far a model's distribution is from the data's: each metric with its estimator's bias."""

from minigen.metrics.amortization import Inference, judge_inference
from minigen.metrics.auroc import auroc, roc_curve
from minigen.metrics.axioms import Violations, axiom_violations
from minigen.metrics.class_accuracies import ClassAccuracies, class_accuracies, neighbour_accuracy
from minigen.metrics.classification import accuracy, class_log_joint
from minigen.metrics.conditional import conditional_likelihoods
from minigen.metrics.copying import Birthdays, alike_distance, birthday_probability, birthday_test, copying_auroc
from minigen.metrics.density_match import compare_with_density, matching_bandwidth
from minigen.metrics.discriminator import discriminator_gap, optimal_discriminator
from minigen.metrics.exact_likelihood import exact_log_likelihood, site_costs
from minigen.metrics.fidelity import PrecisionRecall, expected_coverage, precision_recall
from minigen.metrics.frechet import FrechetScore, frechet_distance, frechet_score, gaussian_frechet
from minigen.metrics.gaussian_distances import gaussian_distances
from minigen.metrics.kernel_density import binned_kernel_density
from minigen.metrics.latent import ActiveUnits, Regularity, active_units, normal_like, regularity
from minigen.metrics.likelihood import EvidenceBound, LogLikelihood, bits_per_dimension, elbo, importance_log_likelihood
from minigen.metrics.mmd import (
    KernelDistance,
    gaussian_kernel,
    kernel_distance,
    median_bandwidth,
    mmd_squared,
    polynomial_kernel,
)
from minigen.metrics.modes import ModeCoverage, mode_coverage, mode_mass
from minigen.metrics.nearest import Nearest, nearest_images, neighbour_distances
from minigen.metrics.paired import Gain, paired_gain
from minigen.metrics.pixels import PixelDistances, pixel_distances, shifted
from minigen.metrics.principal_components import PCA, ProbabilisticPCA, pca, probabilistic_pca
from minigen.metrics.probes import probe_accuracies, tuning_accuracies
from minigen.metrics.reconstruction import squared_error
from minigen.metrics.tabulated_divergences import jensen_shannon, kullback_leibler, total_variation
from minigen.metrics.text import nats_per_character, surprise
from minigen.metrics.transport import (
    Transport,
    earth_mover_distance,
    ground_cost,
    plan_cost,
    sorted_plan,
    transport_plan,
)
from minigen.metrics.wasserstein import wasserstein1, wasserstein1_floor, wasserstein1_to_quantile

__all__ = [
    "PCA", "ActiveUnits", "Birthdays", "ClassAccuracies", "EvidenceBound", "FrechetScore", "Gain", "Inference", "KernelDistance",
    "LogLikelihood", "ModeCoverage", "Nearest", "PixelDistances", "PrecisionRecall", "ProbabilisticPCA", "Regularity", "Transport",
    "Violations", "accuracy", "active_units", "alike_distance", "auroc", "axiom_violations", "binned_kernel_density",
    "birthday_probability", "birthday_test", "bits_per_dimension", "class_accuracies", "class_log_joint", "compare_with_density",
    "conditional_likelihoods", "copying_auroc", "discriminator_gap", "earth_mover_distance", "elbo", "exact_log_likelihood",
    "expected_coverage", "frechet_distance", "frechet_score", "gaussian_distances", "gaussian_frechet", "gaussian_kernel",
    "ground_cost", "importance_log_likelihood", "jensen_shannon", "judge_inference", "kernel_distance", "kullback_leibler",
    "matching_bandwidth", "median_bandwidth", "mmd_squared", "mode_coverage", "mode_mass", "nats_per_character", "nearest_images",
    "neighbour_accuracy", "neighbour_distances", "normal_like", "optimal_discriminator", "paired_gain", "pca", "pixel_distances",
    "plan_cost", "polynomial_kernel", "precision_recall", "probabilistic_pca", "probe_accuracies", "regularity", "roc_curve", "shifted",
    "site_costs", "sorted_plan", "squared_error", "surprise", "total_variation", "transport_plan", "tuning_accuracies", "wasserstein1",
    "wasserstein1_floor", "wasserstein1_to_quantile",
]  # fmt: skip
