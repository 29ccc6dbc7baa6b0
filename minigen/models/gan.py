"""Generative adversarial networks (Goodfellow et al. 2014).

A generator G maps noise z ~ N(0, I) to examples, and so defines a density p_g. A discriminator D tells real examples from generated ones.
They play

    min_G max_D  V(D, G) = E_{x ~ p_data}[log D(x)] + E_z[log(1 - D(G(z)))].                                     equation 1

For a fixed G the best discriminator is D*(x) = p_data(x) / (p_data(x) + p_g(x))                               proposition 1
and V(D*, G) = -log 4 + 2 JSD(p_data || p_g), which is least, -log 4, where p_g = p_data.                          theorem 1

The two take turns, and each descends on its own side of the game by stochastic gradients:                          algorithm 1

    for each round:
        k times:
            take a batch of real examples x and a batch of noise z
            D <- optimizer step along the gradient of D's loss on x and G(z)
            clip D's weights to [-c, c], where the loss asks for it (Arjovsky et al. 2017, algorithm 1)
        take a batch of noise z
        G <- optimizer step along the gradient of G's loss on G(z)

Other losses put other distances in the place of JSD; see `minigen.losses`. Networks that are given a condition y, such as a label, beside
z and x learn p(x | y) (Mirza & Osindero 2014, "Conditional Generative Adversarial Nets").

A generator may *collapse* onto a few modes of the data. A discriminator that judges m examples at once, all real or all generated, sees
that they resemble each other too much (Lin et al. 2018, PacGAN); it is an ordinary discriminator of m times as many features (`Packed`).
"""

import math
from collections.abc import Iterator
from functools import partial
from typing import Any, Literal

import minigen.ops as ops
from minigen import nn
from minigen.engine import Tensor, TensorLike, no_grad
from minigen.guards import guard
from minigen.losses import AdversarialLoss
from minigen.models.game import Turn
from minigen.models.judge import Judge
from minigen.models.perceptron import mlp
from minigen.optim import EMA
from minigen.random import Generator
from minigen.sizes import counts

STATISTICS_BATCHES, STATISTICS_BATCH = 20, 100
"""Generated batches over which batch normalization's statistics are collected for an averaged generator, and the examples in each."""


class GAN(nn.Module):
    """A generator and a judge, its discriminator.

    A batch is real examples, (N, ...), or a pair of these and a condition, which generated examples then have, too.

    Args:
        generator: maps z, (N, latent), and a condition where there is one, to examples, (N, ...).
        discriminator: tells real examples from generated ones; it holds the loss by which they play.
        latent: the dimension of z.
        noise: "normal" for z ~ N(0, I), "uniform" for z ~ U[-1, 1].
        critic_steps: k, the discriminator's steps to one of the generator's.

    Raises:
        ValueError: latent or critic_steps is below 1, or the noise is another.

    Example:
        >>> rng = Generator(0)
        >>> gan = mlp_gan(features=1, latent=2, width=8, critic_steps=5, rng=rng)
        >>> gan.sample(5, rng=rng).shape
        (5, 1)
        >>> [(turn.player, turn.repeats) for turn in gan.turns()]
        [('discriminator', 5), ('generator', 1)]
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: Judge,
        *,
        latent: int,
        noise: Literal["normal", "uniform"] = "normal",
        critic_steps: int = 1,
    ) -> None:
        self.latent, self.critic_steps = counts("GAN", latent=latent, critic_steps=critic_steps)
        if noise not in ("normal", "uniform"):
            raise ValueError(f"GAN: noise is {noise!r}, expected 'normal' or 'uniform'")
        self.generator = generator
        self.discriminator = discriminator
        self.noise = noise

    def turns(self) -> list[Turn]:
        """Return the discriminator's turn and the generator's, with a turn for R1 between them if it is computed in some rounds only."""
        rules = self.discriminator.adversarial_loss
        turns = [
            Turn(
                "discriminator", self.discriminator, self.discriminator_loss, repeats=self.critic_steps, draws=True,
                weight_bound=rules.weight_bound,
            ),
            Turn("generator", self.generator, self.generator_loss),
        ]  # fmt: skip
        if rules.r1 and rules.r1_every > 1:
            turns.insert(1, Turn("discriminator", self.discriminator, self.r1_loss, every=rules.r1_every))
        return turns

    def draw_latent(self, n: int, *, truncation: float | None = None, rng: Generator) -> Any:
        """Draw the noise of n examples, (n, latent).

        Args:
            n: how many.
            truncation: tau, for a normal z each of whose numbers is drawn anew until it lies in [-tau, tau], here by the inverse
                distribution function (Brock, Donahue & Simonyan 2019, "Large Scale GAN Training for High Fidelity Natural Image
                Synthesis", section 3.1). As tau falls, images become better and more alike. Scaling z down leaves no such bound.
            rng: draws it.

        Raises:
            ValueError: tau is not above 0, or the noise is uniform.
        """
        if truncation is not None:
            if self.noise == "uniform" or not truncation > 0:
                raise ValueError(
                    f"GAN: truncation is {truncation} of {self.noise} noise; expected a bound above 0 for normal noise"
                )
            u = rng.uniform((n, self.latent), low=-1.0, high=1.0) * math.erf(truncation / math.sqrt(2))
            return ops.clip(math.sqrt(2) * ops.erfinv(u), -truncation, truncation)
        if self.noise == "uniform":
            return rng.uniform((n, self.latent), low=-1.0, high=1.0)
        return rng.normal((n, self.latent))

    def sample(self, n: int, condition: Any = None, *, rng: Generator) -> Tensor:
        """Return n generated examples, (n, ...)."""
        return self.generate(self.draw_latent(n, rng=rng), condition)

    def generate(self, z: TensorLike, condition: Any = None) -> Tensor:
        """Return the examples that G makes of noise, (N, latent) -> (N, ...)."""
        return self.generator(z) if condition is None else self.generator(z, condition)

    def discriminator_loss(self, batch: Any, *, rng: Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Return D's loss on a batch and as many generated examples, and its terms; see `Judge.loss`."""
        real, condition = split_batch(batch)
        with no_grad():
            fake = self.sample(len(real), condition, rng=rng)
        return self.discriminator.loss(real, fake, condition, rng=rng)

    def generator_loss(self, batch: Any, *, rng: Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Return G's loss on as many generated examples as the batch has, under its conditions.

        The gradient flows through D; only that of G's parameters is wanted.
        """
        real, condition = split_batch(batch)
        loss = self.discriminator.verdict(self.sample(len(real), condition, rng=rng), condition)
        return loss, {"generator": loss.detach()}

    def r1_loss(self, batch: Any, *, rng: Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Return D's penalty R1 on a batch, with the weight that it has where it is a turn of its own."""
        return self.discriminator.r1_loss(*split_batch(batch))

    @guard
    def averaged(self, average: EMA, *, rng: Generator, conditions: Any = None) -> Iterator[None]:
        """Inside the block, G is in evaluation mode with averaged weights and the running statistics that go with them.

        The running statistics are of the weights that G had in training. For the averaged ones they are collected anew, over generated
        batches; afterwards G has its own again, bitwise. Inside, one z gives one example, alone or in any company.

        Args:
            average: of G's parameters.
            rng: draws z for those batches, if G has batch normalization.
            conditions: for a conditional G: those of a batch, 2 examples or more, from which each batch is generated.
        """
        size = STATISTICS_BATCH if conditions is None else len(conditions)
        given = () if conditions is None else (conditions,)
        batches = ((self.draw_latent(size, rng=rng), *given) for _ in range(STATISTICS_BATCHES))
        with average.applied(), nn.statistics_of(self.generator, batches), nn.evaluating(self.generator):
            yield


def split_batch(batch: Any) -> tuple[Any, Any]:
    """Return the examples of a batch and their condition: a batch is a pair of both, or examples alone.

    Example:
        >>> split_batch(("images", "labels")), split_batch("images")
        (('images', 'labels'), ('images', None))
    """
    return batch if isinstance(batch, tuple) else (batch, None)


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
    critic_steps: int = 1,
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
        critic_steps: as for `GAN`.
        rng: draws the initial weights.
        loss: as for `Judge`.

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
    return GAN(generator, Judge(discriminator, loss=loss), latent=latent, critic_steps=critic_steps)
