"""Normalizations and normalised exponentials: their shapes, and the work of each in minigen and in PyTorch.

The backward pass of a normalization is the gradients of x, weight and bias together.
"""

import math
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import harness
import numpy as np

from minigen.kernels.exponentials import reference as exponentials
from minigen.kernels.normalization import reference as norms

NORMS = ("batch norm", "group norm", "layer norm")
EXPONENTIALS = ("softmax", "log softmax")
NORMALIZATIONS = (*NORMS, *EXPONENTIALS)
STEPS = ("forward", "backward")
EPSILON = 1e-5
REFERENCE = SimpleNamespace(**vars(norms) | vars(exponentials))
"""The kernels in plain array code."""


class Problem(NamedTuple):
    """A normalization and the batch that it sees."""

    kernel: str
    batch: int
    pixels: int  # in a row of the image, or 0 where there is none
    channels: int
    groups: int = 1

    @property
    def shape(self) -> str:
        """The problem in words."""
        image = f"{self.pixels}x{self.pixels}x" if self.pixels else ""
        groups = f", {self.groups} groups" if self.groups > 1 else ""
        return f"{self.batch}x{image}{self.channels}{groups}"

    @property
    def sizes(self) -> tuple[int, ...]:
        """The shape of x, (N, P, G, C/G) or (N, C)."""
        if not self.pixels:
            return self.batch, self.channels
        return self.batch, self.pixels**2, self.groups, self.channels // self.groups

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes of x that are normalized over."""
        return {"batch norm": (0, 1), "group norm": (1, 3)}.get(self.kernel, (1,))

    @property
    def smaller(self) -> "Problem":
        """The same with a batch of at most 4, for trials."""
        return self._replace(batch=min(self.batch, 4))


PROBLEMS = (
    Problem("batch norm", 64, 28, 64),
    Problem("group norm", 32, 28, 128, groups=32),
    Problem("layer norm", 4096, 0, 512),
    Problem("softmax", 8192, 0, 512),
    Problem("softmax", 4096, 0, 64),
    Problem("log softmax", 8192, 0, 512),
    Problem("log softmax", 4096, 0, 64),
)


def operands(problem: Problem) -> list[np.ndarray]:
    """Return x, a cotangent, and for a norm weight and bias."""
    rng = np.random.default_rng(0)
    x, g = rng.standard_normal((2, *problem.sizes), dtype=np.float32)
    if problem.kernel in EXPONENTIALS:
        return [x, g]
    return [x, g, *rng.standard_normal((2, *problem.sizes[2 if problem.pixels else 1 :]), dtype=np.float32)]


def works(problem: Problem, library: ModuleType | SimpleNamespace, arrays: list[Any]) -> dict[str, harness.Work]:
    """Return the forward and the backward pass by one of minigen's libraries of kernels."""
    x, g, *factors = arrays
    if problem.kernel in EXPONENTIALS:
        name = problem.kernel.replace(" ", "_")
        y = getattr(library, name)(x, axis=1)
        return {
            "forward": lambda: getattr(library, name)(x, axis=1),
            "backward": lambda: getattr(library, f"{name}_backward")(g, y, axis=1),
        }
    weight, bias = factors
    _, mean, scale = library.normalize(x, weight, bias, axes=problem.axes, epsilon=EPSILON)
    settings = {"axes": problem.axes, "bias_shape": bias.shape}
    return {
        "forward": lambda: library.normalize(x, weight, bias, axes=problem.axes, epsilon=EPSILON),
        "backward": lambda: library.normalize_backward(g, x, weight, mean, scale, **settings),
    }


def torch_works(
    torch: Any, problem: Problem, arrays: list[np.ndarray], layout: str, device: str
) -> dict[str, harness.Work]:
    """Return the same work in PyTorch, on images laid out "NCHW" or "channels_last"."""
    aten = torch.ops.aten
    x, g, *factors = (torch.from_numpy(array).to(device) for array in arrays)
    if problem.kernel in EXPONENTIALS:
        forward, backward = {
            "softmax": (torch.softmax, aten._softmax_backward_data),
            "log softmax": (torch.log_softmax, aten._log_softmax_backward_data),
        }[problem.kernel]
        y = forward(x, 1)
        return {"forward": lambda: forward(x, 1), "backward": lambda: backward(g, y, 1, torch.float32)}
    weight, bias = (factor.flatten() for factor in factors)
    if problem.pixels:
        form = torch.channels_last if layout == "channels_last" else torch.contiguous_format
        image = (problem.batch, problem.pixels, problem.pixels, problem.channels)
        x, g = (a.reshape(image).permute(0, 3, 1, 2).contiguous(memory_format=form) for a in (x, g))
    every = [True, True, True]
    if problem.kernel == "batch norm":
        settings = (None, None, True, 0.1, EPSILON)
        _, *saved = aten.native_batch_norm(x, weight, bias, *settings)
        return {
            "forward": lambda: aten.native_batch_norm(x, weight, bias, *settings),
            "backward": lambda: aten.native_batch_norm_backward(g, x, weight, None, None, *saved, True, EPSILON, every),
        }
    if problem.kernel == "group norm":
        sizes = (problem.batch, problem.channels, problem.pixels**2, problem.groups)
        _, *saved = aten.native_group_norm(x, weight, bias, *sizes, EPSILON)
        return {
            "forward": lambda: aten.native_group_norm(x, weight, bias, *sizes, EPSILON),
            "backward": lambda: aten.native_group_norm_backward(g, x, *saved, weight, *sizes, every),
        }
    last = [math.prod(problem.sizes[1:])]
    _, *saved = aten.native_layer_norm(x, last, weight, bias, EPSILON)
    return {
        "forward": lambda: aten.native_layer_norm(x, last, weight, bias, EPSILON),
        "backward": lambda: aten.native_layer_norm_backward(g, x, last, *saved, weight, bias, every),
    }
