"""Games: players that take turns, each descending on a loss of its own.

In a *round* every turn is played once, in order. A turn moves the parameters of one player; all others stand still in it, although the loss
may depend on them. Algorithm 1 of Goodfellow et al. 2014 is a game of two turns, k of the discriminator's and one of the generator's; a
translator between two sets of images has four players. `training.fit_game` plays any of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from minigen.engine import Tensor
from minigen.nn import Module
from minigen.sizes import counts

Loss = Callable[..., tuple[Tensor, dict[str, Tensor]]]
"""`loss(batch, rng=...)` returns a scalar and named terms of it."""


@dataclass(frozen=True)
class Turn:
    """What one player does in a round.

    Attributes:
        player: its name, which its optimizer has, too.
        network: what it learns; nothing else moves in this turn.
        loss: `loss(batch, rng=...)` returns a scalar, on which it descends, and named terms.
        repeats: how many steps it takes, one after the other.
        every: the turn is played in every n-th round only, the first included.
        draws: whether each of its steps takes a new batch; otherwise it gets the one that was drawn last.
        weight_bound: c, to which its weights are clipped after each step; None for no bound.

    Raises:
        ValueError: repeats or every is below 1.

    Example:
        >>> import minigen as mg
        >>> player = mg.nn.ReLU()
        >>> Turn("critic", player, lambda batch, rng: (mg.mean(player(batch)), {}), repeats=0)
        Traceback (most recent call last):
        ValueError: the turn of critic: repeats 0 and every 1 must be at least 1
    """

    player: str
    network: Module
    loss: Loss
    repeats: int = 1
    every: int = 1
    draws: bool = False
    weight_bound: float | None = None

    def __post_init__(self) -> None:
        counts(f"the turn of {self.player}", repeats=self.repeats, every=self.every)


class Game(Protocol):
    """What `training.fit_game` plays."""

    def turns(self) -> Sequence[Turn]:
        """Return the turns of a round, in order; the first one draws a batch."""
