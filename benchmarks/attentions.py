"""Attention of real models: its shapes, and the work of each in minigen and in PyTorch.

N examples, T places, H heads of D features each. Forward there are two products of 2 N H T^2 D operations, backward five; causal attention
needs half of each. PyTorch takes (N, H, T, D), which here is a view of minigen's (N, T, H, D), and so of what a linear map gives.
"""

from collections.abc import Sequence
from types import ModuleType
from typing import Any, NamedTuple

import harness
import numpy as np

PASSES = ("forward", "backward")


class Layer(NamedTuple):
    """A layer of self-attention and the batch that it sees."""

    model: str
    batch: int
    places: int
    heads: int
    features: int  # of a head
    causal: bool = False

    @property
    def kernel(self) -> str:
        """What the layer computes, in words."""
        return "causal attention" if self.causal else "attention"

    @property
    def shape(self) -> str:
        """The layer in numbers."""
        return f"{self.batch}x{self.places}, {self.heads} heads of {self.features}"

    @property
    def smaller(self) -> "Layer":
        """The layer with little work, to see that it runs."""
        return self._replace(batch=1, places=min(self.places, 20))

    @property
    def operations(self) -> dict[str, int]:
        """Multiplications and additions of each pass."""
        pairs = self.places * (self.places + 1) // 2 if self.causal else self.places**2
        product = 2 * self.batch * self.heads * pairs * self.features
        return {"forward": 2 * product, "backward": 5 * product}

    @property
    def settings(self) -> dict[str, Any]:
        """The keywords of the kernels."""
        return {"mask": None, "causal": self.causal, "scale": self.features**-0.5}


LAYERS = (
    Layer("U-Net, 14 x 14 pixels, 128 channels", 32, 196, 4, 32),
    Layer("U-Net, 14 x 14 pixels, one head", 32, 196, 1, 128),
    Layer("U-Net, 7 x 7 pixels, 256 channels", 64, 49, 4, 64),
    Layer("SAGAN, 28 x 28 pixels, 64 channels", 4, 784, 4, 16),
    Layer("encoder of patches, 256 features", 32, 128, 8, 32),
    Layer("characters, 128 places, 256 features", 32, 128, 8, 32, causal=True),
    Layer("characters, 256 places, 256 features", 16, 256, 8, 32, causal=True),
    Layer("pixels of 28 x 28 as a sequence, 128 features", 4, 784, 4, 32, causal=True),
)


def operands(layer: Layer) -> list[np.ndarray]:
    """Return query, key, value and the cotangent of the output, (N, T, H, D) each, drawn at random."""
    shape = (4, layer.batch, layer.places, layer.heads, layer.features)
    return list(np.random.default_rng(0).standard_normal(shape, dtype=np.float32))


def works(layer: Layer, library: ModuleType, arrays: Sequence[Any]) -> dict[str, harness.Work]:
    """Return pass -> its work by a module that has `attend` and `attend_backward`; in the order of PASSES."""
    query, key, value, g = arrays
    saved = library.attend(query, key, value, **layer.settings)
    return {
        "forward": lambda: library.attend(query, key, value, **layer.settings),
        "backward": lambda: library.attend_backward(g, query, key, value, *saved, **layer.settings),
    }


def torch_works(
    torch: Any, layer: Layer, arrays: Sequence[np.ndarray], layout: str, device: str
) -> dict[str, harness.Work]:
    """Return the same work in PyTorch; there is one layout, "contiguous"."""
    *inputs, g = (torch.from_numpy(array).to(device).transpose(1, 2) for array in arrays)
    leaves = [x.detach().requires_grad_() for x in inputs]
    attend = torch.nn.functional.scaled_dot_product_attention
    out = attend(*leaves, is_causal=layer.causal)
    return {
        "forward": lambda: attend(*inputs, is_causal=layer.causal),
        "backward": lambda: torch.autograd.grad(out, leaves, g, retain_graph=True),
    }
