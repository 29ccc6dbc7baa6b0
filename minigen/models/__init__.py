"""The models, one file per family; each file opens with the equations that it implements."""

from minigen.models.classifier import ConvClassifier
from minigen.models.gan import GAN, Packed, mlp_gan
from minigen.models.gaussian import Gaussian

__all__ = ["GAN", "ConvClassifier", "Gaussian", "Packed", "mlp_gan"]
