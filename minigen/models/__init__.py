"""The models, one file per family; each file opens with the equations that it implements."""

from minigen.models.belief_net import BeliefNet
from minigen.models.classifier import ConvClassifier
from minigen.models.conditionals import BernoulliConditional, CategoricalConditional, LogisticMixtureConditional
from minigen.models.gan import GAN, Packed, mlp_gan
from minigen.models.gated_pixelcnn import GatedPixelCNN
from minigen.models.gaussian import Gaussian
from minigen.models.language_model import LanguageModel, RecurrentLanguageModel, TransformerLanguageModel
from minigen.models.likelihoods import LIKELIHOODS, pixel_likelihood
from minigen.models.made import MADE, OrderingMixture, ordering_mixture
from minigen.models.nade import NADE
from minigen.models.ngram import NGram
from minigen.models.pixelcnn import PixelCNN
from minigen.models.pixelrnn import PixelRNN
from minigen.models.truncated_backpropagation import TruncatedBackpropagation
from minigen.models.vae import VAE, Posterior, conv_vae, mlp_vae

__all__ = [
    "GAN", "LIKELIHOODS", "MADE", "NADE", "VAE", "BeliefNet", "BernoulliConditional", "CategoricalConditional",
    "ConvClassifier", "GatedPixelCNN", "Gaussian", "LanguageModel", "LogisticMixtureConditional", "NGram",
    "OrderingMixture", "Packed", "PixelCNN", "PixelRNN", "Posterior", "RecurrentLanguageModel", "TransformerLanguageModel",
    "TruncatedBackpropagation", "conv_vae", "mlp_gan", "mlp_vae", "ordering_mixture", "pixel_likelihood",
]  # fmt: skip
