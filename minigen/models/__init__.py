"""The models, one file per family; each file opens with the equations that it implements."""

from minigen.models.amortization import FittedPosteriors, fit_posteriors, posterior_table
from minigen.models.autoencoder import Autoencoder, conv_autoencoder, mlp_autoencoder
from minigen.models.belief_net import BeliefNet
from minigen.models.classifier import ConvClassifier
from minigen.models.conditionals import BernoulliConditional, CategoricalConditional, LogisticMixtureConditional
from minigen.models.cvae import CVAE, IndependentPixels, mlp_cvae, mlp_independent_pixels
from minigen.models.dcgan import DCGANDiscriminator, DCGANGenerator, dcgan
from minigen.models.game import Game, Turn
from minigen.models.gan import GAN, Packed, mlp_gan
from minigen.models.gated_pixelcnn import GatedPixelCNN
from minigen.models.gaussian import Gaussian
from minigen.models.judge import ImagePool, Judge
from minigen.models.language_model import LanguageModel, RecurrentLanguageModel, TransformerLanguageModel
from minigen.models.latent import inpaint, interpolate
from minigen.models.likelihoods import LIKELIHOODS, pixel_likelihood
from minigen.models.made import MADE, OrderingMixture, ordering_mixture
from minigen.models.nade import NADE
from minigen.models.ngram import NGram
from minigen.models.pixelcnn import PixelCNN
from minigen.models.pixelrnn import PixelRNN
from minigen.models.probes import fine_tuned, linear_probe
from minigen.models.segmentation import Segmenter, intersection_over_union
from minigen.models.together import Together
from minigen.models.truncated_backpropagation import TruncatedBackpropagation
from minigen.models.vae import VAE, Posterior, conv_vae, mlp_vae

__all__ = [
    "CVAE", "GAN", "LIKELIHOODS", "MADE", "NADE", "VAE", "Autoencoder", "BeliefNet", "BernoulliConditional",
    "CategoricalConditional", "ConvClassifier", "DCGANDiscriminator", "DCGANGenerator", "FittedPosteriors", "Game", "GatedPixelCNN",
    "Gaussian", "ImagePool", "IndependentPixels", "Judge", "LanguageModel", "LogisticMixtureConditional", "NGram", "OrderingMixture",
    "Packed", "PixelCNN", "PixelRNN", "Posterior", "RecurrentLanguageModel", "Segmenter", "Together", "TransformerLanguageModel",
    "TruncatedBackpropagation", "Turn", "conv_autoencoder", "conv_vae", "dcgan", "fine_tuned", "fit_posteriors", "inpaint",
    "interpolate", "intersection_over_union", "linear_probe", "mlp_autoencoder", "mlp_cvae", "mlp_gan", "mlp_independent_pixels",
    "mlp_vae", "ordering_mixture", "pixel_likelihood", "posterior_table",
]  # fmt: skip
