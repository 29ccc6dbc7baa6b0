"""Generative adversarial networks (Goodfellow et al. 2014).

A generator G maps noise z ~ N(0, I) to examples, and so defines a density p_g. A discriminator D tells real examples from generated ones.
They play

    min_G max_D  V(D, G) = E_{x ~ p_data}[log D(x)] + E_z[log(1 - D(G(z)))].                                     equation 1

For a fixed G the best discriminator is D*(x) = p_data(x) / (p_data(x) + p_g(x))                               proposition 1
and V(D*, G) = -log 4 + 2 JSD(p_data || p_g), which is least, -log 4, where p_g = p_data.                          theorem 1

Other losses put other distances in the place of JSD; see `minigen.losses`.

A generator may *collapse* onto a few modes of the data. A discriminator that judges m examples at once, all real or all generated, sees
that they resemble each other too much (Lin et al. 2018, PacGAN); it is an ordinary discriminator of m times as many features (`Packed`).
"""

from functools import partial

import minigen.ops as ops
from minigen import nn
from minigen.backend import Array
from minigen.engine import Tensor, TensorLike, no_grad
from minigen.losses import AdversarialLoss, adversarial, gradient_penalty
from minigen.models.perceptron import mlp
from minigen.random import Generator


class GAN(nn.Module):
    """Two networks and the loss by which they play.

    Args:
        generator: maps z, (N, latent), to examples, (N, ...).
        discriminator: maps examples to one number each, (N, 1): the logit of D, or an unbounded score, as the loss has it.
        latent: the dimension of z.
        loss: one of `minigen.losses.ADVERSARIAL`, or its name.

    Raises:
        ValueError: the loss has a gradient penalty, and the discriminator batch normalization.

    Example:
        >>> rng = Generator(0)
        >>> gan = mlp_gan(features=1, latent=2, width=8, rng=rng)
        >>> gan.sample(5, rng=rng).shape
        (5, 1)
        >>> loss, terms = gan.generator_loss(5, rng=rng)
        >>> loss.shape, list(terms)
        ((), ['generator'])
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        *,
        latent: int,
        loss: str | AdversarialLoss = "nonsaturating",
    ) -> None:
        self.generator = generator
        self.discriminator = discriminator
        self.latent = latent
        self.adversarial_loss = adversarial(loss) if isinstance(loss, str) else loss
        if self.adversarial_loss.penalty:
            for name, part in discriminator.named_modules().items():
                if isinstance(part, nn.BatchNorm):
                    raise ValueError(
                        f"GAN: the loss {self.adversarial_loss.name} penalizes the slope at each example on its own, but D's "
                        f"{name} is a BatchNorm, by which one example's score depends on all others'; leave it out"
                    )

    def sample(self, n: int, *, rng: Generator) -> Tensor:
        """Return n generated examples, (n, ...)."""
        return self.generator(rng.normal((n, self.latent)))

    def discriminator_loss(self, real: TensorLike, *, rng: Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Return D's loss on a batch of real examples, (N, ...), and as many generated ones, which are constants to D.

        Where the loss has a gradient penalty, it is added and named as a term of its own; the term "discriminator" is without it.
        """
        with no_grad():
            fake = self.sample(len(real), rng=rng)
        loss = self.adversarial_loss.discriminator(self.discriminator(real), self.discriminator(fake))
        terms = {"discriminator": loss.detach()}
        if self.adversarial_loss.penalty:
            penalty = gradient_penalty(self.discriminator, real, fake, rng=rng)
            terms["gradient_penalty"] = penalty.detach()
            loss = loss + self.adversarial_loss.penalty * penalty
        return loss, terms

    def generator_loss(self, n: int, *, rng: Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Return G's loss on n generated examples. Its gradient flows through D; only that of G's parameters is wanted."""
        loss = self.adversarial_loss.generator(self.discriminator(self.sample(n, rng=rng)))
        return loss, {"generator": loss.detach()}

    def discriminate(self, x: TensorLike) -> Array:
        """Return, without a graph, D(x), (N, 1): a probability, or the bare score where the loss makes it none."""
        with no_grad():
            scores = self.discriminator(x)
            return (ops.sigmoid(scores) if self.adversarial_loss.is_probability else scores).data


class Packed(nn.Module):
    """A discriminator's view of examples in packs of m (Lin et al. 2018, section 3).

    Args:
        discriminator: maps m examples side by side, (N / m, m F), to one number a pack, (N / m, 1).
        size: m; the number of examples must be a multiple of it.

    Example:
        >>> packed = Packed(nn.Linear(4, 1, rng=Generator(0)), size=2)
        >>> packed(Generator(0).normal((6, 2))).shape
        (3, 1)
    """

    def __init__(self, discriminator: nn.Module, *, size: int) -> None:
        self.discriminator = discriminator
        self.size = size

    def forward(self, x: TensorLike) -> Tensor:
        """Judge packs of neighbours, (N, F) -> (N / m, 1)."""
        n, features = x.shape
        if n % self.size:
            raise ValueError(f"Packed: {n} examples do not divide into packs of {self.size}")
        return self.discriminator(ops.reshape(x, shape=(n // self.size, self.size * features)))


def mlp_gan(
    *,
    features: int,
    latent: int,
    width: int,
    depth: int = 2,
    pack: int = 1,
    rng: Generator,
    loss: str | AdversarialLoss = "nonsaturating",
) -> GAN:
    """Return a GAN of two perceptrons, for small vectors.

    Args:
        features: the dimension of an example.
        latent: the dimension of z.
        width: units in a hidden layer.
        depth: hidden layers of each.
        pack: examples that the discriminator sees at once; see `Packed`.
        rng: draws the initial weights.
        loss: as for `GAN`.

    Example:
        >>> gan = mlp_gan(features=2, latent=4, width=8, depth=3, pack=2, rng=Generator(0))
        >>> gan.discriminator(gan.sample(6, rng=Generator(1))).shape
        (3, 1)
    """
    hidden = (width,) * depth
    generator = nn.Sequential(*mlp((latent, *hidden, features), rng=rng, activation=nn.ReLU, initialize=None))
    leaky = partial(nn.LeakyReLU, slope=0.2)
    discriminator: nn.Module = nn.Sequential(
        *mlp((pack * features, *hidden, 1), rng=rng, activation=leaky, initialize=None)
    )
    if pack > 1:
        discriminator = Packed(discriminator, size=pack)
    return GAN(generator, discriminator, latent=latent, loss=loss)
