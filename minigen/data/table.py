"""Numbers of one's own, from a CSV file.

Spreadsheets write such files in many dialects. Read are those with a header line of column names; columns parted by commas, semicolons or
tabs; decimal points; UTF-8, with a byte order mark or without. Whatever else stands in the file is refused, with the line where it stands:
nobody would notice later that a number was misread.
"""

import csv
import difflib
import itertools
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

DELIMITERS = ",;\t"
NO_TEXT = re.compile("[\0\udc80-\udcff]")  # a zero byte, or one that is no UTF-8 and was read as a lone surrogate
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|[+-]?(inf|infinity|nan)", re.IGNORECASE)
SEPARATOR = re.compile(r"sep=(.) *[\r\n]*", re.IGNORECASE)  # the line that tells Excel the delimiter
SHOWN = 40  # characters of a cell or a name in a message
LISTED = 20  # columns that a message names
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(e[+-]?\d+)?", re.IGNORECASE)


def read_column(path: str | os.PathLike[str], column: str | None = None) -> NDArray[np.float64]:
    """Read one column of numbers from a CSV file with a header line.

    The delimiter is the one that a line `sep=;` above the header names, or else the one that occurs most often in the header. Cells may be
    in double quotes. Lines without content are skipped. Numbers are written with the digits 0 to 9, a point, and an e before an exponent.

    Args:
        path: the file.
        column: the column's name in the header; None where there is only one.

    Returns:
        (N,), the numbers in the order of the file; at least two different ones.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the path is a folder; the file is not text, or not such a table; the column is unknown or occurs twice; a cell is
            empty or does not hold a finite number. The message names the line and says what would be right.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "trees.csv"
        ...     _ = path.write_text("name;height\\nash;21.5\\noak;18\\n")
        ...     read_column(path, "height")
        array([21.5, 18. ])
    """
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"read_column: {path} is a folder, expected a CSV file")
    if not path.is_file():
        raise FileNotFoundError(f"read_column: there is no file {path}")
    rows = _rows(path)
    _, header = next(rows, (0, []))
    if not header:
        raise ValueError(f"read_column: {path} is empty, expected a header line and numbers below it")
    position = _position(header, column, path)

    values, empty = [], []
    for line, cells in rows:
        if any(cells[len(header) :]):
            raise ValueError(
                f"read_column: {path}, line {line} has {len(cells)} cells, but the header names {len(header)}; if there is a decimal "
                "comma, write a point"
            )
        cell = cells[position] if position < len(cells) else ""
        if cell:
            values.append(_number(cell, f"read_column: {path}, line {line}: column {_quoted(header[position])}"))
        else:
            empty.append(line)
    if empty:
        raise ValueError(
            f"read_column: {path}: column {_quoted(header[position])} has {len(empty)} empty cells, the first in line {empty[0]}; "
            "fill them, or leave their lines out"
        )
    if len(set(values)) < 2:
        found = f"{len(values)} numbers, all {values[0]:g}" if values else "no numbers"
        raise ValueError(
            f"read_column: {path}: column {_quoted(header[position])} has {found}; expected at least two different ones"
        )
    return np.array(values)


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that have content, the header first: the number of the line, and the cells without blanks around them."""
    with open(path, encoding="utf-8-sig", errors="surrogateescape") as file:
        lines = _text_lines(file, path)
        opening: list[str] = []  # the lines up to the header
        delimiter, above = "", 0  # the delimiter that a line names, and the number of that line
        for text in lines:
            opening.append(text)
            if not delimiter and (named := SEPARATOR.fullmatch(text)):
                delimiter, above, opening = named[1], len(opening), []
            elif text.strip():
                break
        if delimiter and delimiter not in DELIMITERS:
            raise ValueError(
                f"read_column: {path}, line {above} names the delimiter {delimiter!r}, expected a comma, a semicolon or a tab"
            )
        unquoted = re.sub(r'"[^"]*"', "", "".join(opening))
        delimiter = delimiter or max(DELIMITERS, key=unquoted.count)
        reader = csv.reader(itertools.chain(opening, lines), delimiter=delimiter, strict=True)
        try:
            for row in reader:
                cells = [cell.strip() for cell in row]
                if any(cells):
                    yield above + reader.line_num, cells
        except csv.Error as error:
            raise ValueError(
                f"read_column: {path}, line {above + reader.line_num} is not a line of a CSV file: {error}"
            ) from error


def _text_lines(file: Iterator[str], path: Path) -> Iterator[str]:
    for number, text in enumerate(file, 1):
        if NO_TEXT.search(text):
            raise ValueError(f"read_column: {path}, line {number} is not text in UTF-8; save the table as CSV in UTF-8")
        yield text


def _position(header: list[str], column: str | None, path: Path) -> int:
    """Return where the column stands in the header."""
    names = [name for name in header if name]
    if column not in names and all(map(_is_number, names)):
        raise ValueError(
            f"read_column: {path} begins with {names[0][:SHOWN]}, expected a header line with the columns' names"
        )
    listed = ", ".join(map(_quoted, names[:LISTED]))
    if len(names) > LISTED:
        listed += f" and {len(names) - LISTED:,} more"
    if column is None:
        if len(names) > 1:
            raise ValueError(f"read_column: {path} has {len(names)} columns, choose one of them: {listed}")
        (column,) = names
    if column not in names:
        # Only the first names and their beginnings are compared: the time grows with the square of their length.
        (near,) = difflib.get_close_matches(column[:SHOWN], [name[:SHOWN] for name in names[:1000]], n=1, cutoff=0.0)
        raise ValueError(
            f"read_column: {path} has no column {_quoted(column)}, did you mean {near!r}? Its columns are {listed}"
        )
    if names.count(column) > 1:
        raise ValueError(
            f"read_column: {path} has {names.count(column)} columns {_quoted(column)}, expected different names"
        )
    return header.index(column)


def _number(cell: str, where: str) -> float:
    if not _is_number(cell):
        hint = ", with a decimal point" if DECIMAL_COMMA.fullmatch(cell) else ""
        if _python_reads(cell):
            hint = ", in the digits 0 to 9 only"
        raise ValueError(f"{where} holds {_quoted(cell)}, expected a number{hint}")
    value = float(cell)
    if not math.isfinite(value):
        raise ValueError(f"{where} holds {_quoted(cell)}, expected a finite number")
    return value


def _is_number(text: str) -> bool:
    return NUMBER.fullmatch(text) is not None


def _quoted(text: str) -> str:
    return repr(text[:SHOWN])


def _python_reads(text: str) -> bool:
    """Return whether Python's `float` reads a text: it ignores underscores, and knows the digits of every script."""
    try:
        float(text)
    except ValueError:
        return False
    return True
