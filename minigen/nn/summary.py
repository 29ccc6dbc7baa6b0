"""A table of a model: its layers, the shapes that they put out, and where its parameters are."""

from typing import Any

from minigen.engine import no_grad
from minigen.nn.module import Module, evaluating, in_this_thread


def summary(module: Module, *inputs: Any) -> str:
    """Run a module once, in evaluation mode, and return a table with a line for every module called.

    Evaluation moves no running statistics and draws no numbers, so the model stays as it was.

    Args:
        module: the model.
        *inputs: what to call it with.

    Returns:
        The table: name and kind of each module, shape of its output, and its own parameters, those of the modules inside it not counted.

    Example:
        >>> import numpy as np
        >>> from minigen import nn
        >>> from minigen.random import Generator
        >>> rng = Generator(0)
        >>> net = nn.Sequential(nn.Linear(2, 8, rng=rng), nn.ReLU(), nn.Linear(8, 1, rng=rng))
        >>> print(summary(net, np.zeros((16, 2), "float32")))
        layer       kind        output       parameters
        layers.0    Linear      (16, 8)              24
        layers.1    ReLU        (16, 8)               0
        layers.2    Linear      (16, 1)               9
        (whole)     Sequential  (16, 1)               0
        total                                        33
    """
    names = {id(part): name or "(whole)" for name, part in module.named_modules().items()}
    rows = [("layer", "kind", "output", "parameters")]

    def observe(called: Module, _: Any, output: Any) -> None:
        inside = {id(p) for part in called.named_modules().values() if part is not called for p in part.parameters()}
        own = sum(parameter.size for parameter in called.parameters() if id(parameter) not in inside)
        rows.append((names.get(id(called), "(outside)"), type(called).__name__, _shapes(output), f"{own:,}"))

    in_this_thread.observers.append(observe)
    try:
        with no_grad(), evaluating(module):
            module(*inputs)
    finally:
        in_this_thread.observers.remove(observe)
    rows.append(("total", "", "", f"{sum(parameter.size for parameter in module.parameters()):,}"))
    widths = [max(len(row[i]) for row in rows) + 2 for i in range(4)]
    return "\n".join(
        "".join(cell.ljust(width) for cell, width in zip(row[:3], widths, strict=False)) + row[3].rjust(widths[3])
        for row in rows
    )


def _shapes(output: Any) -> str:
    """Return an output's shape or, of several outputs, their shapes."""
    if isinstance(output, tuple | list):
        return ", ".join(_shapes(part) for part in output)
    return str(output.shape) if hasattr(output, "shape") else type(output).__name__
