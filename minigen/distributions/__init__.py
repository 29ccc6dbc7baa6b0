"""Distributions in batches: draws, reparameterized draws, log-probabilities, entropies, divergences; all in nats."""

from minigen.distributions.bernoulli import Bernoulli
from minigen.distributions.categorical import Categorical, GumbelSoftmax
from minigen.distributions.closed_form_kl import kl_divergence
from minigen.distributions.distribution import Distribution
from minigen.distributions.laplace import Laplace
from minigen.distributions.mixture import NormalMixture
from minigen.distributions.normal import Normal

__all__ = [
    "Bernoulli",
    "Categorical",
    "Distribution",
    "GumbelSoftmax",
    "Laplace",
    "Normal",
    "NormalMixture",
    "kl_divergence",
]
