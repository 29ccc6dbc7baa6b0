"""Recurrent networks of real models: their shapes, and the work of each in minigen and in PyTorch.

N sequences of T steps, C features of the input, H of the state, G gates. The two products of a step are 2 N G H (C + H) operations, and
the one with the input is made for all steps at once. Backward there are twice as many: the gradients of x and of the states, and those of
both weights.
"""

from collections.abc import Sequence
from types import ModuleType
from typing import Any, NamedTuple

import harness
import numpy as np

from minigen import kernels
from minigen.backend import Array, array_module

PASSES = ("forward", "backward")
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}


class Layer(NamedTuple):
    """A layer and the batch that it sees."""

    kernel: str  # a key of GATES
    model: str
    batch: int
    steps: int
    inputs: int
    features: int

    @property
    def shape(self) -> str:
        """The layer in numbers."""
        return f"{self.batch}x{self.steps}x{self.inputs} -> {self.features}"

    @property
    def smaller(self) -> "Layer":
        """The layer with little work, to see that it runs."""
        return self._replace(batch=2, steps=min(self.steps, 8))

    @property
    def operations(self) -> dict[str, int]:
        """Multiplications and additions of each pass."""
        products = self.batch * self.steps * GATES[self.kernel] * self.features * (self.inputs + self.features)
        return {"forward": 2 * products, "backward": 4 * products}


LAYERS = (
    Layer("LSTM", "characters, 128 steps, 256 features", 64, 128, 256, 256),
    Layer("LSTM", "characters, 64 steps, 128 features", 32, 64, 128, 128),
    Layer("LSTM", "pen strokes, 100 steps, 400 features", 16, 100, 3, 400),
    Layer("LSTM", "rows of 28 x 28 pixels", 64, 28, 28, 128),
    Layer("LSTM", "sampling, one step", 1, 1, 256, 256),
    Layer("GRU", "characters, 128 steps, 256 features", 64, 128, 256, 256),
    Layer("GRU", "characters, 64 steps, 128 features", 32, 64, 128, 128),
    Layer("RNN", "characters, 128 steps, 256 features", 64, 128, 256, 256),
)
"""Pen strokes are those of Graves 2013, in one of its three layers."""


def operands(layer: Layer) -> list[np.ndarray]:
    """Return x, (N, T, C), both weights and the bias, the cotangent of the output, (N, T, H), and zeros, (N, H), the first state."""
    rng, lanes = np.random.default_rng(0), GATES[layer.kernel] * layer.features
    scale = np.float32(layer.features**-0.5)
    n, steps, features = layer.batch, layer.steps, layer.features
    return [
        rng.standard_normal((n, steps, layer.inputs), dtype=np.float32),
        scale * rng.standard_normal((layer.inputs, lanes), dtype=np.float32),
        scale * rng.standard_normal((features, lanes), dtype=np.float32),
        scale * rng.standard_normal(lanes, dtype=np.float32),
        rng.standard_normal((n, steps, features), dtype=np.float32),
        np.zeros((n, features), np.float32),
    ]


def works(layer: Layer, library: ModuleType, arrays: Sequence[Any]) -> dict[str, harness.Work]:
    """Return pass -> its work by a module that has `rnn_forward`, `rnn_backward` and so on; in the order of PASSES.

    It is the layer's whole work: walks through time by the module, and the products for all steps at once, which are the same for all. The
    backward pass gives the gradients of x, of both weights and of the bias; with a GRU also that of its second bias.
    """
    x, weight_x, weight_h, bias, g, first = arrays
    module, features = array_module(x), layer.features
    inputs = x.reshape(-1, layer.inputs)  # (N T, C)
    walk, walk_back = (getattr(library, f"{layer.kernel.lower()}_{name}") for name in PASSES)
    more = (
        [module.zeros_like(bias[:features])] if layer.kernel == "GRU" else []
    )  # the bias of the product that r multiplies
    state = [first, first] if layer.kernel == "LSTM" else [first]

    def forward() -> Any:
        projected = kernels.matmul(inputs, weight_x).reshape(*x.shape[:2], -1)
        return walk(projected, weight_h, bias, *more, *state, None, reverse=False)

    found = forward()
    states = found if layer.kernel == "RNN" else found[0]
    if layer.kernel == "LSTM":  # which puts out its cell after the hidden states
        g, saved = module.concatenate([g, module.zeros_like(g[:, :1])], axis=1), [*found[1:], weight_h, first]
    else:
        saved = [states, weight_h] if layer.kernel == "RNN" else [*found, weight_h, first]

    def backward() -> list[Array]:
        slopes, *others = walk_back(g, *saved, None, reverse=False)
        rows = slopes.reshape(len(inputs), -1)  # (N T, G H)
        before = module.concatenate([first[:, None], states[:, : layer.steps - 1]], axis=1).reshape(-1, features)
        one = module.ones(len(rows), rows.dtype)
        if layer.kernel == "GRU":  # the product that r multiplies has gradients of its own
            last = others[0].reshape(-1, features)
            products = [kernels.matmul(before.T, part) for part in (rows[:, : 2 * features], last)]
            of_state = [module.concatenate(products, axis=1), one @ rows, one @ last]
        else:
            of_state = [kernels.matmul(before.T, rows), one @ rows]
        return [kernels.matmul(rows, weight_x.T).reshape(x.shape), kernels.matmul(inputs.T, rows), *of_state]

    return {"forward": forward, "backward": backward}


def torch_works(
    torch: Any, layer: Layer, arrays: Sequence[np.ndarray], layout: str, device: str
) -> dict[str, harness.Work]:
    """Return the same work in PyTorch; there is one layout, "contiguous"."""
    x, weight_x, weight_h, bias, g, _ = (torch.from_numpy(array).to(device) for array in arrays)
    network = getattr(torch.nn, layer.kernel)(layer.inputs, layer.features, batch_first=True).to(device)
    with torch.no_grad():
        for parameter, values in zip(network.parameters(), (weight_x.T, weight_h.T, bias, 0 * bias), strict=True):
            parameter.copy_(values)
    leaf = x.detach().requires_grad_()
    out = network(leaf)[0]
    return {
        "forward": lambda: network(leaf)[0],
        "backward": lambda: torch.autograd.grad(out, [leaf, *network.parameters()], g, retain_graph=True),
    }
