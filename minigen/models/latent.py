"""Walks through a latent space: from one code to another, and from a spoiled image to a whole one.

Between codes a and b whose directions u = a/|a| and v = b/|b| are at an angle w, for t from 0 to 1,

    straight      (1 - t) a + t b
    spherical     ((1 - t)|a| + t |b|) (sin((1 - t) w) u + sin(t w) v) / sin w        Shoemake 1985, "Animating rotation", section 3.3;
                                                                                     White 2016, "Sampling generative networks"

In d dimensions nearly all of N(0, I) lies about sqrt(d) from the origin, but the middle of a straight line between two draws lies about
sqrt(d/2) from it, where the prior has hardly any mass and a decoder little training. The spherical walk turns, and its length goes from
that of a to that of b. (Put in for u and v, the codes themselves would be thrown far out where w is nearly 180 degrees.)

Missing pixels are filled in by a Markov chain (Rezende, Mohamed & Wierstra 2014, appendix F). With x = (v, h), v the visible pixels,

    repeat:   z ~ q(z | v, h),    h ~ p(h | z)

Its distribution of h comes to p(h | v), as near as q(z|x) is to p(z|x).
"""

from minigen.backend import Array, array_module
from minigen.distributions.distribution import raw
from minigen.engine import no_grad
from minigen.models.vae import VAE
from minigen.random import Generator


def interpolate(a: Array, b: Array, *, steps: int, spherical: bool = False) -> Array:
    """Return codes on the way from a to b, the ends included.

    Args:
        a: codes, (..., d).
        b: as many.
        steps: how many codes are on a way, at least 2.
        spherical: along the great circle, not the straight line. Where there is none, between codes of one direction, between
            opposite ones and from the origin, the way is straight.

    Returns:
        (steps, ..., d).

    Raises:
        ValueError: shapes differ, or fewer than 2 steps.

    Example:
        >>> import numpy as np
        >>> a, b = np.array([1.0, 0.0]), np.array([0.0, 1.0])
        >>> interpolate(a, b, steps=3).round(2).tolist()
        [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]
        >>> interpolate(a, b, steps=3, spherical=True).round(2).tolist()
        [[1.0, 0.0], [0.71, 0.71], [0.0, 1.0]]
    """
    if a.shape != b.shape or steps < 2:
        raise ValueError(
            f"interpolate: from {a.shape} to {b.shape} in {steps} steps; expected one shape, and at least 2 steps"
        )
    module = array_module(a)
    t = module.linspace(0.0, 1.0, steps, dtype=a.dtype).reshape(steps, *[1] * a.ndim)
    straight = (1 - t) * a + t * b
    if not spherical:
        return straight
    length_a, length_b = (module.linalg.norm(code, axis=-1, keepdims=True) for code in (a, b))  # (..., 1)
    least = float(module.finfo(a.dtype).tiny)
    u, v = a / module.maximum(length_a, least), b / module.maximum(length_b, least)
    angle = module.arccos(module.clip((u * v).sum(axis=-1, keepdims=True), -1, 1))  # (..., 1)
    sine = module.sin(angle)
    bent = (sine > 1e-3) & (module.minimum(length_a, length_b) > 0)
    direction = (module.sin((1 - t) * angle) * u + module.sin(t * angle) * v) / module.where(bent, sine, 1)
    return module.where(bent, ((1 - t) * length_a + t * length_b) * direction, straight)


def inpaint(vae: VAE, images: Array, visible: Array, *, steps: int, rng: Generator) -> Array:
    """Fill in the missing pixels of images by the Markov chain of this file.

    Args:
        vae: a trained model whose encoder sees images.
        images: (N, H, W, C); what the missing pixels hold is not looked at.
        visible: whether a pixel is to be kept, bool, broadcastable to the images.
        steps: of the chain, at least 1. It starts with noise at the missing pixels.
        rng: draws z and the pixels, on the device of the images.

    Returns:
        (N, H, W, C): the images, with E[h|z] of the last step at the missing pixels: what pictures show, free of the pixels' own noise.

    Raises:
        ValueError: fewer than 1 step.

    Example:
        >>> import numpy as np
        >>> from minigen.models import mlp_vae
        >>> vae = mlp_vae(size=(8, 8, 1), hidden=(32,), latent=2, rng=Generator(0))
        >>> lower_half_missing = (np.arange(8) < 4)[:, None, None]  # (H, 1, 1)
        >>> inpaint(vae, np.ones((3, 8, 8, 1), "float32"), lower_half_missing, steps=5, rng=Generator(1))[0, :4].min()
        np.float32(1.0)
    """
    if steps < 1:
        raise ValueError(f"inpaint: steps = {steps} must be at least 1")
    module = array_module(images)
    filled = module.where(visible, images, rng.bernoulli(0.5, images.shape))
    with no_grad():
        for step in range(steps):
            z, _ = vae.posterior(filled).rsample(1, rng=rng)  # (1, N, d)
            p = vae.decode(z[0])
            last = step == steps - 1
            filled = module.where(visible, images, raw(p.mean) if last else p.sample(rng=rng))
    return filled
