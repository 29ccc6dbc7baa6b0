"""The exponential moving average of a model's weights.

    average <- d_t average + (1 - d_t) theta,   d_t = min(decay, (1 + t) / (10 + t)),   t = 0, 1, 2, ...

A GAN's weights circle around an equilibrium; their average lies nearer to it (Yazici et al. 2019). The warm-up, d_t, keeps the
random initial weights from lingering. Only parameters are averaged: buffers, such as running statistics and counters, are the
model's own.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from minigen import kernels
from minigen.backend import to_device
from minigen.nn import check_state
from minigen.optim.optimizers import Optimizer


class EMA:
    """Averages the parameters of an optimizer, one vector operation a step.

    Args:
        optimizer: whose parameters are averaged.
        decay: the largest d_t.

    Attributes:
        average: the averaged parameters, laid out as the optimizer's arena.
        steps: the number of updates so far, t.

    Example:
        >>> import minigen as mg
        >>> from minigen.nn import Parameter
        >>> from minigen.optim import SGD
        >>> w = Parameter(mg.tensor([1.0]).data)
        >>> optimizer = SGD({"w": w}, learning_rate=1.0)
        >>> average = EMA(optimizer, decay=0.9)
        >>> w.assign(mg.tensor([2.0]).data)
        >>> average.update()
        >>> with average.applied():
        ...     print(round(w.item(), 3))
        1.9
        >>> w.item()
        2.0
    """

    def __init__(self, optimizer: Optimizer, *, decay: float = 0.999) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"EMA: decay = {decay} must lie in [0, 1)")
        self.arena = optimizer.arena
        self.decay = decay
        self.average = self.arena.zeros()
        self.average += self.arena.values
        self.steps = 0

    def update(self) -> None:
        """Move the average towards the current parameters."""
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        kernels.lerp(self.average, self.arena.values, weight=1 - decay)
        self.steps += 1

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Inside the block the model has the averaged parameters; afterwards its own, bitwise."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        values = self.arena.values.copy()
        self.arena.values[...] = self.average
        self.average[...] = values
        for parameter in self.arena.parameters.values():
            parameter.mark_written()

    def state(self) -> dict[str, Any]:
        """Return the averages under "<parameter>.average", and the number of updates."""
        averages = {f"{name}.average": view for name, view in self.arena.views(self.average).items()}
        return {**averages, "steps": self.steps}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take over a state that `state()` returned.

        Raises:
            ValueError: names, shapes or dtypes differ; all differences are listed, and nothing has been changed.
        """
        own = self.state()
        check_state(own, state, what="EMA")
        for name, value in own.items():
            if hasattr(value, "shape"):
                value[...] = to_device(state[name], self.arena.device)
        self.steps = state["steps"]
