"""Write docs/functions.md, the list of all functions of `mg.*`, from their signatures and docstrings.

python docs/make_functions.py
"""

import importlib
import inspect
from pathlib import Path
from typing import Any

import numpy as np
import scipy.special

from minigen import ops
from minigen.engine import Primitive
from minigen.training import write_atomically

PAGE = Path(__file__).parent / "functions.md"

HEAD = """# Functions

Every function that stands at the top level, `mg.exp` and so on, file by file, with its twin in NumPy (`np`), SciPy or PyTorch
(`F` is `torch.nn.functional`). A twin computes the same, but its arguments may differ. Settings with a default may be given by position or
by name. Many are methods and operators of a tensor too, such as `x.sum()` and `x + y`. `help(mg.exp)` says more, with an example.
`python docs/make_functions.py` writes this page from the docstrings, and a test fails if it is stale.
"""

SAME_NAME = {"np": np, "np.linalg": np.linalg, "scipy.special": scipy.special}
"""Where a twin of the same name is looked for, in this order."""

TWINS = {
    "astype": "np.ndarray.astype", "attention": "F.scaled_dot_product_attention", "avg_pool2d": "F.avg_pool2d",
    "bit_log_prob": "F.binary_cross_entropy_with_logits", "conv1d": "F.conv1d", "conv2d": "F.conv2d",
    "conv_transpose1d": "F.conv_transpose1d", "conv_transpose2d": "F.conv_transpose2d", "cross_entropy": "F.cross_entropy", "elu": "F.elu",
    "gather": "torch.gather", "gelu": "F.gelu", "leaky_relu": "F.leaky_relu", "linear": "F.linear", "max_pool2d": "F.max_pool2d",
    "pixel_shuffle": "F.pixel_shuffle", "pixel_unshuffle": "F.pixel_unshuffle", "relu": "F.relu", "scatter_add": "torch.scatter_add",
    "sigmoid": "scipy.special.expit", "silu": "F.silu", "softplus": "F.softplus", "tensor": "torch.tensor", "upsample2d": "F.interpolate",
}  # fmt: skip
"""Twins of other names, or whose name is not in all versions of NumPy and SciPy that minigen works with."""


def main() -> None:
    """Write the page."""
    write_atomically(PAGE, page().encode())
    print(f"written to {PAGE}")


def page() -> str:
    """Return the whole page."""
    by_file: dict[str, list[str]] = {}
    for name in sorted(ops.__all__, key=str.lower):
        by_file.setdefault(file_of(getattr(ops, name)), []).append(name)
    parts = [HEAD]
    for file, names in sorted(by_file.items()):
        path = f"minigen/ops/{file}.py"
        heading = first_line(importlib.import_module(f"minigen.ops.{file}")).removesuffix(".")
        parts.append(f"\n## {heading}\n\n[{path}](../{path})\n\n| function | twin | |\n|---|---|---|\n")
        parts += [row(name) for name in names]
    return "".join(parts)


def file_of(function: Any) -> str:
    """Return the file of `minigen/ops/` under which a function is listed; the engine's own `add` belongs to the elementwise ones."""
    file = definition(function).__module__.removeprefix("minigen.ops.")
    return "elementwise" if file == "minigen.engine" else file


def row(name: str) -> str:
    """Return the line of a function."""
    function = getattr(ops, name)
    twin = twin_of(name)
    cells = [f"`{call(name, function)}`", f"`{twin}`" if twin else "—", escaped(first_line(definition(function)))]
    return f"| {' | '.join(cells)} |\n"


def call(name: str, function: Any) -> str:
    """Return a call of a function with the names of its arguments and their defaults; `*` stands before one that must be given by name."""
    shown: list[str] = []
    for parameter in inspect.signature(definition(function)).parameters.values():
        is_required = parameter.default is parameter.empty
        if is_required and shown and "=" in shown[-1]:
            shown.append("*")
        star = "*" if parameter.kind is parameter.VAR_POSITIONAL else ""
        shown.append(f"{star}{parameter.name}" + ("" if is_required else f"={parameter.default!r}"))
    return f"{name}({', '.join(shown)})"


def twin_of(name: str) -> str:
    """Return the function of another library that computes the same, or an empty string."""
    if name in TWINS:
        return TWINS[name]
    return next((f"{module}.{name}" for module, names in SAME_NAME.items() if hasattr(names, name)), "")


def definition(function: Any) -> Any:
    """Return the function as it stands in its file."""
    return function.forward if isinstance(function, Primitive) else inspect.unwrap(function)


def first_line(documented: Any) -> str:
    """Return the first line of a docstring."""
    return (documented.__doc__ or "").strip().partition("\n")[0]


def escaped(text: str) -> str:
    """Return a text with the characters escaped that would mean something in a table."""
    for character in "|*":
        text = text.replace(character, f"\\{character}")
    return text


if __name__ == "__main__":
    main()
