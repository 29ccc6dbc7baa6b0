"""How much more probable a conditional model finds images than a prediction of each pixel alone does, given the same conditions."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from minigen.metrics.likelihood import LogLikelihood, elbo, importance_log_likelihood
from minigen.metrics.paired import paired_gain
from minigen.random import Generator


def conditional_likelihoods(
    model: Any, baseline: Any, batch: Any, *, samples: int, make_rng: Callable[[], Generator]
) -> dict[str, float]:
    """Measure three lower bounds on log p(y|c) of a data set, the baseline's log p(y|c), and the gaps between them, in nats per image.

    Args:
        model: a `models.CVAE`, or something with its `bound`, `log_weights` and `prior_log_likelihoods`.
        baseline: has `log_prob(batch)`, as `models.IndependentPixels` has.
        batch: all images y with their conditions, (y, c) or (y, c, hidden), on the device of the models.
        samples: draws of z for each image in the second and the third bound.
        make_rng: makes a generator on that device; each bound starts with a new one, so that they share their noise.

    Returns:
        elbo, log_likelihood, divergence: the bound of the training and its two terms.
        importance, prediction: the estimates by draws from q(z|y, c) and from p(z|c).
        baseline: its mean log p(y|c).
        gap_bound, gap_importance, gap_prediction: what the three bounds of the model gain over the baseline.
        All from importance on also as name_error, with their standard errors. Those of the gaps come from the differences of each image, in
        which much of the noise cancels.

    Example:
        >>> import numpy as np
        >>> from minigen.models import mlp_cvae, mlp_independent_pixels
        >>> sizes = {"size": (8, 8, 1), "condition": 3, "hidden": (16,), "rng": Generator(0)}
        >>> y, c = np.zeros((6, 8, 8, 1), np.float32), np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 1, 2]]
        >>> cvae, pixels = mlp_cvae(latent=2, **sizes), mlp_independent_pixels(**sizes)
        >>> found = conditional_likelihoods(cvae, pixels, (y, c), samples=5, make_rng=lambda: Generator(1))
        >>> abs(found["gap_importance"] - (found["importance"] - found["baseline"])) < 1e-5
        True
    """

    def estimate(log_weights: Callable[..., Any], k: int) -> LogLikelihood:
        weights = SimpleNamespace(log_weights=log_weights)
        return importance_log_likelihood(weights, batch, samples=k, rng=make_rng(), progress=k > 1)

    bound = elbo(model, batch, rng=make_rng())
    importance = estimate(model.log_weights, samples)
    prediction = estimate(model.prior_log_likelihoods, samples)
    alone = estimate(lambda batch, k, rng: baseline.log_prob(batch)[None], 1)
    figures = {"elbo": bound.elbo, "log_likelihood": bound.log_likelihood, "divergence": bound.divergence}
    for name, found in (("importance", importance), ("prediction", prediction), ("baseline", alone)):
        figures |= {name: found.mean, f"{name}_error": found.standard_error}
    for name, values in (("bound", bound.values), ("importance", importance.values), ("prediction", prediction.values)):
        gap = paired_gain(values, alone.values)
        figures |= {f"gap_{name}": gap.mean, f"gap_{name}_error": gap.standard_error}
    return figures
