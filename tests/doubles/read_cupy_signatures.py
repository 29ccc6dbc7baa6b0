"""Write cupy_signatures.json: the parameters of CuPy's functions and methods, read off an installed CuPy. It needs no GPU.

    python -m venv /tmp/cupy && /tmp/cupy/bin/pip install "cupy-cuda13x==14.2.*"
    /tmp/cupy/bin/python tests/doubles/read_cupy_signatures.py

A function written in Python tells its signature; a compiled method has it in the first line of its documentation. Defaults that are plain
values are kept, others are written as `...`. Ufuncs have one signature, which the double knows.
"""

import ast
import inspect
import json
import re
import warnings
from pathlib import Path
from typing import Any

TYPE = re.compile(r"\w+ (?=\w)")
"""The type before a parameter's name, in a compiled function."""

PLAIN = (type(None), bool, int, float, str)
"""The types of defaults that are kept."""


def parameters(function: Any) -> str | None:
    """Return the parameters as they stand between the brackets of a definition, without `self`; None if nothing tells them."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        found = re.match(r"[\w.]+\((.*?)\)(?: ->|\n|$)", function.__doc__ or "")
        if found is None:
            return None
        text = TYPE.sub("", found[1])
        try:
            arguments = ast.parse(f"def f({text}): ...").body[0].args
        except SyntaxError:
            return None
        arguments.args = [argument for argument in arguments.args if argument.arg != "self"]
        for argument in [*arguments.args, *arguments.kwonlyargs]:
            argument.annotation = None
        return ast.unparse(arguments)
    bare = [
        parameter.replace(
            annotation=parameter.empty,
            default=parameter.default
            if parameter.default is parameter.empty or isinstance(parameter.default, PLAIN)
            else ...,
        )
        for parameter in signature.parameters.values()
        if parameter.name != "self"
    ]
    return str(inspect.Signature(bare))[1:-1].replace("Ellipsis", "...")


def main() -> None:
    """Write the table beside this file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a driver that is not there
        import cupy
    table: dict[str, Any] = {"cupy": cupy.__version__}
    for title, owner in (("functions", cupy), ("linalg", cupy.linalg), ("methods", cupy.ndarray)):
        found = {}
        for name in sorted(dir(owner)):
            function = getattr(owner, name)
            if name.startswith("_") or not callable(function) or inspect.isclass(function):
                continue
            if not isinstance(function, cupy.ufunc) and (told := parameters(function)) is not None:
                found[name] = told
        table[title] = found
    path = Path(__file__).with_name("cupy_signatures.json")
    path.write_text(json.dumps(table, indent=1) + "\n")
    print(f"{path}: {sum(map(len, table.values())) - len(table['cupy'])} signatures of CuPy {table['cupy']}")


if __name__ == "__main__":
    main()
