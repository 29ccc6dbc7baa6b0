"""Where the microseconds of a training step go, by layers of the design.

    BLAS       matrix products: `kernels.matmul`
    kernels    the loops of `kernels/`: activations and their gradients, pooling, random numbers, optimizer steps, averages
    convolution, normalization, attention, ...    those of its folders
    NumPy      the rest of the primitives' forward functions: sums, broadcasts, arithmetic on small arrays
    Python     all else: recording nodes, walking back, layers, losses, optimizers

Every function but those of the last is wrapped in a clock; a clock that runs inside another stops the outer one. What the clocks themselves
cost is measured and taken off. The step without them is timed by turns with the step with them.

    python benchmarks/breakdown.py [--models NAME ...] [--threads 1] [--quick] [--json F]
"""

import functools
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import harness
import steps

from minigen import kernels
from minigen.engine import Primitive
from minigen.kernels.memory import kept_memory
from minigen.kernels.threads import one_blas_thread


def layer_of(kernel: Callable[..., Any]) -> str:
    """Return the folder of `kernels/` whose reference defines a kernel, or "kernels" for the file beside the folders."""
    return kernel.__module__.split(".")[-2]


class Clocks:
    """The time and the calls of every layer."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.inner = [0.0]  # for each clock that runs, the time of those inside it

    def wrap(self, function: Callable[..., Any], layer: str) -> Callable[..., Any]:
        """Return the function with a clock."""

        @functools.wraps(function)
        def timed(*arguments: Any, **keywords: Any) -> Any:
            self.inner.append(0.0)
            start = time.perf_counter()
            try:
                return function(*arguments, **keywords)
            finally:
                elapsed = time.perf_counter() - start
                self.seconds[layer] += elapsed - self.inner.pop()
                self.calls[layer] += 1
                self.inner[-1] += elapsed

        return timed

    @contextmanager
    def running(self) -> Iterator[None]:
        """Inside the block every kernel and every primitive has a clock."""
        before = {name: f for name, f in vars(kernels).items() if getattr(f, "__module__", "").endswith(".reference")}
        layers = {name: layer_of(function) for name, function in before.items()} | {"matmul": "BLAS"}
        before["matmul"] = kernels.matmul
        forwards = {primitive: primitive.forward for primitive in Primitive.registry.values()}
        try:
            for name, function in before.items():
                setattr(kernels, name, self.wrap(function, layers[name]))
            for primitive, forward in forwards.items():
                primitive.forward = self.wrap(forward, "NumPy")
            yield
        finally:
            for name, function in before.items():
                setattr(kernels, name, function)
            for primitive, forward in forwards.items():
                primitive.forward = forward


def overhead() -> tuple[float, float]:
    """Return the seconds that a clock adds to the clocked function's time, and to its caller's."""
    clocks = Clocks()
    timed, repetitions = clocks.wrap(lambda: None, "nothing"), 20_000
    start = time.perf_counter()
    for _ in range(repetitions):
        timed()
    whole = (time.perf_counter() - start) / repetitions
    inside = clocks.seconds["nothing"] / repetitions
    return inside, whole - inside


def how_often(work: harness.Work) -> int:
    """Return how many repetitions take some two seconds."""
    for _ in range(5):
        start = time.perf_counter()
        work()
    return min(400, max(10, round(2 / (time.perf_counter() - start))))


def main() -> None:
    options = harness.arguments(__doc__, threads=1, add=steps.add_options)
    rows = []
    with one_blas_thread(), kept_memory():
        inside, outside = overhead()
        for name in options.models:
            work = steps.ours_on(name, "cpu")
            repetitions = 1 if options.quick else how_often(work)
            clocks, plain, clocked = Clocks(), 0.0, 0.0
            for _ in range(repetitions):
                start = time.perf_counter()
                work()
                middle = time.perf_counter()
                with clocks.running():
                    begun = time.perf_counter()
                    work()
                    clocked += time.perf_counter() - begun
                plain += middle - start
            calls = sum(clocks.calls.values())
            spent = {layer: seconds - inside * clocks.calls[layer] for layer, seconds in clocks.seconds.most_common()}
            spent["Python"] = clocked - sum(clocks.seconds.values()) - outside * calls
            for layer, seconds in [*spent.items(), ("whole step, without clocks", plain)]:
                rows.append(
                    {
                        "name": f"{name}: {layer}",
                        "microseconds": round(seconds / repetitions * 1e6, 1),
                        "share": round(seconds / sum(spent.values()), 3) if layer in spent else 1.0,
                        "calls": clocks.calls[layer] // repetitions,
                    }
                )
    harness.finish(rows, options, "Where the time of a training step goes", ["name", "microseconds", "share", "calls"])


if __name__ == "__main__":
    main()
