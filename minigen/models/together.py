"""Models that learn side by side from the same batches, to be compared: in one run, with one checkpoint.

The loss is the sum of theirs, so the gradient of each model's parameters is that of its own loss, and each learns as it would alone.
"""

from typing import Any

from minigen import nn
from minigen.engine import Tensor
from minigen.random import Generator


class Together(nn.Module):
    """Several models as one.

    Args:
        **models: by name; each has `loss(batch, rng=...)`, and no two share parameters.

    Attributes:
        models: the same, a dict.

    Example:
        >>> import numpy as np
        >>> from minigen.models import mlp_vae
        >>> settings = {"size": (8, 8, 1), "hidden": (16,), "rng": Generator(0)}
        >>> both = Together(small=mlp_vae(latent=2, **settings), large=mlp_vae(latent=8, **settings))
        >>> loss, terms = both.loss(np.zeros((5, 8, 8, 1), "float32"), rng=Generator(1))
        >>> bool(abs(loss.item() - terms["small_loss"].item() - terms["large_loss"].item()) < 1e-3)
        True
    """

    def __init__(self, **models: Any) -> None:
        self.models = models

    def loss(self, batch: Any, *, rng: Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the sum of the losses, and the terms of each, named after the model and the term.

        Args:
            batch: what every model takes; or a dict of what each takes, by the models' names.
            rng: draws what the losses need, for one model after the other.
        """
        total: Any = None
        terms: dict[str, Tensor] = {}
        for name, model in self.models.items():
            loss, own_terms = model.loss(batch[name] if isinstance(batch, dict) else batch, rng=rng)
            total = loss if total is None else total + loss
            terms |= {f"{name}_{term}": value for term, value in own_terms.items()}
        return total, terms
