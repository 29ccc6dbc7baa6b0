"""Adversarial losses: what discriminator and generator minimise, given the discriminator's outputs.

Let l(x) be the discriminator's output before any squashing, D(x) = sigmoid(l(x)), x real and G(z) generated. With log D = -softplus(-l) and
log(1 - D) = -softplus(l), no probability is ever formed, let alone clipped:

    minimax          D:  E[-log D(x)] + E[-log(1 - D(G(z)))]     G:  E[log(1 - D(G(z)))]      Goodfellow et al. 2014, equation 1
    non-saturating   D:  the same                                G:  E[-log D(G(z))]          Goodfellow et al. 2014, section 3
    least squares    D:  E[(l(x) - 1)^2]/2 + E[l(G(z))^2]/2      G:  E[(l(G(z)) - 1)^2]/2     Mao et al. 2017, equation 9
    reverse KL       D:  E[exp -l(x)] + E[l(G(z))] - 1           G:  -E[l(G(z))]              Nowozin et al. 2016, table 2
    Wasserstein      D:  E[l(G(z))] - E[l(x)]                    G:  -E[l(G(z))]              Arjovsky et al. 2017, equation 2

The first two have the same fixed point, and gradients with respect to l(G(z)) of size D(G(z)) and 1 - D(G(z)): against a strong
discriminator the first vanishes, the second does not.

The reverse KL is one f-GAN: with p the data's density and q the generator's, for any l, 1 - E_p[exp -l] - E_q[l] <= KL(q || p), with
equality for l = log p/q. D raises this lower bound, G lowers it; so D(x) = p/(p + q) at its best, as for the first two. (In the other KL
the exponential is taken of l at G(z), which G itself drives up: it overflows in practice.)

In the Wasserstein loss D is a *critic*. Over all functions whose slope is nowhere above 1, E[l(x)] - E[l(G(z))] is at most W1(p, q), and
reaches it. What keeps the critic among them is either a bound on its weights, |w| <= c after every step (Arjovsky et al. 2017, algorithm
1; the slope's bound is then some K that depends on c and the network), or a penalty on slopes other than 1 (`gradient_penalty`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import minigen.ops as ops
from minigen.engine import Tensor, TensorLike, grad, no_grad
from minigen.random import Generator

if TYPE_CHECKING:
    from jaxtyping import Float


@dataclass(frozen=True)
class AdversarialLoss:
    """The losses of the two players, and how to read the discriminator's output.

    Attributes:
        name: as the command line has it.
        discriminator: maps the outputs on real and on generated examples, each (N, ...), to D's loss, a scalar.
        generator: maps the outputs on generated examples to G's loss, a scalar.
        is_probability: whether sigmoid of the output estimates the probability that an example is real.
        equilibrium: the losses (of D, of G) where p_g = p_data and D is optimal; None where l may have any constant added.
        weight_bound: c, the largest weight that a critic may have; None for no bound.
        penalty: lambda, the weight of `gradient_penalty` in D's loss; 0 for none.

    Example:
        >>> from dataclasses import replace
        >>> replace(adversarial("wasserstein-gp"), penalty=1.0).penalty
        1.0
    """

    name: str
    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]
    is_probability: bool
    equilibrium: tuple[float, float | None]
    weight_bound: float | None = None
    penalty: float = 0.0


def cross_entropy_discriminator(real: Float[Tensor, "..."], fake: Float[Tensor, "..."]) -> Float[Tensor, ""]:
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


def minimax_generator(fake: Float[Tensor, "..."]) -> Float[Tensor, ""]:
    """Return E[log(1 - D(G(z)))], from logits.

    Example:
        >>> import minigen as mg
        >>> round(minimax_generator(mg.zeros(2)).item(), 4)
        -0.6931
    """
    return -ops.mean(ops.softplus(fake))


def nonsaturating_generator(fake: Float[Tensor, "..."]) -> Float[Tensor, ""]:
    """Return E[-log D(G(z))], from logits.

    Example:
        >>> import minigen as mg
        >>> round(nonsaturating_generator(mg.zeros(2)).item(), 4)
        0.6931
    """
    return ops.mean(ops.softplus(-fake))


def least_squares_discriminator(real: Float[Tensor, "..."], fake: Float[Tensor, "..."]) -> Float[Tensor, ""]:
    """Return E[(l(x) - 1)^2]/2 + E[l(G(z))^2]/2.

    Example:
        >>> import minigen as mg
        >>> least_squares_discriminator(mg.ones(2), mg.ones(2)).item()
        0.5
    """
    miss = real - 1.0
    return 0.5 * (ops.mean(miss * miss) + ops.mean(fake * fake))


def least_squares_generator(fake: Float[Tensor, "..."]) -> Float[Tensor, ""]:
    """Return E[(l(G(z)) - 1)^2]/2.

    Example:
        >>> import minigen as mg
        >>> least_squares_generator(mg.zeros(2)).item()
        0.5
    """
    miss = fake - 1.0
    return 0.5 * ops.mean(miss * miss)


def reverse_kl_discriminator(real: Float[Tensor, "..."], fake: Float[Tensor, "..."]) -> Float[Tensor, ""]:
    """Return E[exp -l(x)] + E[l(G(z))] - 1, whose least value over l is -KL(p_g || p_data).

    Example:
        >>> import minigen as mg
        >>> reverse_kl_discriminator(mg.zeros(2), mg.zeros(2)).item()
        0.0
    """
    return ops.mean(ops.exp(-real)) + ops.mean(fake) - 1.0


def wasserstein_discriminator(real: Float[Tensor, "..."], fake: Float[Tensor, "..."]) -> Float[Tensor, ""]:
    """Return E[l(G(z))] - E[l(x)], minus what the critic takes for the distance.

    Example:
        >>> import minigen as mg
        >>> wasserstein_discriminator(mg.ones(2), mg.zeros(2)).item()
        -1.0
    """
    return ops.mean(fake) - ops.mean(real)


def raise_score_generator(fake: Float[Tensor, "..."]) -> Float[Tensor, ""]:
    """Return -E[l(G(z))].

    Example:
        >>> import minigen as mg
        >>> raise_score_generator(mg.ones(2)).item()
        -1.0
    """
    return -ops.mean(fake)


def gradient_penalty(
    critic: Callable[[Float[Tensor, "N ..."]], Float[Tensor, "N 1"]],
    real: Float[TensorLike, "N *features"],
    fake: Float[TensorLike, "N *features"],
    *,
    rng: Generator,
) -> Float[Tensor, ""]:
    """Return E[(|grad l(y)| - 1)^2] at points y between real and generated examples (Gulrajani et al. 2017, equation 3).

        y = e x + (1 - e) G(z),   e ~ U[0, 1], one number for each example

    The norm is Euclidean, over all features of an example. A critic that is optimal without the penalty has slope 1 almost everywhere on
    such lines (their proposition 1). The gradient is itself differentiated when D learns, so it is computed with its graph. With the
    penalty the critic's optimum lies a little above W1, by more the smaller its weight.

    Args:
        critic: maps (N, ...) to one number for each example, (N, 1); no example's number may depend on another's, as batch
            normalization would have it.
        real: (N, ...).
        fake: the same shape.
        rng: draws e.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> import minigen as mg
        >>> x = mg.ones((4, 2))
        >>> gradient_penalty(lambda y: 2.0 * y[:, :1], x, x, rng=Generator(0)).item()
        1.0
    """
    if real.shape != fake.shape:
        raise ValueError(
            f"gradient_penalty: real examples have shape {real.shape}, generated ones {fake.shape}; expected the same number and features"
        )
    share = rng.uniform((len(real), *(1 for _ in real.shape[1:])))  # (N, 1, ..., 1)
    with no_grad():
        between = ops.multiply(share, real) + ops.multiply(1.0 - share, fake)
    y = ops.tensor(between, requires_grad=True)
    slope = grad(ops.sum(critic(y)), y, create_graph=True)
    miss = ops.norm(slope.reshape(len(real), -1), axis=1) - 1.0  # (N,)
    return ops.mean(miss * miss)


LOG_2, LOG_4 = math.log(2), math.log(4)

ADVERSARIAL = {
    loss.name: loss
    for loss in (
        AdversarialLoss("nonsaturating", cross_entropy_discriminator, nonsaturating_generator, True, (LOG_4, LOG_2)),
        AdversarialLoss("minimax", cross_entropy_discriminator, minimax_generator, True, (LOG_4, -LOG_2)),
        AdversarialLoss("least-squares", least_squares_discriminator, least_squares_generator, False, (0.25, 0.125)),
        AdversarialLoss("reverse-kl", reverse_kl_discriminator, raise_score_generator, True, (0.0, 0.0)),
        AdversarialLoss(
            "wasserstein", wasserstein_discriminator, raise_score_generator, False, (0.0, None), weight_bound=0.01
        ),
        AdversarialLoss(
            "wasserstein-gp", wasserstein_discriminator, raise_score_generator, False, (0.0, None), penalty=10.0
        ),
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
