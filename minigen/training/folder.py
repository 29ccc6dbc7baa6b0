"""The run folder: where one run leaves its pictures, figures and weights."""

import json
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from minigen.training.files import write_atomically
from minigen.training.plain import not_finite, plain

REPORTED_PACKAGES = (
    "minigen", "numpy", "numba", "scipy", "matplotlib", "cupy", "cupy-cuda13x", "cupy-cuda12x", "numba-cuda",
)  # fmt: skip


def versions() -> dict[str, str]:
    """Return the versions of Python and of the installed packages that a result may depend on.

    Example:
        >>> "numpy" in versions()
        True
    """
    found = {"python": platform.python_version()}
    for package in REPORTED_PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def write_metrics(path: str | Path, metrics: Mapping[str, Any]) -> None:
    """Write figures as JSON, whole or not at all.

    Args:
        path: the file, by custom "metrics.json".
        metrics: by name: numbers (also NumPy's), strings, lists, arrays, dicts or None.

    Raises:
        TypeError: JSON cannot hold a figure; the message names it.
        ValueError: a figure is NaN or infinite, which JSON cannot express.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_metrics(Path(folder) / "metrics.json", {"loss": 0.5})
        ...     (Path(folder) / "metrics.json").read_text()
        '{\\n  "loss": 0.5\\n}\\n'
    """
    figures = {name: plain(value, f"write_metrics: {name}") for name, value in metrics.items()}
    bad = [f"{name} is {number}" for name, number in not_finite(figures, "")]
    if bad:
        raise ValueError(f"write_metrics: {', '.join(bad)}; JSON has no such number")
    write_atomically(path, (json.dumps(figures, indent=2, allow_nan=False) + "\n").encode())


def table(rows: Sequence[tuple[str, str]], title: str) -> str:
    """Return names and values as two aligned columns under a title.

    Example:
        >>> print(table([("loss", "0.5"), ("steps", "100")], "Figures"))
        Figures
        -----------
        loss    0.5
        steps   100
    """
    name_width, value_width = (max(map(len, column)) for column in zip(*rows, strict=True))
    lines = [f"{name.ljust(name_width)}   {value.rjust(value_width)}" for name, value in rows]
    return "\n".join([title, "-" * (name_width + value_width + 3), *lines])
