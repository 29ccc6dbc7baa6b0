"""A few threads for big arrays: a contiguous piece of the work for each.

A compiled kernel lets go of Python's interpreter lock, so plain Python threads run it side by side. A piece
below `SMALLEST_PIECE` elements is over before a second thread has woken up; such work stays in one piece.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from minigen.guards import process_guard

SMALLEST_PIECE = 32_768


def _default_count() -> int:
    text = os.environ.get("MINIGEN_THREADS")
    if text is None:
        affinity = getattr(os, "sched_getaffinity", None)
        return len(affinity(0)) if affinity else os.cpu_count() or 1
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"MINIGEN_THREADS={text!r}: expected a whole number of threads, 1 or more")
    return int(text)


_count = _default_count()
_pool: ThreadPoolExecutor | None = None
_blas_is_limited = False


def get_threads() -> int:
    """Return how many threads share the work on a big array.

    The default is the environment variable `MINIGEN_THREADS`, else the CPUs this process may use.

    Example:
        >>> get_threads() >= 1
        True
    """
    return _count


def set_threads(count: int) -> None:
    """Choose how many threads share the work on a big array; 1 computes in the calling thread alone.

    Args:
        count: threads, the calling one included.

    Raises:
        ValueError: `count` is below 1.

    Example:
        >>> before = get_threads()
        >>> set_threads(1)
        >>> get_threads()
        1
        >>> set_threads(before)
    """
    global _count
    if count < 1:
        raise ValueError(f"set_threads: count is {count}, expected 1 or more")
    _count = count
    _forget_pool()


@process_guard
def one_blas_thread() -> Iterator[None]:
    """Inside the block BLAS computes in the thread that calls it, and `kernels.matmul` spreads big products over minigen's own threads.

    BLAS spreads even products so small that handing the work over takes longer than the work, and two pools of threads on the same
    cores hinder each other. The limit holds for the whole process while the block runs.

    Example:
        >>> with one_blas_thread():
        ...     blas_is_limited()
        True
    """
    from threadpoolctl import threadpool_limits

    global _blas_is_limited
    with threadpool_limits(1, user_api="blas"):
        _blas_is_limited = True
        try:
            yield
        finally:
            _blas_is_limited = False


def blas_is_limited() -> bool:
    """Return whether a `one_blas_thread` block is running."""
    return _blas_is_limited


def in_pieces(work: Callable[[int, int], object], length: int, smallest: int = SMALLEST_PIECE) -> None:
    """Call `work(start, stop)` on pieces that cover `range(length)`, at the same time where it pays.

    Args:
        work: computes the elements from `start` up to `stop`; the pieces must not touch each other.
        length: number of elements.
        smallest: elements that are worth a thread.

    Example:
        >>> seen = []
        >>> in_pieces(lambda start, stop: seen.append((start, stop)), 10)
        >>> seen
        [(0, 10)]
    """
    pieces = min(_count, length // smallest)
    if pieces <= 1:
        work(0, length)
        return
    step = -(-length // pieces)
    pool = _workers()
    others = [pool.submit(work, start, min(start + step, length)) for start in range(step, length, step)]
    work(0, step)  # the calling thread takes a piece itself
    for other in others:
        other.result()


def _workers() -> ThreadPoolExecutor:
    global _pool
    if _pool is None:
        _pool = ThreadPoolExecutor(_count - 1, thread_name_prefix="minigen")
    return _pool


def _forget_pool() -> None:
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):  # a forked child has the pool's object but none of its threads
    os.register_at_fork(after_in_child=_forget_pool)
