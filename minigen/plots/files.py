"""Writing a figure to a file, whole or not at all."""

import io
import os
from pathlib import Path

from matplotlib.figure import Figure

from minigen.plots.style import boxes_for_missing_letters, styled
from minigen.training import write_atomically

UNDATED = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
"""The formats by suffix, each with the metadata that keeps the time of writing out of the file."""


@styled
def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure in the format of the path's suffix; the same figure gives the same bytes, however often it is written.

    Before it is first written, the figure arranges its panels, for good: matplotlib would do so at each drawing, each time a little
    differently.

    The picture is drawn in memory and then written by `training.write_atomically`, so `path` never holds half a picture, and keeps what
    it held when drawing or writing fails. A missing folder is made.

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
    drawn = io.BytesIO()
    with boxes_for_missing_letters():
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        figure.savefig(drawn, format=suffix[1:], metadata=UNDATED[suffix])
    write_atomically(path, drawn.getvalue())
