"""The models, one file per family; each file opens with the equations that it implements."""

from minigen.models.amortization import FittedPosteriors, fit_posteriors, posterior_table
from minigen.models.autoencoder import Autoencoder, conv_autoencoder, mlp_autoencoder
from minigen.models.classifier import ConvClassifier
from minigen.models.cvae import CVAE, IndependentPixels, mlp_cvae, mlp_independent_pixels
from minigen.models.gan import GAN, Packed, mlp_gan
from minigen.models.gaussian import Gaussian
from minigen.models.latent import inpaint, interpolate
from minigen.models.likelihoods import LIKELIHOODS, pixel_likelihood
from minigen.models.segmentation import Segmenter, intersection_over_union
from minigen.models.together import Together
from minigen.models.vae import VAE, Posterior, conv_vae, mlp_vae

__all__ = [
    "CVAE", "GAN", "LIKELIHOODS", "VAE", "Autoencoder", "ConvClassifier", "FittedPosteriors", "Gaussian", "IndependentPixels", "Packed",
    "Posterior", "Segmenter", "Together", "conv_autoencoder", "conv_vae", "fit_posteriors", "inpaint", "interpolate",
    "intersection_over_union", "mlp_autoencoder", "mlp_cvae", "mlp_gan", "mlp_independent_pixels", "mlp_vae", "pixel_likelihood",
    "posterior_table",
]  # fmt: skip
