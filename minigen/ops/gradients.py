"""The gradients of a function that is written in operations, as the joint vjp of a primitive that computes the same faster.

A primitive whose forward and backward pass are kernels has a *fused* vjp for arrays (`Primitive.fused_vjp`). A backward pass that is
recorded cannot use it, and differentiates the function in plain operations instead.
"""

import inspect
from collections.abc import Callable
from typing import Any

from minigen.engine import Tensor, grad
from minigen.ops.shape import reshape


def gradients_of(function: Callable[..., Any]) -> Callable[..., tuple[Tensor | None, ...]]:
    """Return the joint vjp of a function: it takes a cotangent, then the function's arguments, and returns their gradients.

    Args:
        function: takes Tensors and arrays positionally and everything else by keyword, as a primitive's forward does, and returns a Tensor.

    Returns:
        A vjp for `Primitive.joint_vjp`, to run where the backward pass is recorded. Arguments that require no grad get None.

    Example:
        >>> import minigen as mg
        >>> vjp = gradients_of(lambda a, b: a * b)
        >>> a, b = mg.tensor([2.0], requires_grad=True), mg.tensor([3.0])
        >>> [None if gradient is None else gradient.item() for gradient in vjp(mg.tensor([1.0]), a, b)]
        [3.0, None]
    """
    parameters = list(inspect.signature(function).parameters.values())
    count = sum(parameter.kind is parameter.POSITIONAL_OR_KEYWORD for parameter in parameters)
    names = [parameter.name for parameter in parameters[count:]]

    def vjp(g: Any, *values: Any) -> tuple[Tensor | None, ...]:
        # One argument may have been computed from another: each is given a node of its own, and gradients are taken with respect to these.
        own = [reshape(a, shape=a.shape) if isinstance(a, Tensor) and a.requires_grad else a for a in values[:count]]
        wanted = [i for i, a in enumerate(own) if isinstance(a, Tensor) and a.requires_grad]
        output = function(*own, **dict(zip(names, values[count:], strict=True)))
        found = dict(
            zip(wanted, grad(output, [own[i] for i in wanted], g, create_graph=True, allow_unused=True), strict=True)
        )
        return tuple(found.get(i) for i in range(count))

    first = inspect.Parameter("g", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    named = [parameter.replace(kind=inspect.Parameter.POSITIONAL_OR_KEYWORD) for parameter in parameters]
    vjp.__signature__ = inspect.Signature([first, *(p.replace(default=inspect.Parameter.empty) for p in named)])  # type: ignore[attr-defined]
    return vjp
