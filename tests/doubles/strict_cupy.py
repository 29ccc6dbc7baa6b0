"""A stand-in for CuPy on machines without a GPU: an array module that computes with NumPy and refuses whatever CuPy refuses, and more.

Code that runs on these arrays runs on CuPy's. Each rule is there because NumPy lets something pass that a GPU does not:

* `ndarray` wraps a NumPy array and is none. NumPy's functions, `np.asarray` first of all, raise: on a GPU each would be a silent copy to
  the host. (CuPy hands some of NumPy's functions on to its own; here all raise, so that the array's own module is asked.)
* Operands are arrays of the device and Python numbers. NumPy arrays, lists, and NumPy scalars of another dtype than the arrays' raise: CuPy
  refuses the first two, and the third widens, as in `float32_array * np.float64(0.5)`.
* Keys are integers, slices, None, Ellipsis, and index arrays of the device. An index outside the array raises; CuPy wraps it around.
* Reductions and single elements are 0-d arrays, never scalars, and single elements are views.
* A function takes arrays where it takes arrays; only ufuncs also take numbers. `where` of a bool and `clip` of a number fail in CuPy.
* Names that CuPy lacks raise, and so do arguments that its functions lack (`initial=`, `where=`, `clip(min=)`, ...): each call must fit the
  signature of CuPy's own function, from a table. `ufunc.at` exists for few functions and dtypes; floats are not added by it, since threads
  come in another order each time, and so do roundings.
* The sign of NaN is 0. A matrix that cannot be inverted or factorized gives NaN, and no LinAlgError.
* Nothing tells the layout or the address of the memory, `__cuda_array_interface__` included, without which minigen's own CUDA kernels
  leave an array to `kernels.reference`. What `empty` returns is NaN.
* What the host must wait for is counted (`counting`): every value that it reads, and every result whose shape depends on values. So is
  every copy to the device. Launches are counted too, one for each result that is computed, which is roughly what a GPU does; and apart from
  them reductions that leave a GPU idle, see `Transfers`.

NumPy's warnings of overflow and division are off, since a GPU gives none.

Names and arguments are those of CuPy 14. The signatures are in `cupy_signatures.json`, which `read_cupy_signatures.py` reads off an
installed CuPy; `test_strict_cupy.py` compares the names with CuPy where it is installed.
"""

import functools
import inspect
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import EllipsisType, ModuleType, NoneType
from typing import Any

import numpy as np

# ------------------------------------------------------------------------------------------------------------- transfers


@dataclass
class Transfers:
    """The places in the code, as "file:line what", where data crossed between host and device. Two of them are equal if these are.

    Attributes:
        to_host: what the host waited for.
        to_device: copies from the host.
        launches: what was computed; CuPy launches a kernel for each, or a few. Views are not, nor is what `empty` returns.
        narrow: those launches among them that reduce much to little along other axes than the last. CuPy gives 32 outputs to one block.
    """

    to_host: list[str] = field(default_factory=list)
    to_device: list[str] = field(default_factory=list)
    launches: list[str] = field(default_factory=list, compare=False)
    narrow: list[str] = field(default_factory=list, compare=False)


_counters: list[Transfers] = []


@contextmanager
def counting() -> Iterator[Transfers]:
    """Count the transfers inside the block.

    Example:
        >>> x = cupy.asarray([1.0, 2.0])
        >>> with counting() as transfers:
        ...     total = x.sum()
        >>> transfers.to_host
        []
        >>> with counting() as transfers:
        ...     value = float(total)
        >>> len(transfers.to_host)
        1
    """
    transfers = Transfers()
    _counters.append(transfers)
    try:
        yield transfers
    finally:
        _counters.pop()


def _note(direction: str, what: str) -> None:
    if not _counters:
        return
    frame = sys._getframe()
    while frame.f_back and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    for transfers in _counters:
        getattr(transfers, direction).append(f"{frame.f_code.co_filename}:{frame.f_lineno} {what}")


# -------------------------------------------------------------------------------------------------------------- signatures

SIGNATURES = json.loads(Path(__file__).with_name("cupy_signatures.json").read_text())
"""The parameters of CuPy's functions, by "functions", "linalg" and "methods", and the version of CuPy that they were read off."""


@functools.cache
def _signature(kind: str, name: str) -> inspect.Signature:
    return inspect.signature(eval(f"lambda {SIGNATURES[kind][name]}: None"))


def _check_arguments(kind: str, name: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
    """Refuse what does not fit CuPy's signature."""
    try:
        given = _signature(kind, name).bind(*arguments, **keywords).arguments
    except TypeError as error:
        raise TypeError(f"cupy.{name}(): {error}; CuPy's signature is {name}({SIGNATURES[kind][name]})") from None
    if name in ("sort", "argsort") and given.get("kind") not in (None, "stable"):
        raise ValueError(f"cupy.{name}(): kind can only be None or 'stable', not {given['kind']!r}")


# --------------------------------------------------------------------------------------------- in and out of the wrapper


def _on_device(result: Any) -> Any:
    """Wrap whatever NumPy returned: arrays, scalars and plain numbers as arrays, and what is inside of tuples and lists."""
    if isinstance(result, list):
        return [_on_device(part) for part in result]
    if isinstance(result, tuple):  # NumPy's named tuples too
        return tuple(_on_device(part) for part in result)
    array = object.__new__(ndarray)
    array._values = np.asarray(result)
    return array


def _values(what: str, value: Any) -> np.ndarray:
    """Return the NumPy array behind an array of the device; refuse all else."""
    if type(value) is ndarray:
        return value._values
    raise TypeError(f"Unsupported type {type(value)} for cupy.{what}; expected cupy.ndarray")


def _operands(what: str, values: tuple[Any, ...]) -> list[Any]:
    """Return what NumPy is to compute with: arrays unwrapped, Python numbers as they are, NumPy scalars only of the arrays' dtype."""
    operands = []
    for value in values:
        if type(value) is ndarray:
            operands.append(value._values)
        elif type(value) in (bool, int, float) or (
            isinstance(value, np.generic) and any(type(a) is ndarray and a.dtype == value.dtype for a in values)
        ):
            operands.append(value)
        else:
            raise TypeError(f"Unsupported type {type(value)} for cupy.{what}; expected cupy.ndarray or a Python number")
    return operands


REFUSED_ARGUMENTS = {"where", "initial", "correction", "subok", "like", "device", "stable", "order"}
"""Arguments of NumPy's functions that CuPy's lack, or that are about the layout."""


def _argument(what: str, value: Any) -> Any:
    """Unwrap one argument of a function that is not a ufunc; axes, shapes and dtypes pass as they are."""
    if type(value) is ndarray:
        return value._values
    if isinstance(value, np.ndarray | np.generic | list):
        raise TypeError(f"Unsupported type {type(value)} for cupy.{what}")
    return value


REDUCTIONS = {
    "all", "any", "argmax", "argmin", "count_nonzero", "max", "mean", "median", "min", "nanmax", "nanmean", "nanmin", "nansum", "prod",
    "std", "sum", "var",
}  # fmt: skip


def _count_launch(what: str, result: Any, first: Any) -> None:
    """Count a launch unless the result is a view."""
    parts = result if isinstance(result, list | tuple) else [result]
    sources = first if isinstance(first, list) else [first]
    if not all(any(np.may_share_memory(part, source) for source in sources) for part in parts):
        _note("launches", what)


def _count_narrow(what: str, first: np.ndarray, outputs: int, axis: Any) -> None:
    """Count a reduction to too few outputs for 132 processors, of a thousand numbers each, unless it is over the last axes in memory."""
    given = axis if isinstance(axis, tuple) else range(first.ndim) if axis is None else (axis,)
    axes = [a % first.ndim for a in given]
    in_memory = sorted(range(first.ndim), key=lambda a: -first.strides[a])
    is_last = set(axes) == set(in_memory[first.ndim - len(axes) :])
    if not is_last and outputs < 32 * 132 and first.size > 1000 * outputs:
        _note("narrow", f"{what} of {first.shape} over {axis}")


def _compute(
    what: str,
    function: Callable[..., Any],
    first: Any,
    rest: tuple[Any, ...],
    keywords: dict[str, Any],
    kind: str = "functions",
) -> Any:
    """Call NumPy's function and wrap what it returns; `first` is unwrapped already."""
    if refused := keywords.keys() & REFUSED_ARGUMENTS:
        raise TypeError(f"cupy.{what}() got unexpected arguments {sorted(refused)}")
    _check_arguments(kind, what, rest if kind == "methods" else (first, *rest), keywords)
    out = keywords.get("out")
    if out is not None:
        keywords = {**keywords, "out": _values(f"{what}(out=)", out)}
    arguments = [_argument(what, value) for value in rest]
    named = {name: value if name == "out" else _argument(what, value) for name, value in keywords.items()}
    with np.errstate(all="ignore"):
        result = function(first, *arguments, **named)
    if _counters:
        _count_launch(what, result, first)
        if what in REDUCTIONS:
            _count_narrow(what, first, np.size(result), keywords.get("axis", arguments[0] if arguments else None))
    return out if out is not None or result is None else _on_device(result)


# ---------------------------------------------------------------------------------------------------------------- ndarray

INDEX_TYPES = (int, slice, NoneType, EllipsisType)


def _key(key: Any) -> tuple[Any, ...]:
    """Unwrap a key, with an Ellipsis so that a single element is a view too."""
    items = []
    for item in key if isinstance(key, tuple) else (key,):
        if type(item) is ndarray:
            if item.dtype.kind not in "iub":
                raise IndexError(f"arrays used as indices must be of integer or boolean type, not {item.dtype}")
            if item.dtype == bool:
                _note("to_host", "boolean mask as a key")  # how many elements it names must be known
            items.append(item._values)
        elif type(item) in INDEX_TYPES:
            items.append(item)
        else:
            raise IndexError(
                f"Unsupported type {type(item)} in a key; expected integers, slices, or index arrays of the device"
            )
    return tuple(items) if any(item is Ellipsis for item in items) else (*items, Ellipsis)


def _method(name: str, *, syncs: bool = False) -> Callable[..., Any]:
    function = getattr(np.ndarray, name)

    def method(self: Any, *arguments: Any, **keywords: Any) -> Any:
        if syncs:
            _note("to_host", name)
        result = _compute(name, function, self._values, arguments, keywords, kind="methods")
        return self if type(result) is ndarray and result._values is self._values else result  # astype(copy=False)

    method.__name__ = name
    return method


def _operator(name: str, *, reflected: bool = False) -> Callable[..., Any]:
    function = getattr(np, name)

    def operator(self: Any, other: Any) -> Any:
        if getattr(other, "__array_ufunc__", self) is None:  # it wants to serve the operator itself: NEP 13
            return NotImplemented
        a, b = _operands(name, (other, self) if reflected else (self, other))
        _note("launches", name)
        with np.errstate(all="ignore"):
            return _on_device(function(a, b))

    return operator


def _in_place(name: str) -> Callable[..., Any]:
    function = getattr(np, name)

    def operator(self: Any, other: Any) -> Any:
        a, b = _operands(name, (self, other))
        _note("launches", name)
        with np.errstate(all="ignore"):
            function(a, b, out=a)
        return self

    return operator


class ndarray:
    """An array "on the device". It is made by `asarray`, `zeros` and their like, not by calling the class."""

    __slots__ = ("__weakref__", "_values")
    __module__ = "cupy"
    __hash__ = None

    _values: np.ndarray

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        raise TypeError("cupy.ndarray(): make an array by cupy.asarray, cupy.zeros, ...")

    # -- what needs no look at the values

    shape = property(lambda self: self._values.shape)
    ndim = property(lambda self: self._values.ndim)
    size = property(lambda self: self._values.size)
    dtype = property(lambda self: self._values.dtype)
    itemsize = property(lambda self: self._values.itemsize)
    nbytes = property(lambda self: self._values.nbytes)
    flags = property(lambda self: self._values.flags)
    T = property(lambda self: _on_device(self._values.T))

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __copy__(self) -> Any:
        _note("launches", "copy")
        return _on_device(self._values.copy())

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return self.__copy__()

    # -- what NumPy may not do with it

    def __array__(self, *arguments: Any, **keywords: Any) -> Any:
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a NumPy array explicitly."
        )

    def __array_ufunc__(self, function: Any, method: str, *inputs: Any, **keywords: Any) -> Any:
        raise TypeError(f"numpy.{function.__name__} was called with a cupy.ndarray; ask the array's own module")

    def __array_function__(self, function: Any, types: Any, arguments: Any, keywords: Any) -> Any:
        raise TypeError(f"numpy.{function.__name__} was called with a cupy.ndarray; ask the array's own module")

    # -- what the host waits for

    def get(self) -> np.ndarray:
        """Return a copy of the array on the host."""
        _note("to_host", "get")
        return self._values.copy()

    def item(self) -> Any:
        """Return the only element as a Python number."""
        _note("to_host", "item")
        return self._values.item()

    def tolist(self) -> Any:
        """Return the values as nested lists."""
        _note("to_host", "tolist")
        return self._values.tolist()

    def tobytes(self) -> bytes:
        """Return the values' bytes."""
        _note("to_host", "tobytes")
        return self._values.tobytes()

    def __bool__(self) -> bool:
        _note("to_host", "bool")
        return bool(self._values)

    def __int__(self) -> int:
        _note("to_host", "int")
        return int(self._values)

    def __float__(self) -> float:
        _note("to_host", "float")
        return float(self._values)

    def __repr__(self) -> str:
        _note("to_host", "repr")
        return repr(self._values)

    def __str__(self) -> str:
        _note("to_host", "str")
        return str(self._values)

    def __format__(self, specification: str) -> str:
        _note("to_host", "format")
        return format(self._values, specification)

    # -- elements

    def __getitem__(self, key: Any) -> Any:
        found = self._values[_key(key)]
        if _counters:
            _count_launch("__getitem__", found, self._values)
        return _on_device(found)

    def __setitem__(self, key: Any, value: Any) -> None:
        _, operand = _operands("__setitem__", (self, value))
        _note("launches", "__setitem__")
        self._values[_key(key)] = operand

    # -- arithmetic

    def __neg__(self) -> Any:
        _note("launches", "an operator")
        return _on_device(-self._values)

    def __pos__(self) -> Any:
        return self.__copy__()

    def __abs__(self) -> Any:
        _note("launches", "an operator")
        return _on_device(abs(self._values))

    def __invert__(self) -> Any:
        _note("launches", "an operator")
        return _on_device(~self._values)


for _sign, _name in {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "true_divide", "floordiv": "floor_divide", "mod": "remainder",
    "pow": "power", "matmul": "matmul", "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor", "lshift": "left_shift",
    "rshift": "right_shift",
}.items():  # fmt: skip
    setattr(ndarray, f"__{_sign}__", _operator(_name))
    setattr(ndarray, f"__r{_sign}__", _operator(_name, reflected=True))
    if _sign != "matmul":
        setattr(ndarray, f"__i{_sign}__", _in_place(_name))
for _sign, _name in {
    "eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal",
}.items():  # fmt: skip
    setattr(ndarray, f"__{_sign}__", _operator(_name))

METHODS = [
    "all", "any", "argmax", "argmin", "argsort", "astype", "clip", "copy", "cumprod", "cumsum", "diagonal", "dot", "fill", "flatten",
    "max", "mean", "min", "prod", "ravel", "repeat", "reshape", "round", "sort", "squeeze", "std", "sum", "swapaxes", "take", "trace",
    "transpose", "var", "view",
]  # fmt: skip
for _name in METHODS:
    setattr(ndarray, _name, _method(_name))
ndarray.nonzero = _method("nonzero", syncs=True)  # type: ignore[attr-defined]

# ----------------------------------------------------------------------------------------------------------------- ufuncs

UFUNCS = [
    "abs", "absolute", "add", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "bitwise_and", "bitwise_or",
    "bitwise_xor", "cbrt", "ceil", "copysign", "cos", "cosh", "divide", "equal", "exp", "exp2", "expm1", "fabs", "floor",
    "floor_divide", "fmax", "fmin", "fmod", "greater", "greater_equal", "hypot", "invert", "isfinite", "isinf", "isnan", "left_shift",
    "less", "less_equal", "log", "log10", "log1p", "log2", "logaddexp", "logaddexp2", "logical_and", "logical_not", "logical_or",
    "logical_xor", "matmul", "maximum", "minimum", "mod", "multiply", "negative", "nextafter", "not_equal", "positive", "power",
    "reciprocal", "remainder", "right_shift", "rint", "sign", "signbit", "sin", "sinh", "sqrt", "square", "subtract", "tan", "tanh",
    "true_divide", "trunc",
]  # fmt: skip

SCATTERED = {
    "add": ("int32", "uint32", "uint64"),
    "subtract": ("int32", "uint32"),
    **dict.fromkeys(("maximum", "minimum"), ("int32", "uint32", "uint64", "float32", "float64")),
    **dict.fromkeys(("bitwise_and", "bitwise_or", "bitwise_xor"), ("int32", "int64", "uint32", "uint64")),
}
"""The ufuncs that have `at`, and the dtypes that it writes to: those of CUDA's atomic operations. CuPy's `add` takes floats too, but the
order of the additions, and with it the rounding, differs from run to run."""


class ufunc:
    """An elementwise function: of arrays of the device and of numbers."""

    __module__ = "cupy"

    def __init__(self, name: str) -> None:
        self.__name__ = name
        self._function = getattr(np, name)

    def __call__(self, *inputs: Any, out: Any = None, dtype: Any = None) -> Any:
        """Return the result, in `out` if it is given."""
        operands = _operands(self.__name__, inputs)
        keywords: dict[str, Any] = {} if dtype is None else {"dtype": dtype}
        if out is not None:
            keywords["out"] = _values(f"{self.__name__}(out=)", out)
        _note("launches", self.__name__)
        with np.errstate(all="ignore"):
            result = self._function(*operands, **keywords)
        if self.__name__ == "sign":
            result = np.nan_to_num(result, copy=out is None)
        return out if out is not None else _on_device(result)

    def at(self, array: Any, indices: Any, values: Any) -> None:
        """Apply the function in place at every index, repeated ones too."""
        if self.__name__ not in SCATTERED:
            raise NotImplementedError(f"`cupy_{self.__name__}.at` is not supported yet")
        target, operand = _operands(f"{self.__name__}.at", (array, values))
        if target.dtype.name not in SCATTERED[self.__name__]:
            raise TypeError(f"cupy.{self.__name__}.at supports {SCATTERED[self.__name__]}, not {target.dtype}")
        _note("launches", f"{self.__name__}.at")
        self._function.at(target, _key(indices), operand)


# -------------------------------------------------------------------------------------------------------- other functions

FUNCTIONS = [
    "all", "allclose", "any", "argmax", "argmin", "argsort", "array_equal", "array_split", "ascontiguousarray", "average",
    "broadcast_to", "clip", "count_nonzero", "cross", "cumprod", "cumsum", "diag", "diagonal", "diff", "dot", "expand_dims", "flip",
    "fliplr", "flipud", "full_like", "inner", "isclose", "kron", "max", "mean", "median", "min", "moveaxis", "nan_to_num", "nanmax",
    "nanmean", "nanmin", "nansum", "ones_like", "outer", "pad", "percentile", "prod", "quantile", "ravel", "repeat", "reshape", "roll",
    "rot90", "round", "searchsorted", "sort", "split", "squeeze", "std", "sum", "swapaxes", "take", "take_along_axis", "tensordot",
    "tile", "trace", "transpose", "trapezoid", "tril", "triu", "var", "vdot", "zeros_like",
]  # fmt: skip
"""Functions whose first argument is an array."""

JOINING = ["column_stack", "concatenate", "hstack", "stack", "vstack"]
"""Functions whose first argument is a list or tuple of arrays."""

SYNCHRONIZING = ["argwhere", "bincount", "extract", "flatnonzero", "nonzero", "unique"]
"""Functions whose result has a shape that depends on values, so that the host must wait for it."""

CREATION = ["arange", "eye", "full", "identity", "linspace", "logspace", "ones", "tri", "zeros"]
"""Functions of numbers, which make arrays."""

LINALG = ["cholesky", "det", "eigh", "inv", "norm", "pinv", "qr", "slogdet", "solve", "svd"]

HOST = [
    "bool_", "broadcast_shapes", "can_cast", "dtype", "e", "euler_gamma", "finfo", "float16", "float32", "float64", "iinfo", "inf",
    "int16", "int32", "int64", "int8", "integer", "issubdtype", "floating", "nan", "newaxis", "pi", "promote_types", "result_type",
    "uint16", "uint32", "uint64", "uint8",
]  # fmt: skip
"""Names that CuPy takes from NumPy: types, constants, and what is said of them."""

LACKING = [
    "block", "bmat", "errstate", "frompyfunc", "geomspace", "histogram_bin_edges", "insert", "matvec", "nanpercentile", "nanquantile",
    "ndenumerate", "nditer", "polyder", "polyint", "seterr", "spacing", "unstack", "vecdot", "vecmat",
]  # fmt: skip
"""NumPy's names that CuPy lacks and that one might reach for."""


def _function(name: str, function: Callable[..., Any], *, syncs: bool = False) -> Callable[..., Any]:
    def on_device(array: Any, *arguments: Any, **keywords: Any) -> Any:
        if syncs:
            _note("to_host", name)
        return _compute(name, function, _values(name, array), arguments, keywords)

    return on_device


UNSOLVABLE = ("Singular matrix", "not positive definite", "did not converge")
"""What NumPy says where CuPy, which does not ask whether cuSOLVER succeeded, returns numbers without meaning; here they are NaN."""


def _is_unsolvable(error: Exception) -> bool:
    return any(words in str(error) for words in UNSOLVABLE)


def _linalg(name: str) -> Callable[..., Any]:
    function = getattr(np.linalg, name)

    def fails(matrix: np.ndarray, *rest: Any, **keywords: Any) -> bool:
        try:
            function(matrix, *rest, **keywords)
        except np.linalg.LinAlgError as error:
            return _is_unsolvable(error)
        return False

    def with_nan(a: np.ndarray, *rest: Any, **keywords: Any) -> Any:
        """Compute with the identity in the place of the matrices that fail; their results are NaN."""
        others = (np.zeros(a.shape[-1]),) if name == "solve" else rest  # one right side, whatever the stack of them
        failed = np.array([fails(matrix, *others, **keywords) for matrix in a.reshape(-1, *a.shape[-2:])])
        failed = failed.reshape(a.shape[:-2])
        result = function(np.where(failed[..., None, None], np.eye(*a.shape[-2:], dtype=a.dtype), a), *rest, **keywords)
        for part in result if isinstance(result, tuple) else (result,):
            part[np.broadcast_to(failed, part.shape[: failed.ndim])] = np.nan
        return result

    def on_device(array: Any, *arguments: Any, **keywords: Any) -> Any:
        values = _values(name, array)
        try:
            return _compute(name, function, values, arguments, keywords, kind="linalg")
        except np.linalg.LinAlgError as error:
            if not _is_unsolvable(error):
                raise
            return _compute(name, with_nan, values, arguments, keywords, kind="linalg")

    return on_device


def _joining(name: str) -> Callable[..., Any]:
    def on_device(arrays: Any, *arguments: Any, **keywords: Any) -> Any:
        if not isinstance(arrays, list | tuple):
            raise TypeError(f"cupy.{name} joins tuples or lists of arrays, not {type(arrays)}")
        return _compute(name, getattr(np, name), [_values(name, array) for array in arrays], arguments, keywords)

    return on_device


def _creation(name: str) -> Callable[..., Any]:
    def on_device(*arguments: Any, **keywords: Any) -> Any:
        for value in (*arguments, *keywords.values()):
            if isinstance(value, np.ndarray | ndarray):
                raise TypeError(f"Unsupported type {type(value)} for cupy.{name}; expected numbers")
        _check_arguments("functions", name, arguments, keywords)
        _note("launches", name)
        return _on_device(getattr(np, name)(*arguments, **keywords))

    return on_device


def asarray(a: Any, dtype: Any = None) -> Any:
    """Return an array of the device: itself, a copy from the host (counted), or a stack of a list of the device's arrays."""
    if type(a) is ndarray:
        return a if dtype is None else a.astype(dtype, copy=False)
    if isinstance(a, list | tuple) and any(type(part) is ndarray for part in a):
        _note("launches", "asarray")
        return _on_device(np.array([_values("asarray", part) for part in a], dtype=dtype))
    _note("to_device", "asarray")
    return _on_device(np.array(a, dtype=dtype))


def array(a: Any, dtype: Any = None, copy: bool = True) -> Any:
    """Return a new array of the device."""
    made = asarray(a, dtype)
    return made.copy() if made is a and copy else made


def asnumpy(a: Any) -> np.ndarray:
    """Return a copy on the host."""
    return a.get() if type(a) is ndarray else np.asarray(a)


def empty(shape: Any, dtype: Any = float) -> Any:
    """Return an array whose values must not be relied on: NaN, or a number that is likely wrong."""
    return _on_device(np.full(shape, np.nan if np.dtype(dtype).kind == "f" else 77, dtype))


def empty_like(a: Any, dtype: Any = None) -> Any:
    """Return an array like another, without its values."""
    return empty(a.shape, dtype or a.dtype)


def where(condition: Any, x: Any = None, y: Any = None) -> Any:
    """Choose between x and y; of a condition alone, return where it holds, for which the host waits."""
    mask = _values("where", condition)
    if x is None and y is None:
        _note("to_host", "where")
        return _on_device(np.nonzero(mask))
    _note("launches", "where")
    return _on_device(np.where(mask, *_operands("where", (x, y))))


def einsum(subscripts: str, *arrays: Any) -> Any:
    """Return an Einstein sum."""
    _note("launches", "einsum")
    return _on_device(np.einsum(subscripts, *(_values("einsum", array) for array in arrays)))


def meshgrid(*arrays: Any, indexing: str = "xy") -> Any:
    """Return coordinate arrays."""
    _note("launches", "meshgrid")
    return _on_device(list(np.meshgrid(*(_values("meshgrid", array) for array in arrays), indexing=indexing)))


# ------------------------------------------------------------------------------------------------------------- the module


def _missing(name: str) -> Any:
    if name in LACKING:
        raise AttributeError(f"module 'cupy' has no attribute {name!r}: NumPy has it, CuPy lacks it")
    raise AttributeError(f"the double of CuPy has no {name!r}; add it to its table if CuPy has it")


def _module() -> ModuleType:
    module: Any = ModuleType("cupy")
    module.__spec__ = ModuleSpec("cupy", loader=None)
    module.__getattr__ = _missing
    module.is_available = lambda: True
    module.ndarray, module.ufunc = ndarray, ufunc
    for name in UFUNCS:
        setattr(module, name, ufunc(name))
    for name in FUNCTIONS:
        setattr(module, name, _function(name, getattr(np, name)))
    for name in SYNCHRONIZING:
        setattr(module, name, _function(name, getattr(np, name), syncs=True))
    for name in JOINING:
        setattr(module, name, _joining(name))
    for name in CREATION:
        setattr(module, name, _creation(name))
    for name in HOST:
        setattr(module, name, getattr(np, name))
    for function in (asarray, array, asnumpy, empty, empty_like, where, einsum, meshgrid):
        setattr(module, function.__name__, function)
    module.linalg = ModuleType("cupy.linalg")
    for name in LINALG:
        setattr(module.linalg, name, _linalg(name))
    return module


cupy = _module()
"""The module to put into `sys.modules["cupy"]`."""
