"""Memory that arrays give back, kept for the next ones.

The system's allocator returns big pieces to the operating system as soon as they are free, and gets them again a moment later, page by
page, each cleared and entered into a table: in a training step that takes as long as some of the arithmetic.
"""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Of glibc's malloc.h. The threshold is the largest that it takes; bigger arrays always come from the operating system.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGEST_MMAP_THRESHOLD, _NEVER, _USUAL = 2**25, 2**31 - 1, 2**26


@contextmanager
def kept_memory() -> Iterator[None]:
    """Inside the block, what arrays of up to 32 MB give back stays with the process; the end of the block returns what is then free.

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
