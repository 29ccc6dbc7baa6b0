"""Training steps of GANs of images, each written twice: with `models.dcgan`, and in PyTorch.

    dcgan            32 x 32 x 3, batch normalization in both networks
    wgan_gp_images   32 x 32 x 3, the critic without normalization and with a gradient penalty, which differentiates a gradient
    conditional      64 x 64 x 3 at half the width, told one of ten classes: G by its normalizations, D by projection

A step is one of D and one of G: forward, backward and Adam, in float32 on one batch.
"""

from itertools import pairwise
from typing import Any

import numpy as np
from players import Player

import minigen as mg
from minigen import models
from minigen.losses import adversarial
from minigen.random import Generator

LAYOUTS = ("NCHW", "channels_last")
BATCH_SIZES = {"dcgan": 64, "wgan_gp_images": 64, "conditional": 64}
SIZES = {"dcgan": (32, 32, 3), "wgan_gp_images": (32, 32, 3), "conditional": (64, 64, 3)}
WIDTHS = {"dcgan": 64, "wgan_gp_images": 64, "conditional": 32}
LOSSES = {"dcgan": "nonsaturating", "wgan_gp_images": "wasserstein-gp", "conditional": "nonsaturating"}
CLASSES = {"dcgan": 0, "wgan_gp_images": 0, "conditional": 10}
LATENT, BETAS = 100, (0.5, 0.999)


def batch(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return images, (N, H, W, C), with pixels in [-1, 1], and labels, (N,), drawn at random."""
    rng, n = np.random.default_rng(0), BATCH_SIZES[name]
    return rng.uniform(-1, 1, (n, *SIZES[name])).astype(np.float32), rng.integers(0, 10, n)


def minigen_players(name: str, device: str) -> list[Player]:
    """Return both networks, and their losses on the batch."""
    rng = Generator(0, device=device)
    gan = models.dcgan(
        size=SIZES[name],
        latent=LATENT,
        width=WIDTHS[name],
        loss=LOSSES[name],
        noise="normal",
        classes=CLASSES[name],
        rng=rng,
    ).to(device)
    images, labels = (mg.tensor(array, device=device) for array in batch(name))
    given = (images, labels.data) if CLASSES[name] else images
    return [
        Player(gan.discriminator, lambda: gan.discriminator_loss(given, rng=rng)[0], BETAS),
        Player(gan.generator, lambda: gan.generator_loss(given, rng=rng)[0], BETAS),
    ]


def torch_players(torch: Any, name: str, layout: str, device: str) -> list[Player]:
    """Return the same networks in PyTorch, with images laid out "NCHW" or "channels_last"."""
    form = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    images, labels = (torch.from_numpy(array).to(device) for array in batch(name))
    images = images.permute(0, 3, 1, 2).contiguous(memory_format=form)
    told = (labels,) if CLASSES[name] else ()
    n, rules = len(images), adversarial(LOSSES[name])
    torch.manual_seed(0)
    generator, discriminator = (
        net.to(device).to(memory_format=form) for net in networks(torch, name, is_normalized=not rules.penalty)
    )
    softplus = torch.nn.functional.softplus

    def noise() -> Any:
        return torch.randn(n, LATENT, device=device)

    def discriminator_loss() -> Any:
        with torch.no_grad():
            fake = generator(noise(), *told)
        if not rules.penalty:
            return softplus(-discriminator(images, *told)).mean() + softplus(discriminator(fake, *told)).mean()
        share = torch.rand(n, 1, 1, 1, device=device)
        between = (share * images + (1 - share) * fake).requires_grad_()
        (slope,) = torch.autograd.grad(discriminator(between).sum(), between, create_graph=True)
        penalty = ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean()
        return discriminator(fake).mean() - discriminator(images).mean() + rules.penalty * penalty

    def generator_loss() -> Any:
        scores = discriminator(generator(noise(), *told), *told)
        return -scores.mean() if rules.penalty else softplus(-scores).mean()

    return [Player(discriminator, discriminator_loss, BETAS), Player(generator, generator_loss, BETAS)]


def networks(torch: Any, name: str, *, is_normalized: bool) -> tuple[Any, Any]:
    """Return the generator and the discriminator of `models.dcgan` in PyTorch, their parameters in the same order."""
    net, width, classes = torch.nn, WIDTHS[name], CLASSES[name]
    levels = {32: 3, 64: 4}[SIZES[name][0]]
    widths = [width * 2**level for level in range(levels)]

    class ClassBatchNorm(net.Module):
        def __init__(self, features: int) -> None:
            super().__init__()
            self.weight = net.Parameter(torch.ones(classes, features))
            self.bias = net.Parameter(torch.zeros(classes, features))
            self.norm = net.BatchNorm2d(features, affine=False)

        def forward(self, x: Any, labels: Any) -> Any:
            return self.weight[labels][:, :, None, None] * self.norm(x) + self.bias[labels][:, :, None, None]

    class TorchGenerator(net.Module):
        def __init__(self) -> None:
            super().__init__()
            down = widths[::-1]
            first = net.ConvTranspose2d(LATENT, down[0], 4, bias=False)
            others = [net.ConvTranspose2d(a, b, 4, 2, 1, bias=False) for a, b in pairwise(down)]
            self.convolutions = net.ModuleList([first, *others])
            self.last = net.ConvTranspose2d(down[-1], 3, 4, 2, 1)
            self.norms = net.ModuleList([ClassBatchNorm(c) if classes else net.BatchNorm2d(c) for c in down])

        def forward(self, z: Any, *told: Any) -> Any:
            x = z[:, :, None, None]
            for convolution, norm in zip(self.convolutions, self.norms, strict=True):
                x = torch.relu(norm(convolution(x), *told))
            return torch.tanh(self.last(x))

    class TorchDiscriminator(net.Module):
        def __init__(self) -> None:
            super().__init__()
            blocks = []
            for level, (before, after) in enumerate(zip([3, *widths[:-1]], widths, strict=True)):
                norms = [net.BatchNorm2d(after)] if is_normalized and level else []
                convolution = net.Conv2d(before, after, 4, 2, 1, bias=not norms)
                blocks.append(net.Sequential(convolution, *norms, net.LeakyReLU(0.2)))
            self.blocks = net.Sequential(*blocks)
            self.last = net.Conv2d(widths[-1], 1, 4)
            self.projection = net.Embedding(classes, widths[-1]) if classes else None

        def forward(self, x: Any, *told: Any) -> Any:
            phi = self.blocks(x)
            score = self.last(phi).flatten(1)
            if self.projection is None:
                return score
            return score + (self.projection(*told) * phi.sum(dim=(2, 3))).sum(dim=1, keepdim=True)

    return TorchGenerator(), TorchDiscriminator()
