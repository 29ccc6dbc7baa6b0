"""What every distribution offers, and how its shapes work.

A distribution object is a whole batch of independent distributions, one for each element of its *batch shape* B, to
which its parameters broadcast. From each, S independent draws are taken:

    sample(S)      S + B          draws
    log_prob(x)    S + B          log p(x) of each element, in nats, for x of a shape that broadcasts against B
    entropy()      B              H = -E[log p(x)], in nats

Which axes are the dimensions of one example is the caller's to say: `joint_log_prob(x, axes=3)` sums over an image's. Where one
draw is itself a vector (`GumbelSoftmax`), or a parameter lists the components of one draw (`NormalMixture`), that last
axis is not part of B.

Parameters are kept as given, and every result is computed from them anew in minigen's operations. So gradients flow to
the parameters and to x, to any order; raw arrays give raw arrays; Python numbers give Python numbers, which widen no
float32.
"""

from typing import Any, ClassVar

import numpy as np

import minigen.ops as ops
from minigen.backend import Array, array_module
from minigen.distributions.scalars import is_number
from minigen.engine import Tensor, TensorLike, no_grad
from minigen.random import Generator, Shape
from minigen.sizes import as_shape


class Distribution:
    """The base class: a subclass hands its parameters to `__init__` and defines what it has in closed form.

    What it does not define raises NotImplementedError, with the reason that it gives in `absent`.

    Args:
        **parameters: Tensors, arrays or Python numbers; their shapes broadcast to the batch shape.

    Attributes:
        batch_shape: B, the shape of one draw from each distribution of the batch.
        dtype: of the parameters and of draws that are not integers; float32 where all parameters are Python numbers.
        absent: by method, why the distribution does not have it.
        category_axes: how many last axes of the parameters are not part of the batch shape.

    Raises:
        ValueError: the shapes do not broadcast, or lack the axis of categories.
        TypeError: a parameter is a list, or holds integers.

    Example:
        >>> from minigen.distributions.scalars import log
        >>> class Exponential(Distribution):
        ...     absent = {"rsample": "it has not been written yet"}
        ...     def __init__(self, rate):
        ...         super().__init__(rate=rate)
        ...         self.rate = rate
        ...     def log_prob(self, x):
        ...         return log(self.rate) - self.rate * x
        >>> Exponential(2.0).log_prob(np.array([0.0, 1.0])).round(4)
        array([ 0.6931, -1.3069])
        >>> Exponential(2.0).rsample(rng=Generator(0))
        Traceback (most recent call last):
        NotImplementedError: Exponential.rsample: it has not been written yet
    """

    absent: ClassVar[dict[str, str]] = {}
    category_axes: ClassVar[int] = 0

    def __init__(self, **parameters: TensorLike) -> None:
        owner = type(self).__name__
        arrays: dict[str, Any] = {name: value for name, value in parameters.items() if not is_number(value)}
        for name, value in arrays.items():
            if not hasattr(value, "dtype"):
                raise TypeError(f"{owner}: {name} is a {type(value).__name__}; expected a Tensor, an array or a number")
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        try:
            full_shape = np.broadcast_shapes(*(array.shape for array in arrays.values()))
        except ValueError:
            raise ValueError(f"{owner}: the shapes of the parameters do not broadcast: {shapes}") from None
        if len(full_shape) < self.category_axes:
            raise ValueError(
                f"{owner}: no parameter has a last axis of categories, (..., K): {shapes or 'numbers only'}"
            )
        self.dtype = np.result_type(*(array.dtype for array in arrays.values())) if arrays else np.dtype("float32")
        if self.dtype.kind != "f":
            raise TypeError(f"{owner}: {', '.join(arrays)} of {self.dtype}; expected floating-point values")
        self.batch_shape = full_shape[: len(full_shape) - self.category_axes]
        self._full_shape = full_shape
        self._arrays = list(arrays.values())

    def sample(self, shape: Shape = (), *, rng: Generator) -> Array:
        """Draw data: no gradient leads back to the parameters.

        Args:
            shape: S, how many draws from each distribution.
            rng: makes the noise, on the device of the parameters.

        Returns:
            An array, S + B.
        """
        with no_grad():
            return self.rsample(shape, rng=rng).data

    def rsample(self, shape: Shape = (), *, rng: Generator) -> Tensor:
        """Draw x = g(noise, parameters), differentiable in the parameters: the reparameterization trick.

        The gradient of E[f(x)] is then E[f'(x) dg/d(parameters)], and a backward pass through one draw estimates it
        without bias (Kingma & Welling 2014, section 2.4; Rezende et al. 2014, section 3).

        Args:
            shape: S, how many draws from each distribution.
            rng: makes the noise, on the device of the parameters.

        Returns:
            A Tensor, S + B.

        Raises:
            NotImplementedError: there is no differentiable g.
        """
        raise self._without("rsample")

    def log_prob(self, x: TensorLike) -> Any:
        """Return log p(x) in nats: the logarithm of a density, or of a probability where x is discrete.

        Args:
            x: a Tensor, an array or a Python number, of a shape that broadcasts against B.

        Returns:
            The common shape of x and B.
        """
        raise self._without("log_prob")

    def joint_log_prob(self, x: TensorLike, *, axes: int) -> Any:
        """Return log p(x) of whole examples in nats: the sum of `log_prob` over the last axes, independent dimensions of one example.

        Args:
            x: as `log_prob` takes it.
            axes: how many; 3 for images (..., H, W, C).

        Returns:
            The common shape of x and B without its last axes.

        Example:
            >>> from minigen.distributions import Normal
            >>> Normal(np.zeros((5, 2, 2, 1)), scale=1.0).joint_log_prob(0.0, axes=3).round(2)
            array([-3.68, -3.68, -3.68, -3.68, -3.68])
        """
        return ops.sum(self.log_prob(x), axis=tuple(range(-axes, 0)))

    def entropy(self) -> Any:
        """Return -E[log p(x)] in nats, of shape B. That of a density may be negative."""
        raise self._without("entropy")

    @property
    def mean(self) -> Any:
        """E[x], of shape B."""
        raise self._without("mean")

    @property
    def variance(self) -> Any:
        """E[(x - E[x])^2], of shape B."""
        raise self._without("variance")

    def _without(self, method: str) -> NotImplementedError:
        return NotImplementedError(f"{type(self).__name__}.{method}: {self.absent.get(method, 'it is not defined')}")

    def _draw_shape(self, shape: Shape) -> tuple[int, ...]:
        """S + B."""
        return (*as_shape("sample", shape), *self.batch_shape)

    def _over_batch(self, value: Any) -> Any:
        """Give a result the batch shape even if only one parameter enters it: a sum over it counts every element."""
        return self._spread(value, self.batch_shape)

    def _spread(self, value: Any, shape: tuple[int, ...]) -> Any:
        """Broadcast; where a parameter is an array, a Python number becomes one of its kind."""
        if is_number(value):
            if not self._arrays:
                return value
            like = next((array for array in self._arrays if isinstance(array, Tensor)), self._arrays[0])
            constant = array_module(raw(like)).asarray(value, dtype=self.dtype)
            value = Tensor(constant) if isinstance(like, Tensor) else constant
        return value if value.shape == shape else ops.broadcast_to(value, shape=shape)


def raw(x: TensorLike) -> Any:
    """Return the array of a Tensor, and anything else as it is.

    Example:
        >>> raw(Tensor(np.ones(2)))
        array([1., 1.])
    """
    return x.data if isinstance(x, Tensor) else x


def pick(table: TensorLike, chosen: TensorLike) -> Any:
    """Return table[b, chosen[b]] for every element b of a batch.

    Args:
        table: (*B, K).
        chosen: integers in [0, K), of a shape that broadcasts against B.

    Returns:
        The common shape of `chosen` and B.

    Example:
        >>> pick(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[0, 1], [1, 1]]))
        array([[1., 4.],
               [2., 4.]])
    """
    array = raw(table)
    *batch, _ = array.shape
    counting = array_module(array).arange
    rows = [counting(n).reshape(n, *(1,) * (len(batch) - 1 - axis)) for axis, n in enumerate(batch)]  # (n, 1, ..., 1)
    return ops.index(table, (*rows, chosen))
