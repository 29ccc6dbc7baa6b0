"""Words for what went wrong. Nothing here runs on the happy path: a check is a plain comparison, an explanation is built after failure."""

import traceback
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from minigen.backend import Array, array_module, device_of

SMALLER_BATCH = "; a smaller batch needs less"


def described(name: str, value: Any) -> str:
    """Return an argument in words: an array by its shape and dtype, anything else by its value.

    Example:
        >>> import numpy as np
        >>> described("x", np.zeros((2, 3))), described("axis", 1)
        ('x (2, 3) float64', 'axis = 1')
    """
    return f"{name} {value.shape} {value.dtype}" if device_of(value) else f"{name} = {value!r}"


def not_admitted(operation: str, value: Any) -> str:
    """Say that an argument is not an array."""
    kind = type(value).__name__
    return (
        f"{operation}: an argument is a {kind}; expected a Tensor, an array or a number (mg.tensor makes one of lists)"
    )


def is_not_admitted(error: Exception) -> bool:
    """Return whether an error is one that `not_admitted` words, for this operation or for one that it calls."""
    return isinstance(error, TypeError) and ": an argument is a " in str(error)


def explained(
    error: Exception,
    operation: str,
    names: Sequence[str],
    arrays: Sequence[Any],
    keywords: Mapping[str, Any],
    settings: Collection[str],
) -> Exception:
    """Return an error of the same kind that names the operation and everything it was given.

    Args:
        error: what the array library raised; one whose message already begins with the operation's name is returned as it is.
        operation: its name.
        names: of the arrays.
        arrays: the positional arguments.
        keywords: the others.
        settings: the names that keywords may have.
    """
    if str(error).startswith(f"{operation}: "):
        return error
    if len({device_of(array) for array in arrays} - {None}) > 1:
        placed = ", ".join(f"{name} is on {device_of(array)}" for name, array in zip(names, arrays, strict=True))
        return ValueError(
            f"{operation}: the arguments are on different devices ({placed}); move one with .to('gpu') or .to('cpu')"
        )
    for name, value in keywords.items():
        if name in names:
            return TypeError(f"{operation}: {name} is given twice, by position and by keyword")
        if name not in settings:
            return TypeError(f"{operation}: there is no argument {name!r}; it takes {', '.join([*names, *settings])}")
        if device_of(getattr(value, "data", value)) and value.shape:
            return TypeError(f"{operation}: {name} is an array of shape {value.shape}; expected a plain value")
    given = [described(name, array) for name, array in zip(names, arrays, strict=True)]
    given += [described(name, value) for name, value in keywords.items()]
    advice = f"{SMALLER_BATCH}, as does no_grad() where no gradient is wanted" if isinstance(error, MemoryError) else ""
    return kind_of(error)(f"{operation}: {error}; got {', '.join(given)}{advice}")


def exhausted(error: MemoryError, operation: str, cotangent: Any, saved: Mapping[str, Any]) -> MemoryError:
    """Return an error that names the operation whose gradient found no memory, and the arrays from which it is computed.

    Args:
        error: what the array library raised, or an operation that the gradient is computed by; the latter explains itself.
        operation: its name.
        cotangent: the gradient of its output.
        saved: what it saved, by name.
    """
    if SMALLER_BATCH in str(error):
        return error
    values = {"the cotangent": cotangent, **saved}
    arrays = {name: value if device_of(value) else getattr(value, "data", None) for name, value in values.items()}
    given = [described(name, array) for name, array in arrays.items() if device_of(array)]
    return MemoryError(f"{operation}: {error}, in its gradient; got {', '.join(given)}{SMALLER_BATCH}")


def kind_of(error: Exception) -> type[Exception]:
    """Return the built-in kind of an error, which can be made with a message alone: IndexError, ValueError, MemoryError, or else TypeError.

    Example:
        >>> kind_of(AttributeError("no shape"))
        <class 'TypeError'>
    """
    return next((kind for kind in (IndexError, ValueError, MemoryError) if isinstance(error, kind)), TypeError)


def check_finite(what: str, values: Array, names: Sequence[str], inputs: Sequence[Any], origin: str) -> None:
    """Stop at values that are not finite.

    Args:
        what: the operation and which of its results this is.
        values: the array to check.
        names: of the inputs.
        inputs: what the operation was given; their ranges are reported.
        origin: where the operation was called.

    Raises:
        FloatingPointError: a value is NaN or infinite.
    """
    module = array_module(values)
    if values.dtype.kind not in "fc" or module.isfinite(values).all():
        return
    bad = module.argwhere(~module.isfinite(values))
    first = tuple(int(i) for i in bad[0])
    ranges = [
        f"{described(name, array)} in [{array.min():.6g}, {array.max():.6g}]"
        for name, array in zip(names, inputs, strict=True)
        if device_of(array) and array.size
    ]
    raise FloatingPointError(
        f"{what} has {len(bad)} of {values.size} values not finite (first at {first}: {values[first]}); "
        f"from {', '.join(ranges)}; made at {origin}"
    )


def origin() -> str:
    """Return file:line and the text of the innermost caller outside this package."""
    package = str(Path(__file__).parent)
    frames = [frame for frame in traceback.extract_stack() if not frame.filename.startswith(package)]
    return f"{frames[-1].filename}:{frames[-1].lineno} ({frames[-1].line})" if frames else "an unknown place"
