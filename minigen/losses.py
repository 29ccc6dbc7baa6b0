"""Adversarial losses: what discriminator and generator minimise, given the discriminator's outputs.

Let l(x) be the discriminator's output before any squashing, D(x) = sigmoid(l(x)), x real and G(z) generated. With log D = -softplus(-l) and
log(1 - D) = -softplus(l), no probability is ever formed, let alone clipped:

    minimax          D:  E[-log D(x)] + E[-log(1 - D(G(z)))]     G:  E[log(1 - D(G(z)))]      Goodfellow et al. 2014, equation 1
    non-saturating   D:  the same                                G:  E[-log D(G(z))]          Goodfellow et al. 2014, section 3
    least squares    D:  E[(l(x) - 1)^2]/2 + E[l(G(z))^2]/2      G:  E[(l(G(z)) - 1)^2]/2     Mao et al. 2017, equation 9
    hinge            D:  E[max(0, 1 - l(x))]                     G:  -E[l(G(z))]              Lim & Ye 2017; Miyato et al. 2018,
                         + E[max(0, 1 + l(G(z)))]                                             equations 16 and 17
    reverse KL       D:  E[exp -l(x)] + E[l(G(z))] - 1           G:  -E[l(G(z))]              Nowozin et al. 2016, table 2
    Wasserstein      D:  E[l(G(z))] - E[l(x)]                    G:  -E[l(G(z))]              Arjovsky et al. 2017, equation 2

The first two have the same fixed point, and gradients with respect to l(G(z)) of size D(G(z)) and 1 - D(G(z)): against a strong
discriminator the first vanishes, the second does not.

The hinge loss minds a score only as long as it is not clearly on its own side. With p the data's density and q the generator's, the best
score is the sign of p - q, and D's loss is then 2 (1 - TV(p, q)), TV = integral of |p - q| / 2 the total variation distance.

The reverse KL is one f-GAN: with p the data's density and q the generator's, for any l, 1 - E_p[exp -l] - E_q[l] <= KL(q || p), with
equality for l = log p/q. D raises this lower bound, G lowers it; so D(x) = p/(p + q) at its best, as for the first two. (In the other KL
the exponential is taken of l at G(z), which G itself drives up: it overflows in practice.)

*One-sided label smoothing* (Salimans et al. 2016, section 3.4) gives real examples the target s, such as 0.9, in place of 1:

    D:  E[-s log D(x) - (1 - s) log(1 - D(x))] + E[-log(1 - D(G(z)))]         so the best D is s p/(p + q)

Smoothing the other side as well would put q into the numerator, and reward G for staying where it is. See `smoothed`.

In the Wasserstein loss D is a *critic*. Over all functions whose slope is nowhere above 1, E[l(x)] - E[l(G(z))] is at most W1(p, q), and
reaches it. What keeps the critic among them is either a bound on its weights, |w| <= c after every step (Arjovsky et al. 2017, algorithm
1; the slope's bound is then some K that depends on c and the network), or a penalty on slopes other than 1 (`gradient_penalty`).

Any discriminator may have the penalty R1 on its slope at real examples, gamma/2 E[|grad l(x)|^2] (`r1_penalty`), without which training can
circle around the equilibrium for ever (Mescheder et al. 2018, "Which Training Methods for GANs do actually Converge?", section 4.1).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import minigen.ops as ops
from minigen.engine import Tensor, TensorLike, grad, no_grad
from minigen.random import Generator
from minigen.sizes import counts

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
        r1: gamma, twice the weight of `r1_penalty` in D's loss; 0 for none.
        r1_every: the rounds to one in which R1 is computed. Above 1, R1 is a turn of its own in every n-th round, with n times the weight
            (Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN", appendix B), which saves most of its cost.

    Raises:
        ValueError: a weight is negative, or a number below 1.

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
    r1: float = 0.0
    r1_every: int = 1

    def __post_init__(self) -> None:
        for setting, value in {"penalty": self.penalty, "r1": self.r1}.items():
            if not 0 <= value < math.inf:
                raise ValueError(f"adversarial loss {self.name}: {setting} is {value}, expected a weight of at least 0")
        if self.weight_bound is not None and not 0 < self.weight_bound < math.inf:
            raise ValueError(
                f"adversarial loss {self.name}: weight_bound is {self.weight_bound}, expected a number above 0, or None"
            )
        counts(f"adversarial loss {self.name}", r1_every=self.r1_every)


def cross_entropy_discriminator(
    real: Float[Tensor, "..."], fake: Float[Tensor, "..."], *, target: float = 1.0
) -> Float[Tensor, ""]:
    """Return E[-log D(x)] + E[-log(1 - D(G(z)))], from logits.

    Args:
        real: logits l(x), any shape.
        fake: logits l(G(z)), any shape.
        target: s, the label of real examples; below 1, it is smoothed.

    Example:
        >>> import minigen as mg
        >>> round(cross_entropy_discriminator(mg.zeros(2), mg.zeros(2)).item(), 4) == round(math.log(4), 4)
        True
    """
    loss = ops.mean(ops.softplus(-real)) + ops.mean(ops.softplus(fake))
    return loss if target == 1 else loss + (1 - target) * ops.mean(real)  # softplus(l) = softplus(-l) + l


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


def least_squares_discriminator(
    real: Float[Tensor, "..."], fake: Float[Tensor, "..."], *, target: float = 1.0
) -> Float[Tensor, ""]:
    """Return E[(l(x) - s)^2]/2 + E[l(G(z))^2]/2, s the target, 1 unless real labels are smoothed.

    Example:
        >>> import minigen as mg
        >>> least_squares_discriminator(mg.ones(2), mg.ones(2)).item()
        0.5
    """
    miss = real - target
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


def hinge_discriminator(real: Float[Tensor, "..."], fake: Float[Tensor, "..."]) -> Float[Tensor, ""]:
    """Return E[max(0, 1 - l(x))] + E[max(0, 1 + l(G(z)))], whose least value over l is 2 (1 - TV(p_data, p_g)).

    The gradient is 0 where a score is exactly 1 or -1, as relu's is at 0.

    Example:
        >>> import minigen as mg
        >>> hinge_discriminator(mg.tensor([2.0, 0.5]), mg.tensor([-3.0, 0.0])).item()  # (0 + 0.5)/2 + (0 + 1)/2
        0.75
    """
    return ops.mean(ops.relu(1.0 - real)) + ops.mean(ops.relu(1.0 + fake))


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


def r1_penalty(
    discriminator: Callable[[Float[Tensor, "N ..."]], Float[Tensor, "N ..."]], real: Float[TensorLike, "N *features"]
) -> Float[Tensor, ""]:
    """Return E[|grad l(x)|^2] at real examples, R1 without its weight gamma/2 (Mescheder et al. 2018, equation 9).

    At the equilibrium, where the generator's examples are as the data, l should be flat at the data; a slope that stays there drives the
    generator on, and around it. The gradient is itself differentiated when D learns, so it is computed with its graph.

    Args:
        discriminator: maps (N, ...) to scores; no example's may depend on another's, as batch normalization would have it.
        real: (N, ...).

    Example:
        >>> import minigen as mg
        >>> r1_penalty(lambda x: 3.0 * x[:, :1], mg.ones((4, 2))).item()
        9.0
    """
    x = ops.tensor(real.data if isinstance(real, Tensor) else real, requires_grad=True)
    slope = grad(ops.sum(discriminator(x)), x, create_graph=True)
    return ops.sum(slope * slope) / len(real)


LOG_2, LOG_4 = math.log(2), math.log(4)

ADVERSARIAL = {
    loss.name: loss
    for loss in (
        AdversarialLoss("nonsaturating", cross_entropy_discriminator, nonsaturating_generator, True, (LOG_4, LOG_2)),
        AdversarialLoss("minimax", cross_entropy_discriminator, minimax_generator, True, (LOG_4, -LOG_2)),
        AdversarialLoss("least-squares", least_squares_discriminator, least_squares_generator, False, (0.25, 0.125)),
        AdversarialLoss("hinge", hinge_discriminator, raise_score_generator, False, (2.0, None)),
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


def smoothed(loss: AdversarialLoss, target: float) -> AdversarialLoss:
    """Return a loss with one-sided label smoothing: the target of real examples is `target` in place of 1.

    Args:
        loss: nonsaturating, minimax or least-squares, the losses that have targets.
        target: s, above 0, at most 1.

    Raises:
        ValueError: the loss has no target, or s is out of range.

    Example:
        >>> smoothed(adversarial("least-squares"), 0.5).discriminator(ops.ones(2), ops.zeros(2)).item()  # 0.5^2 / 2
        0.125
    """
    if loss.name not in ("nonsaturating", "minimax", "least-squares"):
        raise ValueError(
            f"label smoothing: the loss {loss.name} compares its scores with no target; nonsaturating, minimax and least-squares do"
        )
    if not 0 < target <= 1:
        raise ValueError(f"label smoothing: the target of real examples is {target}, expected a number in (0, 1]")
    half = target / 2  # D at its best where p_g = p_data
    if loss.name == "least-squares":
        equilibrium = (half * half, 0.5 * (1 - half) ** 2)
    else:
        of_d = -target * math.log(half) - (2 - target) * math.log1p(-half)
        equilibrium = (of_d, -math.log(half) if loss.name == "nonsaturating" else math.log1p(-half))
    discriminator: Callable[..., Tensor] = loss.discriminator
    return replace(loss, discriminator=partial(discriminator, target=target), equilibrium=equilibrium)
