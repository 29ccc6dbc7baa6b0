"""Checks of the annotations that give shapes and dtypes, such as Float[TensorLike, "N H W C"].

At run time they are strings that nobody reads. Here they are read, and compared with the arguments and results of functions.
"""

import ast
import collections.abc
import doctest
import functools
import inspect
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from types import UnionType
from typing import Any, Union, get_args, get_origin

import jaxtyping

from minigen.engine import Tensor

KINDS = ("Bool", "Float", "Int", "Integer", "Num", "Shaped")
"""The names of jaxtyping that minigen uses."""

ARRAYS = {"Array", "NDArray", "Tensor", "TensorLike"}
"""Types that by themselves give neither shape nor dtype."""


# ---------------------------------------------------------------------------------------------- are they there?


def untold(function: Callable[..., Any], *, whole: bool = False) -> Iterator[str]:
    """Yield what is wrong with a function's annotations: that of an array gives no shape, or one is missing.

    Args:
        function: any.
        whole: whether all that is given by position, and the result, must be arrays.
    """
    signature = inspect.signature(function)
    annotations = {name: (p.annotation, p.kind) for name, p in signature.parameters.items() if name != "self"}
    annotations["the result"] = signature.return_annotation, inspect.Parameter.POSITIONAL_OR_KEYWORD
    for name, (annotation, kind) in annotations.items():
        if not isinstance(annotation, str):
            yield f"{function.__qualname__}: {name} has no annotation, or the file lacks `from __future__ import annotations`"
            continue
        nodes = list(ast.walk(ast.parse(annotation)))
        told = [n.slice.elts[0] for n in nodes if isinstance(n, ast.Subscript) and getattr(n.value, "id", "") in KINDS]
        told += [n.value for n in told if isinstance(n, ast.Subscript)]  # NDArray[Any]
        bare = [n for n in nodes if isinstance(n, ast.Name) and n.id in ARRAYS and n not in told]
        by_position = kind in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
        if bare or (whole and by_position and not is_told(annotation)):
            yield f'{function.__qualname__}: {name} is {annotation}; tell its dtype and shape, as Float[Array, "N C"]'


def is_told(annotation: Any) -> bool:
    """Return whether an annotation tells an array's dtype and shape."""
    return isinstance(annotation, str) and any(f"{kind}[" in annotation for kind in KINDS)


def tells(function: Callable[..., Any]) -> bool:
    """Return whether any of a function's annotations tells an array's dtype and shape."""
    return any(map(is_told, inspect.unwrap(function).__annotations__.values()))


# ------------------------------------------------------------------------------------------------ are they true?


def run_example(part: Callable[..., Any], **names: Any) -> None:
    """Run the example in a docstring, with some names bound to other objects."""
    space = {**vars(sys.modules[part.__module__]), **names}
    for example in doctest.DocTestFinder(recurse=False).find(part, part.__name__, globs=space):
        flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL
        try:
            doctest.DebugRunner(optionflags=flags).run(example)
        except doctest.UnexpectedException as failure:
            raise failure.exc_info[1] from None


def checked(function: Callable[..., Any], found: set[str]) -> Callable[..., Any]:
    """Return the function with a check of every call, which puts the function's name into `found`."""

    @functools.wraps(function)
    def calling(*arguments: Any, **keywords: Any) -> Any:
        result = function(*arguments, **keywords)
        check_call(function, arguments, keywords, result)
        found.add(function.__qualname__)
        return result

    return calling


def check_call(function: Callable[..., Any], arguments: Sequence[Any], keywords: dict[str, Any], result: Any) -> None:
    """Raise if an argument or the result is not what its annotation says; a letter stands for one length in the whole call."""
    signature = inspect.signature(function)
    bound = signature.bind(*arguments, **keywords)
    bound.apply_defaults()
    values = []
    for name, value in bound.arguments.items():
        parameter = signature.parameters[name]
        each = value if parameter.kind is inspect.Parameter.VAR_POSITIONAL else (value,)
        values += [(name, parameter.annotation, one, Tensor) for one in each]
    # Where no Tensor goes in, an array may come out.
    values.append(("the result", signature.return_annotation, result, Tensor if has_tensor(values) else Any))
    pending = [value for value in values if is_told(written_out(function.__module__, value[1]))]
    with jaxtyping.jaxtyped("context"):
        while pending:
            postponed = []
            for name, annotation, value, tensor in pending:
                text = written_out(function.__module__, annotation).format(**bound.arguments)  # {groups} is an argument
                try:
                    fits = matches(value, meaning(function.__module__, text, tensor))
                except jaxtyping.AnnotationError:  # such as that of 2*p, where p is not known yet
                    postponed.append((name, annotation, value, tensor))
                    continue
                if not fits:
                    call = ", ".join(f"{n} {described(v)}" for n, _, v, _ in values)
                    raise AssertionError(f"{function.__qualname__}: {name} is not {annotation}; the call: {call}")
            assert len(postponed) < len(pending), (
                f"{function.__qualname__}: {postponed[0][1]} has letters that no argument has"
            )
            pending = postponed


def has_tensor(value: Any) -> bool:
    return any(map(has_tensor, value)) if isinstance(value, list | tuple) else isinstance(value, Tensor)


@functools.cache
def written_out(module: str, annotation: Any) -> Any:
    """Return an annotation with the module's own names for annotations replaced by what they stand for."""
    if not isinstance(annotation, str):
        return annotation
    names = {name: value for name, value in vars(sys.modules[module]).items() if is_told(value)}
    return re.sub(r"[A-Za-z_]\w*", lambda word: names.get(word[0], word[0]), annotation)


@functools.cache
def meaning(module: str, annotation: str, tensor: Any) -> Any:
    """Return the type that an annotation in a module stands for, with `tensor` in the place of Tensor."""
    kinds = {kind: getattr(jaxtyping, kind) for kind in KINDS}
    return eval(annotation, {**vars(sys.modules[module]), **kinds, "Tensor": tensor})


def matches(value: Any, hint: Any) -> bool:
    """Return whether a value is of a type, down into unions, tuples, lists and dictionaries."""
    origin, parts = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, UnionType):
        return any(matches(value, part) for part in parts)
    if origin is tuple and Ellipsis not in parts:
        return isinstance(value, tuple) and len(value) == len(parts) and all(map(matches, value, parts))
    if origin in (tuple, list, collections.abc.Sequence):
        return isinstance(value, origin) and all(matches(one, parts[0]) for one in value)
    if origin in (dict, collections.abc.Mapping):
        return isinstance(value, origin) and all(matches(one, parts[1]) for one in value.values())
    if hint is float:
        return isinstance(value, int | float)
    return isinstance(value, origin or hint)


def described(value: Any) -> str:
    if hasattr(value, "dtype"):
        return f"{type(value).__name__} {value.dtype} {value.shape}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(described, value))}]"
    return repr(value)
