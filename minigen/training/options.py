"""Command-line options that say what they accept, and mistakes that end a program with a sentence in place of a traceback."""

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from minigen.backend import module_of


def at_least(minimum: int) -> Callable[[str], int]:
    """Return an argparse type for whole numbers from `minimum` on.

    Example:
        >>> at_least(1)("3")
        3
    """

    def whole_number(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from None
        if number < minimum:
            raise argparse.ArgumentTypeError(f"{number} is less than {minimum}")
        return number

    return whole_number


def positive(text: str) -> float:
    """Be an argparse type for numbers above 0.

    Example:
        >>> positive("0.5")
        0.5
    """
    try:
        number = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from None
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0 and finite")
    return number


def device(text: str) -> str:
    """Be an argparse type for a device that is there.

    Example:
        >>> device("cpu")
        'cpu'
    """
    try:
        module_of(text)
    except (ValueError, RuntimeError) as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


@contextmanager
def plain_errors() -> Iterator[None]:
    """End the program with the message of a ValueError or OSError inside the block, which only takes over what the user gave.

    Example:
        >>> with plain_errors():
        ...     raise ValueError("my.csv has no column 'hight'")
        Traceback (most recent call last):
        SystemExit: error: my.csv has no column 'hight'
    """
    try:
        yield
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
