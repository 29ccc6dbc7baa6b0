"""Elementwise kernels on 3 million numbers, forward and backward, against PyTorch.

Forward is f(x); backward is the kernel that turns a cotangent into the gradient, alone. Results are new arrays each time, in
both libraries.

    python benchmarks/kernels.py [--threads 2] [--quick] [--json F] [--plot F]
"""

import harness
import numpy as np

from minigen import kernels

SIZE = 3_000_000


def main() -> None:
    options = harness.arguments(__doc__)
    import torch

    torch.set_num_threads(options.threads)
    rng = np.random.default_rng(0)
    x = rng.standard_normal(SIZE, dtype=np.float32)
    g = rng.standard_normal(SIZE, dtype=np.float32)
    tx, tg = torch.from_numpy(x), torch.from_numpy(g)
    aten, functional = torch.ops.aten, torch.nn.functional

    y, s = kernels.tanh(x), kernels.sigmoid(x)
    ty, ts = torch.from_numpy(y), torch.from_numpy(s)
    cases = {
        "silu": (lambda: kernels.silu(x), lambda: functional.silu(tx)),
        "silu backward": (lambda: kernels.silu_backward(g, x), lambda: aten.silu_backward(tg, tx)),
        "gelu": (lambda: kernels.gelu(x), lambda: functional.gelu(tx)),
        "gelu backward": (lambda: kernels.gelu_backward(g, x), lambda: aten.gelu_backward(tg, tx)),
        "sigmoid": (lambda: kernels.sigmoid(x), lambda: torch.sigmoid(tx)),
        "sigmoid backward": (lambda: kernels.sigmoid_backward(g, s), lambda: aten.sigmoid_backward(tg, ts)),
        "tanh": (lambda: kernels.tanh(x), lambda: torch.tanh(tx)),
        "tanh backward": (lambda: kernels.tanh_backward(g, y), lambda: aten.tanh_backward(tg, ty)),
        "softplus": (lambda: kernels.softplus(x), lambda: functional.softplus(tx)),
        "softplus backward": (lambda: kernels.softplus_backward(g, x), lambda: aten.softplus_backward(tg, tx, 1, 20)),
        "relu": (lambda: kernels.relu(x), lambda: torch.relu(tx)),
        "relu backward": (lambda: kernels.relu_backward(g, x), lambda: aten.threshold_backward(tg, tx, 0)),
    }
    rows = []
    for name, (ours, theirs) in cases.items():
        times = harness.milliseconds({"minigen": ours, "torch": theirs}, rounds=5 if options.quick else 21)
        rows.append(harness.row(name, times["minigen"], times["torch"]))
    harness.finish(rows, options, f"Elementwise kernels, {SIZE:,} float32 numbers, {options.threads} threads")


if __name__ == "__main__":
    main()
