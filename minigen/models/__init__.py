"""The models, one file per family; each file opens with the equations that it implements."""

from minigen.models.classifier import ConvClassifier
from minigen.models.gan import GAN, Packed, mlp_gan
from minigen.models.gaussian import Gaussian
from minigen.models.likelihoods import LIKELIHOODS, pixel_likelihood
from minigen.models.vae import VAE, Posterior, conv_vae, mlp_vae

__all__ = [
    "GAN", "LIKELIHOODS", "VAE", "ConvClassifier", "Gaussian", "Packed", "Posterior", "conv_vae", "mlp_gan", "mlp_vae", "pixel_likelihood",
]  # fmt: skip
