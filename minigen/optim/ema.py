"""The exponential moving average of a model's weights.

    average <- d_t average + (1 - d_t) theta,   d_t = min(decay, (1 + t) / (10 + t)),   t = 0, 1, 2, ...

A GAN's weights circle around an equilibrium; their average lies nearer to it (Yazici et al. 2019). The warm-up, d_t, keeps the
random initial weights from lingering. Only parameters are averaged: buffers, such as running statistics and counters, are the
model's own.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from minigen import kernels
from minigen.backend import to_device
from minigen.guards import guard
from minigen.nn import check_state, check_whole
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
        optimizer.arena.check_own("EMA")
        self.arena = optimizer.arena
        self.decay = decay
        self.average = self.arena.zeros()
        self.average += self.arena.values
        self.steps = 0

    def update(self) -> None:
        """Move the average towards the current parameters.

        Raises:
            RuntimeError: the parameters have the average's values, or this is a copy whose network was not copied with it.
        """
        self.arena.check_own("EMA.update()")
        self.arena.check_held("EMA.update()")
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        kernels.lerp(self.average, self.arena.values, weight=1 - decay)
        self.steps += 1

    @guard
    def applied(self) -> Iterator[None]:
        """Give the model the averaged parameters inside the block; afterwards it has its own again, bitwise.

        Blocks may be nested and may overlap in threads. Inside, the model may be called, differentiated, copied, and saved by its
        `state()`, which then is the average. Changing its parameters is refused, since its own come back; so is saving or
        copying the optimizer or the average, which belong to the model's own parameters.

        Raises:
            RuntimeError: another average of the same parameters is applied, or this is a copy whose network was not copied with it; and, at
                the end of the block, parameters were overwritten in a way that could not be refused at once, such as `w.data[0] = 1`.
        """
        self.arena.lend(self.average)
        try:
            yield
        except BaseException:
            self.arena.take_back()
            raise
        if not self.arena.take_back():
            raise RuntimeError(
                "EMA.applied(): the model's parameters were overwritten inside the block, where they were those of the average; "
                "its own are back, and what was written is lost: write outside of the block"
            )

    def state(self) -> dict[str, Any]:
        """Return the averages under "<parameter>.average", and the number of updates.

        Raises:
            RuntimeError: the average is applied: what is saved beside it would not be the model's own parameters.
        """
        self.arena.check_own("EMA.state()")
        averages = {f"{name}.average": view for name, view in self.arena.views(self.average).items()}
        return {**averages, "steps": self.steps}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take over a state that `state()` returned.

        Raises:
            ValueError: names, shapes or dtypes differ; all differences are listed, and nothing has been changed.
        """
        own = self.state()
        check_state(own, state, what="EMA")
        steps = check_whole(state["steps"], "EMA: steps")
        for name, value in own.items():
            if hasattr(value, "shape"):
                value[...] = to_device(state[name], self.arena.device)
        self.steps = steps

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.average = self.arena.aligned(self.average)
