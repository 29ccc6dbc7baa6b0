"""minigen: how deep generative models work, from the gradient up.

    import minigen as mg

    x = mg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = mg.sum(mg.tanh(x) ** 2)
    y.backward()
    x.grad

The operations stand at the top level under NumPy's names. The rooms of the house are submodules, loaded when first named: `mg.nn`,
`mg.optim`, `mg.random`, `mg.distributions`, `mg.losses`, `mg.models`, `mg.data`, `mg.metrics`, `mg.training`, `mg.plots`, `mg.lessons`,
`mg.testing`.
"""

import importlib
from types import ModuleType

from minigen import ops
from minigen.engine import Node, Primitive, Tensor, debug, grad, no_grad, primitive
from minigen.ops import *  # noqa: F403

__version__ = "0.1.0"

ROOMS = (
    "backend", "data", "distributions", "engine", "kernels", "lessons", "losses", "metrics", "models", "nn", "ops", "optim", "plots",
    "random", "testing", "training",
)  # fmt: skip

__all__ = ["Node", "Primitive", "Tensor", "debug", "grad", "no_grad", "primitive", *ops.__all__]


def __getattr__(name: str) -> ModuleType:
    if name in ROOMS:
        return importlib.import_module(f"minigen.{name}")
    raise AttributeError(f"module 'minigen' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *ROOMS, "__version__"])
