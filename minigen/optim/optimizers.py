"""The optimizers. Each takes a step over its whole arena in one fused kernel (`minigen.kernels`), which holds the arithmetic.

With theta the parameters, g the gradient, eta the learning rate and t the step, counted from 1:

    SGD        u <- mu u + g;  theta <- theta - eta u                    (Nesterov: theta <- theta - eta (g + mu u))
    RMSProp    v <- rho v + (1 - rho) g^2;  theta <- theta - eta g / (sqrt(v) + eps)                     Tieleman & Hinton 2012
    Adam       m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2
               theta <- theta - eta (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)                      Kingma & Ba 2015
    AdamW      theta <- theta - eta lambda theta first, and then as Adam                                 Loshchilov & Hutter 2019

In the first three, weight decay lambda adds lambda theta to the gradient. A parameter without a gradient is left alone, moments and all:
its own t does not count that step. The trajectories are those of PyTorch's optimizers.
"""

import math
from collections.abc import Mapping
from typing import Any

from minigen import kernels
from minigen.backend import Array, array_module, to_device
from minigen.nn import check_state, check_whole
from minigen.optim.arena import Arena, Parameters
from minigen.optim.schedules import Schedule, constant


class Optimizer:
    """What all optimizers share: the arena, the learning rate, clipping, and the state.

    Copy or pickle an optimizer together with its network, `copy.deepcopy((net, optimizer))`: the copy then trains the copied network.
    A copy that is made without the network has parameters that no network has, and refuses to step.

    Args:
        parameters: a Module, a list of parameters such as `net.parameters()`, or a dict of them by name.
        learning_rate: a number, or a schedule.

    Attributes:
        arena: the parameters and gradients as vectors.
        steps: the number of calls of `step` so far.
    """

    MOMENTS: tuple[str, ...] = ()

    def __init__(self, parameters: Parameters, *, learning_rate: float | Schedule) -> None:
        if not callable(learning_rate) and not 0 <= learning_rate < math.inf:
            raise ValueError(
                f"{type(self).__name__}: learning_rate is {learning_rate}, expected a number of at least 0; to ascend, step along -loss"
            )
        self.arena = Arena(parameters)
        self.schedule = learning_rate if callable(learning_rate) else constant(learning_rate)
        self.steps = 0
        self.counts = [0] * len(self.arena.parameters)  # the updates of each parameter
        self.moments = {name: self.arena.zeros() for name in self.MOMENTS}

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next step."""
        return float(self.schedule(self.steps))

    def zero_grad(self) -> None:
        """Forget all gradients: every `.grad` is None until the next backward.

        A Tensor `w.grad` that is held elsewhere keeps its values. An array `w.grad.data` does not, since the next gradient is written
        into the same memory: hold `w.grad.data.copy()`.
        """
        for parameter in self.arena.parameters.values():
            parameter.grad = None

    def step(self) -> None:
        """Update every parameter that has a gradient, and raise its version.

        It starts from the values and gradients that were assigned, `w.data = array` and `w.grad = tensor`.

        Raises:
            RuntimeError: the model has the weights of an average, or this is a copy whose network was not copied with it.
            ValueError: what was assigned does not fit.
        """
        self._check_steppable("step()")
        rate = self.learning_rate
        parameters = list(self.arena.parameters.values())
        values, gradients = self.arena.gather()
        for run, positions in list(self.arena.written(self.counts)):
            moments = [moment[run] for moment in self.moments.values()]
            count = self.counts[positions[0]] + 1
            self._update(values[run], gradients[run], *moments, rate=rate, count=count)
            for position in positions:
                self.counts[position] = count
                parameters[position].mark_written()
        self.steps += 1

    def _check_steppable(self, caller: str) -> None:
        self.arena.check_own(f"{type(self).__name__}.{caller}")
        self.arena.check_held(f"{type(self).__name__}.{caller}")

    def _update(self, values: Array, gradients: Array, *moments: Array, rate: float, count: int) -> None:
        """Update a run of values in place. `count` is 1 at the first update."""
        raise NotImplementedError

    def gradient_norm(self) -> Array:
        """Return the Euclidean norm of all gradients together, a 0-d array that stays on the device; no square overflows or vanishes."""
        gradients = self.arena.gradients
        zero = array_module(gradients).zeros(1, gradients.dtype)  # the norm where there are no gradients
        norms = [kernels.norm(part, axes=(0,)) for part in self.arena.written_gradients()]
        return kernels.norm(array_module(zero).concatenate([zero, *norms]), axes=(0,)).reshape(())

    def clip_gradients(self, maximum: float) -> Array:
        """Scale all gradients by one factor so that their norm is at most `maximum`; return the norm before.

        Args:
            maximum: the largest norm allowed (Pascanu et al. 2013).
        """
        norm = self.gradient_norm()
        factor = array_module(norm).minimum(1.0, maximum / (norm + 1e-6)).astype(norm.dtype)
        for part in self.arena.written_gradients():
            part *= factor
        return norm

    def clip_values(self, bound: float) -> None:
        """Put every parameter beyond [-bound, bound] back to the nearer end.

        Args:
            bound: c, above 0, as in Arjovsky et al. 2017, algorithm 1.

        Raises:
            RuntimeError: as for `step`.
        """
        self._check_steppable("clip_values()")
        values = self.arena.values
        array_module(values).clip(values, -bound, bound, out=values)
        for parameter in self.arena.parameters.values():
            parameter.mark_written()

    def state(self) -> dict[str, Any]:
        """Return the moments as arrays under "<parameter>.<moment>", and the counts as plain numbers.

        Raises:
            RuntimeError: the model has the weights of an average, to which the moments do not belong.
        """
        self.arena.check_own(f"{type(self).__name__}.state()")
        moments = {
            f"{name}.{moment}": view
            for moment, vector in self.moments.items()
            for name, view in self.arena.views(vector).items()
        }
        return {**moments, "steps": self.steps, "counts": list(self.counts)}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take over a state that `state()` returned.

        Raises:
            ValueError: names, shapes or dtypes differ; all differences are listed, and nothing has been changed.
        """
        own = self.state()
        called = type(self).__name__
        check_state(own, state, what=called)
        steps, counts = check_whole(state["steps"], f"{called}: steps"), list(state["counts"])
        if len(counts) != len(self.counts):
            raise ValueError(
                f"{called}: the state has counts of updates for {len(counts)} parameters, but there are {len(self.counts)}: "
                f"{', '.join(self.arena.parameters)}; it was saved for another model"
            )
        for name, count in zip(self.arena.parameters, counts, strict=True):
            check_whole(count, f"{called}: the count of {name!r}", most=steps)
        for name, value in own.items():
            if hasattr(value, "shape"):
                value[...] = to_device(state[name], self.arena.device)
        self.steps, self.counts = steps, counts

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.counts = list(self.counts)  # so that a shallow copy shares only the parameters
        self.moments = {name: self.arena.aligned(vector) for name, vector in self.moments.items()}


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum mu.

    Args:
        parameters: a Module, a list of parameters such as `net.parameters()`, or a dict of them by name.
        learning_rate: eta, or a schedule.
        momentum: mu; 0 for none.
        nesterov: look ahead (Sutskever et al. 2013); needs momentum.
        weight_decay: lambda.

    Example:
        >>> import minigen as mg
        >>> w = mg.nn.Parameter(mg.tensor([1.0]).data)
        >>> optimizer = SGD({"w": w}, learning_rate=0.25)
        >>> mg.sum(w * w).backward()
        >>> optimizer.step()
        >>> w.data
        array([0.5], dtype=float32)
    """

    def __init__(
        self,
        parameters: Parameters,
        *,
        learning_rate: float | Schedule,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        if nesterov and momentum == 0:
            raise ValueError("SGD: nesterov needs a momentum above 0")
        self.MOMENTS = ("velocity",) if momentum else ()
        super().__init__(parameters, learning_rate=learning_rate)
        self.momentum, self.nesterov, self.weight_decay = momentum, nesterov, weight_decay

    def _update(self, values: Array, gradients: Array, *moments: Array, rate: float, count: int) -> None:
        kernels.sgd_step(
            values,
            gradients,
            moments[0] if moments else None,
            learning_rate=rate,
            momentum=self.momentum,
            nesterov=self.nesterov,
            weight_decay=self.weight_decay,
            first=count == 1,
        )


class RMSProp(Optimizer):
    """Gradients divided by the root of their running mean square.

    Args:
        parameters: a Module, a list of parameters such as `net.parameters()`, or a dict of them by name.
        learning_rate: eta, or a schedule.
        decay: rho.
        epsilon: eps.
        weight_decay: lambda.

    Example:
        >>> import minigen as mg
        >>> w = mg.nn.Parameter(mg.tensor([1.0]).data)
        >>> optimizer = RMSProp({"w": w}, learning_rate=0.1)
        >>> mg.sum(w * w).backward()
        >>> optimizer.step()
        >>> w.data.round(4)
        array([0.], dtype=float32)
    """

    MOMENTS = ("square_average",)

    def __init__(
        self,
        parameters: Parameters,
        *,
        learning_rate: float | Schedule,
        decay: float = 0.99,
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        if epsilon <= 0:
            raise ValueError(
                f"RMSProp: epsilon = {epsilon} must be above 0: where a gradient has always been 0, it is the whole denominator"
            )
        super().__init__(parameters, learning_rate=learning_rate)
        self.decay, self.epsilon, self.weight_decay = decay, epsilon, weight_decay

    def _update(self, values: Array, gradients: Array, *moments: Array, rate: float, count: int) -> None:
        kernels.rmsprop_step(
            values,
            gradients,
            *moments,
            learning_rate=rate,
            decay=self.decay,
            epsilon=self.epsilon,
            weight_decay=self.weight_decay,
        )


class Adam(Optimizer):
    """Steps from the running mean and mean square of the gradient, both corrected for their start at 0.

    Args:
        parameters: a Module, a list of parameters such as `net.parameters()`, or a dict of them by name.
        learning_rate: eta, or a schedule.
        beta1: b1.
        beta2: b2.
        epsilon: eps.
        weight_decay: lambda, added to the gradient.

    Example:
        >>> import minigen as mg
        >>> w = mg.nn.Parameter(mg.tensor([1.0]).data)
        >>> optimizer = Adam({"w": w}, learning_rate=0.5)
        >>> mg.sum(w * w).backward()
        >>> optimizer.step()
        >>> w.data.round(4)
        array([0.5], dtype=float32)
    """

    MOMENTS = ("first_moment", "second_moment")
    DECOUPLED = False

    def __init__(
        self,
        parameters: Parameters,
        *,
        learning_rate: float | Schedule = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        for name, beta in (("beta1", beta1), ("beta2", beta2)):
            if not 0 <= beta < 1:
                raise ValueError(f"{type(self).__name__}: {name} = {beta} must lie in [0, 1)")
        super().__init__(parameters, learning_rate=learning_rate)
        self.beta1, self.beta2, self.epsilon, self.weight_decay = beta1, beta2, epsilon, weight_decay

    def _update(self, values: Array, gradients: Array, *moments: Array, rate: float, count: int) -> None:
        kernels.adam_step(
            values,
            gradients,
            *moments,
            learning_rate=rate,
            beta1=self.beta1,
            beta2=self.beta2,
            epsilon=self.epsilon,
            weight_decay=self.weight_decay,
            decoupled=self.DECOUPLED,
            step=count,
        )


class AdamW(Adam):
    """Adam with decoupled weight decay: parameters shrink by eta lambda at each step, whatever their gradient.

    Args:
        parameters: a Module, a list of parameters such as `net.parameters()`, or a dict of them by name.
        learning_rate: eta, or a schedule.
        beta1: b1.
        beta2: b2.
        epsilon: eps.
        weight_decay: lambda.

    Example:
        >>> import minigen as mg
        >>> w = mg.nn.Parameter(mg.tensor([1.0]).data)
        >>> optimizer = AdamW({"w": w}, learning_rate=0.5, weight_decay=0.1)
        >>> mg.sum(w * w).backward()
        >>> optimizer.step()
        >>> w.data.round(4)
        array([0.45], dtype=float32)
    """

    DECOUPLED = True

    def __init__(
        self,
        parameters: Parameters,
        *,
        learning_rate: float | Schedule = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(
            parameters,
            learning_rate=learning_rate,
            beta1=beta1,
            beta2=beta2,
            epsilon=epsilon,
            weight_decay=weight_decay,
        )
