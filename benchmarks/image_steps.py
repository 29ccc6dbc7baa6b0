"""Training steps of models of images, each written twice: with minigen's layers, and in PyTorch.

    classifier   `models.ConvClassifier` on 28 x 28: two convolutions with batch normalization and pooling, one hidden layer
    vae          `models.conv_vae` on 28 x 28: two convolutions, two transposed ones, 16 latents; Bernoulli pixels
    vae_mlp      `models.mlp_vae`, 784-200-200-50 and back with tanh (Burda et al. 2016); Bernoulli pixels

A step is forward, backward and Adam, in float32 on one batch.
"""

from typing import Any

import numpy as np
from players import Player

import minigen as mg
from minigen.models import ConvClassifier, conv_vae, mlp_vae
from minigen.random import Generator

BATCH_SIZES = {"classifier": 128, "vae": 128, "vae_mlp": 100}
LAYOUTS = ("NCHW", "channels_last")
WIDTHS, FEATURES = (16, 32), 64  # of the classifier
VAE_WIDTHS, VAE_LATENT, VAE_HIDDEN, VAE_MLP_LATENT = (32, 64), 16, (200, 200), 50


def batch(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return images, (N, H, W, C), whose pixels are bits, and labels, (N,), drawn at random."""
    rng, n = np.random.default_rng(0), BATCH_SIZES[name]
    labels = rng.integers(0, 10, n)
    return rng.integers(0, 2, (n, 28, 28, 1)).astype(np.float32), labels


# ------------------------------------------------------------------------------------------------------ minigen


def minigen_players(name: str, device: str) -> list[Player]:
    """Return each network that is trained, and its loss on the batch."""
    rng = Generator(0, device=device)
    images, labels = (mg.tensor(array, device=device) for array in batch(name))
    if name == "classifier":
        classifier = ConvClassifier(size=(28, 28), widths=WIDTHS, features=FEATURES, rng=rng).to(device)
        return [Player(classifier, lambda: classifier.loss((images, labels))[0])]
    if name == "vae":
        vae = conv_vae(size=(28, 28, 1), widths=VAE_WIDTHS, latent=VAE_LATENT, rng=rng).to(device)
    else:
        vae = mlp_vae(size=(28, 28, 1), hidden=VAE_HIDDEN, latent=VAE_MLP_LATENT, rng=rng).to(device)
    return [Player(vae, lambda: vae.loss(images, rng=rng)[0])]


# ------------------------------------------------------------------------------------------------------ PyTorch


def torch_players(torch: Any, name: str, layout: str, device: str) -> list[Player]:
    """Return the same networks in PyTorch, with images laid out "NCHW" or "channels_last"."""
    net, functional = torch.nn, torch.nn.functional
    form = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    images, labels = (torch.from_numpy(array).to(device) for array in batch(name))
    images = images.permute(0, 3, 1, 2).contiguous(memory_format=form)
    n = len(images)
    torch.manual_seed(0)

    def placed(*layers: Any) -> Any:
        return net.Sequential(*layers).to(device).to(memory_format=form)

    if name == "classifier":
        layers: list[Any] = []
        for before, after in zip((1, *WIDTHS), WIDTHS, strict=False):
            convolution = net.Conv2d(before, after, 3, padding=1, bias=False)
            layers += [convolution, net.BatchNorm2d(after), net.ReLU(), net.MaxPool2d(2)]
        hidden = net.Linear(7 * 7 * WIDTHS[-1], FEATURES)
        classifier = placed(*layers, net.Flatten(), hidden, net.ReLU(), net.Linear(FEATURES, 10))
        return [Player(classifier, lambda: functional.cross_entropy(classifier(images), labels))]

    if name == "vae":
        first, second = VAE_WIDTHS
        encoder = placed(
            net.Conv2d(1, first, 4, 2, 1), net.ReLU(), net.Conv2d(first, second, 4, 2, 1), net.ReLU(), net.Flatten(),
            net.Linear(7 * 7 * second, 2 * VAE_LATENT),
        )  # fmt: skip
        decoder = placed(
            net.Linear(VAE_LATENT, 7 * 7 * second), net.ReLU(), net.Unflatten(1, (second, 7, 7)),
            net.ConvTranspose2d(second, first, 4, 2, 1), net.ReLU(), net.ConvTranspose2d(first, 1, 4, 2, 1),
        )  # fmt: skip
    if name == "vae_mlp":
        first, second = VAE_HIDDEN
        encoder = placed(
            net.Flatten(), net.Linear(28 * 28, first), net.Tanh(), net.Linear(first, second), net.Tanh(),
            net.Linear(second, 2 * VAE_MLP_LATENT),
        )  # fmt: skip
        decoder = placed(
            net.Linear(VAE_MLP_LATENT, second), net.Tanh(), net.Linear(second, first), net.Tanh(), net.Linear(first, 28 * 28),
            net.Unflatten(1, (1, 28, 28)),
        )  # fmt: skip

    def bound() -> Any:
        mean, log_variance = encoder(images).chunk(2, dim=1)
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        divergence = 0.5 * (mean * mean + torch.exp(log_variance) - 1 - log_variance).sum()
        fit = functional.binary_cross_entropy_with_logits(decoder(z), images, reduction="sum")
        return (divergence + fit) / n

    return [Player(net.ModuleList([encoder, decoder]), bound)]
