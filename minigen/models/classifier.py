"""A small convolutional network that says which class an image is of, and describes it by numbers on the way there.

With a_0 = x, an image of H x W pixels, and * for the convolution,

    a_l = pool(relu(norm(W_l * a_{l-1}))),  l = 1 ... L     pool halves the height and the width
    f(x) = relu(V a_L + c)                                  the features, F numbers
    p(y | x) = softmax(U drop(f(x)) + b)_y                  and the loss is the cross-entropy, -E[log p(y | x)] in nats

This is LeNet (LeCun et al. 1998, "Gradient-based learning applied to document recognition", section II.B) with today's parts: the largest
value in place of the mean as pool, batch normalization as norm (Ioffe & Szegedy 2015), the rectifier, and dropout of the features as drop,
in training only (Srivastava et al. 2014).

The features keep what tells classes apart. So a distance between two sets of images may be computed of them: the Fréchet distance fits one
Gaussian to the features of real images and one to those of generated images (Heusel et al. 2017, "GANs trained by a two time-scale update
rule converge to a local Nash equilibrium", section 3, with the features of another network). Such a distance depends on the network, whose
name belongs beside it; `minigen.training.load_classifier` reads a network from its file.
"""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

import minigen.ops as ops
from minigen import nn
from minigen.distributions import Categorical
from minigen.engine import Tensor, TensorLike
from minigen.random import Generator


class ConvClassifier(nn.Module):
    """L convolutions, one hidden layer of features, one of logits.

    Args:
        size: (H, W), at least 2^L each.
        channels: C of an image.
        classes: K.
        widths: how many filters each of the L convolutions has.
        kernel_size: height and width of the filters.
        features: F.
        dropout: the probability with which training drops a feature.
        rng: draws the initial weights, and what is dropped.

    Attributes:
        configuration: the arguments but `rng`, as JSON values; from them the network can be built again.

    Raises:
        ValueError: there is no convolution, or the images are too small to be halved L times.

    Example:
        >>> classifier = ConvClassifier(size=(8, 8), widths=(4, 8), features=16, rng=Generator(0))
        >>> images, labels = np.zeros((5, 8, 8, 1), "float32"), np.array([0, 1, 2, 3, 4])
        >>> loss, terms = classifier.loss((images, labels))
        >>> loss.shape, list(terms)
        ((), ['cross_entropy', 'accuracy'])
        >>> classifier.features(images).shape, classifier.predict(images).shape
        ((5, 16), (5, 10))
    """

    def __init__(
        self,
        *,
        size: tuple[int, int],
        channels: int = 1,
        classes: int = 10,
        widths: tuple[int, ...] = (16, 32),
        kernel_size: int = 3,
        features: int = 64,
        dropout: float = 0.5,
        rng: Generator,
    ) -> None:
        height, width = (pixels // 2 ** len(widths) for pixels in size)
        if not widths or min(height, width) < 1:
            raise ValueError(
                f"ConvClassifier: images of size {tuple(size)} and widths {tuple(widths)}; expected at least one width, and images that "
                f"can be halved once for each"
            )
        self.configuration = {
            "size": list(size), "channels": channels, "classes": classes, "widths": list(widths), "kernel_size": kernel_size,
            "features": features, "dropout": dropout,
        }  # fmt: skip
        self.blocks = [
            nn.Sequential(
                # No bias: the normalization takes the mean away, and has a shift of its own.
                nn.Conv2d(before, after, kernel_size=kernel_size, padding="same", bias=False, rng=rng),
                nn.BatchNorm(after),
                nn.ReLU(),
                nn.MaxPool2d(2),
            )
            for before, after in pairwise((channels, *widths))
        ]
        self.hidden = nn.Linear(height * width * widths[-1], features, rng=rng)
        self.dropout = nn.Dropout(p=dropout, rng=rng)
        self.last = nn.Linear(features, classes, rng=rng)

    def describe(self, x: TensorLike) -> Tensor:
        """Return f(x) as a differentiable function of x, (N, H, W, C) -> (N, F)."""
        for block in self.blocks:
            x = block(x)
        return ops.relu(self.hidden(nn.Flatten()(x)))

    def forward(self, x: TensorLike) -> Tensor:
        """Return the logits, (N, H, W, C) -> (N, K)."""
        return self.last(self.dropout(self.describe(x)))

    def loss(
        self, batch: tuple[TensorLike, TensorLike], *, rng: Generator | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the cross-entropy of images, (N, H, W, C), with their labels, (N,), in nats per image."""
        images, labels = batch
        logits = self(images)
        loss = -ops.mean(Categorical(logits=logits).log_prob(labels))
        right = ops.argmax(logits.detach(), axis=1) == labels
        return loss, {"cross_entropy": loss.detach(), "accuracy": ops.mean(right.astype(logits.dtype))}

    # -- what a trained network says; in evaluation mode, without a graph, a few hundred images at a time

    def predict(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return log p(y | x) of every class, (N, H, W, C) -> (N, K)."""
        return self._evaluated(lambda x: ops.log_softmax(self(x)), images)

    def features(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return f(x), (N, H, W, C) -> (N, F): what a Fréchet distance is computed of.

        Args:
            images: any number of them, with pixels as in training: those of `Images.unit`, in [0, 1].
        """
        return self._evaluated(self.describe, images)

    def feature_maps(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return relu(norm(W_1 * x)), (N, H, W, C) -> (N, H, W, widths[0]): what each filter of the first layer sees, and where."""
        convolution, norm, relu, _ = self.blocks[0]
        return self._evaluated(lambda x: relu(norm(convolution(x))), images)

    def _evaluated(self, function: Callable[[Tensor], Tensor], images: NDArray[np.float32]) -> NDArray[np.float32]:
        with nn.evaluating(self):
            return nn.in_batches(function, images, device=self.last.weight.device)
