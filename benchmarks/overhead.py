"""What the engine itself costs: operations on small arrays, where arithmetic is next to nothing.

Measured against PyTorch and, for a floor, raw NumPy; on a GPU too, where there is one, with a wait for it after each call: one operation
forward, one forward and backward, a gradient that is differentiated again, a chain of 200; how the cost of one operation grows with depth
and width of the graph (it should not); and the time of `import minigen` beyond `import numpy`.

    python benchmarks/overhead.py [--threads 1] [--quick] [--json F] [--plot F]
"""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import harness
import numpy as np

import minigen as mg

SIZE = 16


def main() -> None:
    options = harness.arguments(__doc__)
    if harness.torch():
        harness.torch().set_num_threads(options.threads)

    rows = []
    on_gpu = cases("gpu") if harness.gpu() else {}
    for name, (ours, theirs, raw) in cases("cpu").items():
        works = {"minigen": ours, "numpy": raw} | ({"torch": theirs} if harness.torch() else {})
        if name in on_gpu:
            works["gpu"] = harness.awaited(on_gpu[name][0])
        times = harness.milliseconds(works, options.effort)
        more = {f"{work}_ms": harness.median(times[work]) for work in ("numpy", "gpu") if work in times}
        rows.append(harness.row(name, times["minigen"], times.get("torch"), **more))
    rows += growth(options.effort)
    rows.append(import_time(3 if options.quick else 15))
    harness.finish(rows, options, "Overhead of the engine, arrays of 16 numbers")


def cases(device: str) -> dict[str, tuple[harness.Work, harness.Work, harness.Work]]:
    """Return name -> (minigen on the device, PyTorch on the CPU, raw NumPy forward)."""
    torch = harness.torch()
    values = np.linspace(0.5, 1.5, SIZE, dtype=np.float32)
    matrix = np.eye(SIZE, dtype=np.float32)

    def leaf(array: np.ndarray, library: str) -> Any:
        if library == "torch":
            return torch.tensor(array, requires_grad=True)
        return mg.tensor(array, device=device, requires_grad=True)

    def forward(function: Callable[..., Any], library: str, *arrays: np.ndarray) -> harness.Work:
        leaves = [leaf(array, library) for array in arrays] if library == "minigen" or torch else []
        return lambda: function(*leaves)

    def both(function: Callable[..., Any], library: str, *arrays: np.ndarray) -> harness.Work:
        leaves = [leaf(array, library) for array in arrays] if library == "minigen" or torch else []
        shape = (SIZE, SIZE) if arrays[0].ndim == 2 else SIZE
        cotangent = mg.ones(shape, device=device).data if library == "minigen" else torch and torch.ones(shape)

        def work() -> None:
            function(*leaves).backward(cotangent)
            for each in leaves:
                each.grad = None

        return work

    found = {}
    operations: dict[str, tuple[Callable, Callable | None, Callable, tuple[np.ndarray, ...]]] = {
        "add": (lambda a, b: a + b, lambda a, b: a + b, np.add, (values, values)),
        "multiply": (lambda a, b: a * b, lambda a, b: a * b, np.multiply, (values, values)),
        "exp": (mg.exp, torch and torch.exp, np.exp, (values,)),
        "tanh": (mg.tanh, torch and torch.tanh, np.tanh, (values,)),
        "matmul": (lambda a, b: a @ b, lambda a, b: a @ b, np.matmul, (matrix, matrix)),
        "index": (lambda a: a[2:8], lambda a: a[2:8], lambda a: a[2:8], (values,)),
    }
    for name, (ours, theirs, raw, arrays) in operations.items():
        found[f"{name}, forward"] = (
            forward(ours, "minigen", *arrays),
            forward(theirs, "torch", *arrays),
            lambda raw=raw, arrays=arrays: raw(*arrays),
        )
        if name != "index":
            found[f"{name}, forward and backward"] = (
                both(ours, "minigen", *arrays),
                both(theirs, "torch", *arrays),
                lambda raw=raw, arrays=arrays: raw(*arrays),
            )

    def chain(tanh: Callable) -> Callable:
        def function(a: Any, b: Any) -> Any:
            for _ in range(100):
                a = tanh(a * b)
            return a

        return function

    def penalty(tanh: Callable, grad: Callable) -> Callable:
        def function(a: Any, b: Any) -> Any:
            slope = grad(tanh(a * b).sum(), a, create_graph=True)
            slope = slope[0] if isinstance(slope, tuple) else slope
            return (slope - 1.0) * (slope - 1.0)

        return function

    found["penalty on a gradient, double backward"] = (
        both(penalty(mg.tanh, mg.grad), "minigen", values, values),
        both(penalty(torch and torch.tanh, torch and torch.autograd.grad), "torch", values, values),
        lambda: (np.tanh(values * values), (1 - np.tanh(values * values) ** 2) * values),
    )
    found["chain of 200, forward and backward"] = (
        both(chain(mg.tanh), "minigen", values, values),
        both(chain(torch and torch.tanh), "torch", values, values),
        lambda: chain(np.tanh)(values, values),
    )
    return found


def growth(effort: harness.Effort) -> list[dict[str, Any]]:
    """Time one operation, forward and backward, in ever deeper and ever wider graphs."""
    rows = []
    values = np.linspace(0.5, 1.5, SIZE, dtype=np.float32)
    for count in (100, 1_000, 10_000):
        leaf = mg.tensor(values, requires_grad=True)

        def deep(count: int = count, leaf: mg.Tensor = leaf) -> None:
            y = leaf
            for _ in range(count):
                y = y * 0.999
            mg.sum(y).backward()
            leaf.grad = None

        def wide(count: int = count, leaf: mg.Tensor = leaf) -> None:
            total = mg.sum(mg.stack([leaf * 0.999 for _ in range(count)]))
            total.backward()
            leaf.grad = None

        for shape, work in (("deep", deep), ("wide", wide)):
            times = harness.milliseconds({"minigen": work}, effort)["minigen"] / count
            rows.append(harness.row(f"one operation in a graph {count:,} {shape}", times, None))
    return rows


def import_time(rounds: int) -> dict[str, Any]:
    """Time `import minigen` beyond `import numpy`, each in fresh processes by turns."""

    def run(statement: str) -> float:
        code = f"import time; t = time.perf_counter(); {statement}; print(time.perf_counter() - t)"
        return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)

    times = [run("import numpy, minigen") - run("import numpy") for _ in range(rounds)]
    return harness.row("import minigen, beyond numpy", np.array(times) * 1e3, None)


if __name__ == "__main__":
    main()
