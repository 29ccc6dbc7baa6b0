"""What a VAE's way to find q(z|x) loses: its own posteriors, posteriors fitted to each image, and log p(x), side by side.

    log p(x) - ELBO(own q)  =  [log p(x) - ELBO(fitted q)]  +  [ELBO(fitted q) - ELBO(own q)]
                                approximation gap               amortization gap

The terms are explained where posteriors are fitted, in models/amortization.py.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from minigen.backend import Array
from minigen.metrics.likelihood import elbo, importance_log_likelihood
from minigen.models import VAE, FittedPosteriors, fit_posteriors
from minigen.random import Generator


class Inference(NamedTuple):
    """How well q(z|x) of some images is found, in nats per image.

    Attributes:
        elbo: by the posteriors that the model itself has of the images; None if it has none.
        fitted_elbo: by posteriors fitted to each image.
        log_likelihood: L_k, with draws from the fitted posteriors.
        fitted: these posteriors, and the course of their fit.
    """

    elbo: float | None
    fitted_elbo: float
    log_likelihood: float
    fitted: FittedPosteriors

    @property
    def gaps(self) -> dict[str, float]:
        """The approximation gap, what the best q of its family cannot say, and the amortization gap, what the model's own way to q does
        not find; the latter only if the model has posteriors of its own."""
        gaps = {"approximation gap": self.log_likelihood - self.fitted_elbo}
        return gaps if self.elbo is None else gaps | {"amortization gap": self.fitted_elbo - self.elbo}

    @property
    def steps_to_equal(self) -> int | None:
        """After how many steps the fitted posteriors are as good as the model's own; None if that never happens or it has none."""
        own = self.elbo
        return None if own is None else next((i for i, bound in enumerate(self.fitted.elbos) if bound >= own), None)

    def figures(self) -> dict[str, float | None]:
        """Return all numbers by name, among them the gaps."""
        numbers = {name: value for name, value in self._asdict().items() if name != "fitted"}
        return numbers | {name.replace(" ", "_"): gap for name, gap in self.gaps.items()}


def judge_inference(
    vae: VAE,
    images: Array,
    *,
    encoder_input: Any = None,
    steps: int = 500,
    draws: int = 32,
    k: int = 1000,
    full_covariance: bool = False,
    make_rng: Callable[[], Generator],
) -> Inference:
    """Fit posteriors to images, and compare them with what the model says by itself.

    Args:
        vae: a trained model; only its decoder is used for the fit.
        images: x, (N, H, W, C), on the model's device.
        encoder_input: what the encoder is given: the images, or for a table the numbers of their rows; None if the encoder does not know
            them.
        steps: of Adam, for each image.
        draws: of z for each image, in an ELBO.
        k: draws of z for each image that estimate log p(x).
        full_covariance: whether the fitted q has one.
        make_rng: makes a generator on the model's device; each estimate starts with a new one, so that they share their noise.

    Example:
        >>> from minigen.data import load_digits
        >>> from minigen.models import mlp_vae
        >>> vae = mlp_vae(size=(8, 8, 1), hidden=(16,), latent=2, rng=Generator(0))
        >>> images = load_digits().unit()[:20].round()
        >>> found = judge_inference(vae, images, encoder_input=images, steps=30, k=10, make_rng=lambda: Generator(1))
        >>> found.elbo < found.fitted_elbo, list(found.figures())
        (True, ['elbo', 'fitted_elbo', 'log_likelihood', 'approximation_gap', 'amortization_gap'])
    """
    fitted = fit_posteriors(vae, images, steps=steps, full_covariance=full_covariance, rng=make_rng())
    by_row = (images, np.arange(len(images)))
    return Inference(
        elbo=None if encoder_input is None else elbo(vae, (images, encoder_input), draws=draws, rng=make_rng()).elbo,
        fitted_elbo=elbo(fitted.vae, by_row, draws=draws, rng=make_rng()).elbo,
        log_likelihood=importance_log_likelihood(fitted.vae, by_row, samples=k, rng=make_rng()).mean,
        fitted=fitted,
    )
