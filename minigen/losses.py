"""Adversarial losses: what discriminator and generator minimise, given the discriminator's outputs.

Let l(x) be the discriminator's output before any squashing, D(x) = sigmoid(l(x)), x real and G(z) generated. With log D = -softplus(-l) and
log(1 - D) = -softplus(l), no probability is ever formed, let alone clipped:

    minimax          D:  E[-log D(x)] + E[-log(1 - D(G(z)))]     G:  E[log(1 - D(G(z)))]      Goodfellow et al. 2014, equation 1
    non-saturating   D:  the same                                G:  E[-log D(G(z))]          Goodfellow et al. 2014, section 3
    least squares    D:  E[(l(x) - 1)^2]/2 + E[l(G(z))^2]/2      G:  E[(l(G(z)) - 1)^2]/2     Mao et al. 2017, equation 9

The first two have the same fixed point, and gradients with respect to l(G(z)) of size D(G(z)) and 1 - D(G(z)): against a strong
discriminator the first vanishes, the second does not.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import minigen.ops as ops
from minigen.engine import Tensor


@dataclass(frozen=True)
class AdversarialLoss:
    """The losses of the two players, and how to read the discriminator's output.

    Attributes:
        name: as the command line has it.
        discriminator: maps the outputs on real and on generated examples, each (N, ...), to D's loss, a scalar.
        generator: maps the outputs on generated examples to G's loss, a scalar.
        is_probability: whether sigmoid of the output estimates the probability that an example is real.
        equilibrium: the losses (of D, of G) where p_g = p_data and D is optimal.
    """

    name: str
    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]
    is_probability: bool
    equilibrium: tuple[float, float]


def cross_entropy_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Return E[-log D(x)] + E[-log(1 - D(G(z)))], from logits.

    Args:
        real: logits l(x), any shape.
        fake: logits l(G(z)), any shape.

    Example:
        >>> import minigen as mg
        >>> round(cross_entropy_discriminator(mg.zeros(2), mg.zeros(2)).item(), 4) == round(math.log(4), 4)
        True
    """
    return ops.mean(ops.softplus(-real)) + ops.mean(ops.softplus(fake))


def minimax_generator(fake: Tensor) -> Tensor:
    """Return E[log(1 - D(G(z)))], from logits.

    Example:
        >>> import minigen as mg
        >>> round(minimax_generator(mg.zeros(2)).item(), 4)
        -0.6931
    """
    return -ops.mean(ops.softplus(fake))


def nonsaturating_generator(fake: Tensor) -> Tensor:
    """Return E[-log D(G(z))], from logits.

    Example:
        >>> import minigen as mg
        >>> round(nonsaturating_generator(mg.zeros(2)).item(), 4)
        0.6931
    """
    return ops.mean(ops.softplus(-fake))


def least_squares_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Return E[(l(x) - 1)^2]/2 + E[l(G(z))^2]/2.

    Example:
        >>> import minigen as mg
        >>> least_squares_discriminator(mg.ones(2), mg.ones(2)).item()
        0.5
    """
    miss = real - 1.0
    return 0.5 * (ops.mean(miss * miss) + ops.mean(fake * fake))


def least_squares_generator(fake: Tensor) -> Tensor:
    """Return E[(l(G(z)) - 1)^2]/2.

    Example:
        >>> import minigen as mg
        >>> least_squares_generator(mg.zeros(2)).item()
        0.5
    """
    miss = fake - 1.0
    return 0.5 * ops.mean(miss * miss)


LOG_2, LOG_4 = math.log(2), math.log(4)

ADVERSARIAL = {
    loss.name: loss
    for loss in (
        AdversarialLoss("nonsaturating", cross_entropy_discriminator, nonsaturating_generator, True, (LOG_4, LOG_2)),
        AdversarialLoss("minimax", cross_entropy_discriminator, minimax_generator, True, (LOG_4, -LOG_2)),
        AdversarialLoss("least-squares", least_squares_discriminator, least_squares_generator, False, (0.25, 0.125)),
    )
}
"""The adversarial losses by name."""


def adversarial(name: str) -> AdversarialLoss:
    """Return an adversarial loss by its name.

    Raises:
        ValueError: there is none of that name.

    Example:
        >>> adversarial("minimax").is_probability
        True
    """
    if name not in ADVERSARIAL:
        raise ValueError(f"adversarial loss {name!r} is unknown; it is one of {', '.join(ADVERSARIAL)}")
    return ADVERSARIAL[name]
