"""Elementwise kernels on 3 million numbers, forward and backward: this machine's processor, its GPU if it has one, and PyTorch.

Forward is f(x); backward is the kernel that turns a cotangent into the gradient, alone. Results are new arrays each time, in
both libraries. A call on the GPU ends with waiting for it.

    python benchmarks/kernels.py [--threads 2] [--quick] [--json F] [--plot F]
"""

from collections.abc import Callable
from typing import Any

import harness
import numpy as np

from minigen import kernels
from minigen.backend import to_device

SIZE = 3_000_000
BACKWARD_OF_OUTPUT = ("sigmoid", "tanh", "relu")  # their gradients take y = f(x) in place of x


def main() -> None:
    options = harness.arguments(__doc__)
    torch = harness.torch()
    if torch:
        torch.set_num_threads(options.threads)
    rng = np.random.default_rng(0)
    x = rng.standard_normal(SIZE, dtype=np.float32)
    g = rng.standard_normal(SIZE, dtype=np.float32)

    rows = []
    for name in ("silu", "gelu", "sigmoid", "tanh", "softplus", "relu"):
        forward, backward = getattr(kernels, name), getattr(kernels, f"{name}_backward")
        saved = forward(x) if name in BACKWARD_OF_OUTPUT else x
        for title, kernel, arrays in ((name, forward, (x,)), (f"{name} backward", backward, (g, saved))):
            works: dict[str, harness.Work] = {"minigen": call(kernel, arrays)}
            if harness.gpu():
                works["gpu"] = harness.awaited(call(kernel, [to_device(array, "gpu") for array in arrays]))
            if torch:
                works["torch"] = call(torch_kernel(torch, title), [torch.from_numpy(array) for array in arrays])
            times = harness.milliseconds(works, rounds=5 if options.quick else 21)
            gpu = {"gpu_ms": harness.median(times["gpu"])} if "gpu" in times else {}
            rows.append(harness.row(title, times["minigen"], times.get("torch"), **gpu))
    harness.finish(rows, options, f"Elementwise kernels, {SIZE:,} float32 numbers, {options.threads} threads")


def call(function: Callable[..., Any], arrays: Any) -> harness.Work:
    return lambda: function(*arrays)


def torch_kernel(torch: Any, title: str) -> Callable[..., Any]:
    """Return PyTorch's function for the same work."""
    aten, functional = torch.ops.aten, torch.nn.functional
    return {
        "silu": functional.silu,
        "silu backward": aten.silu_backward,
        "gelu": functional.gelu,
        "gelu backward": aten.gelu_backward,
        "sigmoid": torch.sigmoid,
        "sigmoid backward": aten.sigmoid_backward,
        "tanh": torch.tanh,
        "tanh backward": aten.tanh_backward,
        "softplus": functional.softplus,
        "softplus backward": lambda g, x: aten.softplus_backward(g, x, 1, 20),
        "relu": torch.relu,
        "relu backward": lambda g, y: aten.threshold_backward(g, y, 0),
    }[title]


if __name__ == "__main__":
    main()
