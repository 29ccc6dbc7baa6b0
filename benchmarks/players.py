"""A training step, the same for every model: each player in turn computes its loss and its gradient, and Adam moves its parameters."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import harness

from minigen.optim import Adam

ADAMS = {"for-loop": {"foreach": False}, "foreach": {"foreach": True}, "fused": {"fused": True}}
"""PyTorch's implementations of Adam."""


class Player(NamedTuple):
    """A network, of minigen or of PyTorch, and its loss on the batch. A model by itself is the only player."""

    net: Any
    loss: Callable[[], Any]
    betas: tuple[float, float] = (0.9, 0.999)


def minigen_step(players: Sequence[Player]) -> harness.Work:
    """Return a step of minigen."""
    turns = [
        (Adam(net, learning_rate=1e-3, beta1=betas[0], beta2=betas[1]), net.parameters(), loss)
        for net, loss, betas in players
    ]
    return step(turns)


def torch_step(torch: Any, players: Sequence[Player], adam: str) -> harness.Work:
    """Return the same step in PyTorch, with one of `ADAMS`."""
    turns = []
    for net, loss, betas in players:
        parameters = list(net.parameters())
        turns.append((torch.optim.Adam(parameters, lr=1e-3, betas=betas, **ADAMS[adam]), parameters, loss))
    return step(turns)


def step(turns: Sequence[tuple[Any, list[Any], Callable[[], Any]]]) -> harness.Work:
    """Return the step of optimizers, parameters and losses: in both libraries it is written alike."""

    def run() -> None:
        for optimizer, parameters, loss in turns:
            optimizer.zero_grad()
            loss().backward(inputs=parameters)
            optimizer.step()

    return run
