"""Memory that is kept for the next use: workspaces of kernels, and what arrays give back.

The system's allocator returns big pieces to the operating system as soon as they are free, and gets them again a moment later, page by
page, each cleared and entered into a table: in a training step that takes as long as some of the arithmetic.
"""

import ctypes
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

from minigen.backend import Array
from minigen.guards import process_guard

APART = 16
"""Floats between the rows of a buffer. A row length that is a power of two would put all rows into one place of the cache."""

_workspaces: dict[tuple[int, str], Array] = {}


def workspace(name: str, size: int) -> Array:
    """Return `size` floats that this thread may use until it asks for that name again. What they hold is left over from before.

    Example:
        >>> workspace("example", 10).dtype
        dtype('float32')
    """
    key = threading.get_ident(), name
    found = _workspaces.get(key)
    if found is None or found.size < size:
        found = _workspaces[key] = np.empty(size, np.float32)
    return found[:size]


def release_workspaces() -> None:
    """Give back the memory that compiled kernels keep from call to call: for each thread, one piece of each name.

    Example:
        >>> release_workspaces()
    """
    _workspaces.clear()


# Of glibc's malloc.h. The threshold is the largest that it takes; bigger arrays always come from the operating system.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGEST_MMAP_THRESHOLD, _NEVER, _USUAL = 2**25, 2**31 - 1, 2**26


@process_guard
def kept_memory() -> Iterator[None]:
    """Keep the memory of freed arrays of up to 32 MB in the process inside the block; the end of the last block returns what is then free.

    It holds for the whole process, PyTorch's arrays included. Where the C library is not glibc, nothing is changed.

    Example:
        >>> with kept_memory():
        ...     pass
    """
    library: Any = ctypes.CDLL(None) if sys.platform == "linux" else None
    if not hasattr(library, "mallopt"):
        yield
        return
    library.mallopt(_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD)
    library.mallopt(_TRIM_THRESHOLD, _NEVER)
    try:
        yield
    finally:
        library.mallopt(_TRIM_THRESHOLD, _USUAL)
        library.malloc_trim(0)
