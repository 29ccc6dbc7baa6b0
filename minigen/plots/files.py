"""Writing a figure to a file, whole or not at all."""

import os
from pathlib import Path

from matplotlib.figure import Figure

from minigen.plots.style import styled

UNDATED = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
"""The formats by suffix, each with the metadata that keeps the time of writing out of the file."""


@styled
def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure in the format of the path's suffix; the same figure gives the same bytes.

    The picture is drawn into a file beside `path` and then renamed, so `path` never holds half a picture, and keeps
    what it held when drawing fails. A missing folder is made.

    Args:
        figure: the picture.
        path: a file ending in .png, .svg or .pdf.

    Raises:
        ValueError: another suffix.

    Example:
        >>> save(Figure(), "densities.jpeg")
        Traceback (most recent call last):
        ValueError: save: 'densities.jpeg' ends in '.jpeg'; a picture is written as .png, .svg, .pdf
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in UNDATED:
        raise ValueError(f"save: {str(path)!r} ends in {suffix!r}; a picture is written as {', '.join(UNDATED)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        figure.savefig(aside, format=suffix[1:], metadata=UNDATED[suffix])
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
