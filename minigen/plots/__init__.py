"""Pictures for lectures and papers. Every function returns a matplotlib Figure, which `save` writes to a file, or an Animation
for `save_animation`.

They take NumPy arrays; `graph` takes a Tensor. Each figure is an object of its own: pyplot is not used, so nothing is
shown, kept or changed behind the caller's back.
"""

from minigen.plots.adversarial import gan_densities, saturation, training_curves
from minigen.plots.amortization import inference_gaps
from minigen.plots.animation import Animation, gan_animation, save_animation
from minigen.plots.autoencoder import error_curves, fitted_surfaces, pixel_distances, strongest_units
from minigen.plots.bounds import bound_curves
from minigen.plots.classifier import confusion_matrix, filters_and_maps, worst_mistakes
from minigen.plots.computation import graph
from minigen.plots.dynamics import coverage_curves, game_trajectories, sample_panels
from minigen.plots.estimators import estimator_spread
from minigen.plots.fields import signed_images, site_costs
from minigen.plots.files import save
from minigen.plots.game import game_diagram
from minigen.plots.gaussian import gaussian_fit
from minigen.plots.generated import fidelity_and_variety, loss_comparison, nearest_training_images
from minigen.plots.growing import growing_images, moving_images
from minigen.plots.images import image_grid, image_rows
from minigen.plots.latent import Codes, latent_codes, latent_manifold, unit_divergences, vector_arithmetic
from minigen.plots.orderings import ordering_costs
from minigen.plots.receptive_field import receptive_field
from minigen.plots.text import language_curves, surprise, temperatures
from minigen.plots.transfer import accuracy_bars, paired_bars, score_histograms
from minigen.plots.transport import divergence_curves, planar_plans, transport_plans

__all__ = [
    "Animation", "Codes", "accuracy_bars", "bound_curves", "confusion_matrix", "coverage_curves", "divergence_curves", "error_curves",
    "estimator_spread", "fidelity_and_variety", "filters_and_maps", "fitted_surfaces", "game_diagram", "game_trajectories",
    "gan_animation", "gan_densities", "gaussian_fit", "graph", "growing_images", "image_grid", "image_rows", "inference_gaps",
    "language_curves", "latent_codes", "latent_manifold", "loss_comparison", "moving_images", "nearest_training_images", "ordering_costs",
    "paired_bars", "pixel_distances", "planar_plans", "receptive_field", "sample_panels", "saturation", "save", "save_animation",
    "score_histograms", "signed_images", "site_costs", "strongest_units", "surprise", "temperatures", "training_curves",
    "transport_plans", "unit_divergences", "vector_arithmetic", "worst_mistakes",
]  # fmt: skip
