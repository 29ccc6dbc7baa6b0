"""How the kernels for the CPU are compiled."""

from collections.abc import Callable
from typing import Any

import numba

# Division by zero follows IEEE 754. A product and a sum may share one rounding; nothing else is relaxed, so that NaN and
# infinity keep their meaning.
_OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": {"contract"}}

inner = numba.njit(**_OPTIONS)
"""For functions that only loops call."""

inlined = numba.njit(inline="always", **_OPTIONS)
"""For those whose arguments many arrays are: in the place of the call the compiler knows that they do not overlap, and makes vectors."""

summing = numba.njit(error_model="numpy", fastmath={"contract", "reassoc"})
"""For `inner` functions that add up along a vector: the order of a sum is free in them, without which it would not vectorise.

They add and do nothing else: where order is free, (x + c) - c is x. What they add up is computed by calls of `inner` functions.
"""


def loop(function: Callable[..., Any]) -> Any:
    """Compile a loop at its first call, and keep the machine code on disk if there is a folder to write to.

    Kept code is made anew when the loop's own file changes, but not when an `inner` function of another file does: whoever edits one of
    those deletes the folders `__pycache__`.
    """
    try:
        return numba.njit(function, cache=True, nogil=True, **_OPTIONS)
    except RuntimeError:  # Numba finds no such folder, as in a read-only installation
        return numba.njit(function, nogil=True, **_OPTIONS)
