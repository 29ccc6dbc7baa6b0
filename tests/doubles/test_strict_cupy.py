"""The double refuses what it says it refuses, computes as NumPy does otherwise, and counts what the host waits for."""

import copy
import importlib.util
import inspect
import sys
import warnings

import numpy as np
import pytest

import minigen as mg
from doubles import strict_cupy
from doubles.strict_cupy import counting, cupy
from minigen.backend import array_module, device_of, module_of

HOST = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], np.float32)


x, whole, one = cupy.asarray(HOST), cupy.asarray([0, 1]), cupy.asarray(2.0)


def line():
    """file:line of the caller."""
    frame = inspect.currentframe().f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


# ------------------------------------------------------------------------------------------------------- what it stands for


@pytest.mark.usefixtures("gpu_or_double")
def test_minigen_takes_it_for_cupy():
    assert module_of("gpu") is sys.modules["cupy"]
    array = module_of("gpu").zeros(2)
    assert device_of(array) == "gpu"
    assert array_module(1.0, array) is module_of("gpu")


def test_it_is_gone_after_the_test_that_used_it():
    assert sys.modules.get("cupy") is not cupy


def test_it_has_no_address_so_that_the_readable_kernels_serve_it():
    for name in (
        "__cuda_array_interface__",
        "__array_interface__",
        "__dlpack__",
        "__index__",
        "ctypes",
        "data",
        "strides",
    ):
        assert not hasattr(x, name), name
    assert not isinstance(x, np.ndarray)


# ------------------------------------------------------------------------------------------------------- what it refuses

host = HOST

REFUSED = {
    # implicit copies to the host
    "np.asarray": (lambda: np.asarray(x), r"Implicit conversion .* use `\.get\(\)`"),
    "np.array": (lambda: np.array([x, x]), "Implicit conversion"),
    "a function of NumPy": (lambda: np.sum(x), r"numpy\.sum was called with a cupy\.ndarray"),
    "the shape by NumPy": (lambda: np.shape(x), r"numpy\.shape"),
    "a ufunc of NumPy": (lambda: np.exp(x), r"numpy\.exp"),
    "a ufunc of NumPy into it": (lambda: np.exp(host, out=x), r"numpy\.exp"),
    "joining by NumPy": (lambda: np.concatenate([host, x]), r"numpy\.concatenate"),
    "assigning into NumPy": (lambda: host.copy().__setitem__(..., x), "Implicit conversion"),
    # mixed operands
    "array + numpy": (lambda: x + host, r"Unsupported type <class 'numpy\.ndarray'>"),
    "numpy + array": (lambda: host + x, r"numpy\.add"),
    "array += numpy": (lambda: x.__iadd__(host), "Unsupported type"),
    "numpy += array": (lambda: host.copy().__iadd__(x), r"numpy\.add"),
    "array == numpy": (lambda: x == host, "Unsupported type"),
    "array * list": (lambda: x * [1.0, 2.0, 3.0], r"Unsupported type <class 'list'>"),
    "array + None": (lambda: x + None, "Unsupported type"),
    "float64 scalar": (lambda: x * np.float64(0.5), r"Unsupported type <class 'numpy\.float64'>"),
    "float64 scalar before": (lambda: np.float64(0.5) * x, r"numpy\.multiply"),
    "int64 scalar": (lambda: x * np.int64(2), r"Unsupported type <class 'numpy\.int64'>"),
    "ufunc with numpy": (lambda: cupy.maximum(x, host), "Unsupported type"),
    "ufunc with a list": (lambda: cupy.exp([1.0]), "Unsupported type"),
    "where with numpy": (lambda: cupy.where(x > 0, host, 0.0), "Unsupported type"),
    "where of a bool": (lambda: cupy.where(True, x, 0.0), "Unsupported type"),
    "where of numpy": (lambda: cupy.where(host > 0, x, 0.0), "Unsupported type"),
    "matmul with numpy": (lambda: x @ host.T, "Unsupported type"),
    "joining with numpy": (lambda: cupy.concatenate([x, host]), "Unsupported type"),
    "joining an array": (lambda: cupy.concatenate(x), "joins tuples or lists"),
    "einsum with numpy": (lambda: cupy.einsum("ij,ij->", x, host), "Unsupported type"),
    "a function of numpy": (lambda: cupy.sum(host), "Unsupported type"),
    "a function of a list": (lambda: cupy.sum([1.0, 2.0]), "Unsupported type"),
    "clip of a number": (lambda: cupy.clip(0.5, 0.0, 1.0), "Unsupported type"),
    "clip to numpy": (lambda: cupy.clip(x, host, None), "Unsupported type"),
    "an argument that is a list": (lambda: cupy.take(x, [0, 1]), "Unsupported type"),
    "asarray of both": (lambda: cupy.asarray([one, 1.0]), "Unsupported type"),
    "a size on the device": (lambda: cupy.zeros(whole), "Unsupported type"),
    "full of an array": (lambda: cupy.full(2, one), "Unsupported type"),
    "linalg of numpy": (lambda: cupy.linalg.inv(host), "Unsupported type"),
    # out=
    "out= numpy": (lambda: cupy.exp(x, out=host.copy()), "Unsupported type"),
    "out= numpy of a method": (lambda: x.sum(axis=0, out=np.zeros(3, np.float32)), "Unsupported type"),
    "out= of another kind": (lambda: cupy.add(x, 1.0, out=cupy.zeros((2, 3), "int64")), "Cannot cast"),
    "in place, of another kind": (lambda: cupy.arange(3).__iadd__(0.5), "Cannot cast"),
    # arguments that CuPy lacks
    "initial=": (lambda: x.max(initial=0.0), r"unexpected arguments \['initial'\]"),
    "where=": (lambda: cupy.sum(x, where=x > 0), "unexpected arguments"),
    "where= of a ufunc": (lambda: cupy.log(x, where=x > 0), "unexpected keyword"),
    "correction=": (lambda: cupy.var(x, correction=1), "unexpected arguments"),
    "clip(min=, max=)": (lambda: cupy.clip(x, min=0.0, max=1.0), r"cupy\.clip\(\): .*signature is clip\(a, a_min, a_max, out=None\)"),
    "clip(a_min=) of a method": (lambda: x.clip(a_min=0.0), r"signature is clip\(min=None, max=None, out=None\)"),
    "clip to one bound": (lambda: cupy.clip(x, 0.0), "missing a required argument: 'a_max'"),
    "take(mode=)": (lambda: cupy.take(x, whole, mode="clip"), "unexpected keyword argument 'mode'"),
    "take(mode=) of a method": (lambda: x.take(whole, mode="wrap"), "unexpected keyword argument 'mode'"),
    "count_nonzero(keepdims=)": (lambda: cupy.count_nonzero(x, keepdims=True), "unexpected keyword argument 'keepdims'"),
    "std(mean=)": (lambda: cupy.std(x, mean=one), "unexpected keyword argument 'mean'"),
    "var(mean=) of a method": (lambda: x.var(mean=one), "unexpected keyword argument 'mean'"),
    "quantile(weights=)": (lambda: cupy.quantile(x, 0.5, weights=x), "unexpected keyword argument 'weights'"),
    "unique(sorted=)": (lambda: cupy.unique(x, sorted=False), "unexpected keyword argument 'sorted'"),
    "argsort(stable=)": (lambda: cupy.argsort(x, stable=True), "unexpected arguments"),
    "reshape(shape=)": (lambda: cupy.reshape(x, shape=(6,)), "unexpected keyword argument 'shape'|missing a required argument"),
    "argmax with too much": (lambda: x.argmax(0, None, None, True, 1), "too many positional arguments"),
    "svd(hermitian=)": (lambda: cupy.linalg.svd(x, hermitian=True), r"signature is svd\(a, full_matrices=True, compute_uv=True\)"),
    "cholesky(upper=)": (lambda: cupy.linalg.cholesky(x[:, :2], upper=True), "unexpected keyword argument 'upper'"),
    "pinv(rtol=)": (lambda: cupy.linalg.pinv(x, rtol=1e-3), "unexpected keyword argument 'rtol'"),
    "pinv(hermitian=)": (lambda: cupy.linalg.pinv(x, hermitian=True), "unexpected keyword argument 'hermitian'"),
    "arange(device=)": (lambda: cupy.arange(3, device="cpu"), "unexpected keyword argument 'device'"),
    # others
    "calling the class": (lambda: cupy.ndarray((2, 3)), "make an array by"),
    "hashing": (lambda: hash(x), "unhashable"),
    "an array as an integer": (lambda: range(cupy.asarray(2)), "cannot be interpreted as an integer"),
    "add.at of numpy": (lambda: cupy.add.at(host.copy(), whole, 1.0), "Unsupported type"),
    "add.at on int64": (lambda: cupy.add.at(cupy.zeros(3, "int64"), whole, 1), r"add\.at supports .*, not int64"),
    "add.at on bool": (lambda: cupy.add.at(cupy.zeros(3, "bool"), whole, True), r"not bool"),
    "add.at on floats": (lambda: cupy.add.at(cupy.zeros(3, "float32"), whole, 1.0), r"add\.at supports .*, not float32"),
    "subtract.at on uint64": (lambda: cupy.subtract.at(cupy.zeros(3, "uint64"), whole, 1), r"subtract\.at .*, not uint64"),
    "maximum.at on float16": (lambda: cupy.maximum.at(cupy.zeros(3, "float16"), whole, 1.0), "not float16"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(call, message):
    with pytest.raises(TypeError, match=message):
        call()
    np.testing.assert_array_equal(x.get(), HOST)


@pytest.mark.parametrize(
    "key",
    [[0, 1], np.array([0, 1]), np.array([True, False]), np.int64(0), True, 1.0, (0, [1]), (slice(None), np.array([0]))],
    ids=str,
)
def test_keys_from_the_host_are_refused(key):
    with pytest.raises(IndexError, match="Unsupported type"):
        x[key]
    with pytest.raises(IndexError, match="Unsupported type"):
        x.copy()[key] = 0.0


def test_keys_that_are_no_indices_are_refused():
    with pytest.raises(IndexError, match="must be of integer or boolean type, not float32"):
        x[x]
    with pytest.raises(IndexError, match="out of bounds"):
        x[cupy.asarray([2])]


def test_values_from_the_host_are_not_assigned():
    for value in (HOST, [1.0, 2.0, 3.0], np.float64(1.0), None):
        with pytest.raises(TypeError, match="Unsupported type"):
            x.copy()[...] = value


@pytest.mark.parametrize("kind", ["quicksort", "mergesort", "heapsort"])
def test_sorting_is_stable_and_no_other_kind_has_a_name(kind):
    for call in (x.argsort, x.copy().sort):
        with pytest.raises(ValueError, match=f"kind can only be None or 'stable', not '{kind}'"):
            call(kind=kind)
    for function in (cupy.argsort, cupy.sort):
        with pytest.raises(ValueError, match="kind can only be None or 'stable'"):
            function(x, -1, kind)
        function(x, -1, "stable")
        function(x)


def by_position(signature):
    """The names of the parameters that can be given by position."""
    found = signature.parameters.values()
    return [p.name for p in found if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.name != "self"]


RENAMED = {"m": "a", "arr": "a", "arrays": "tup", "start_or_stop": "start", "other": "b", "shape": "newshape"}
"""NumPy's names, and CuPy's for the same."""


def test_arguments_by_position_mean_what_they_mean_in_numpy():
    """The double hands them on by position, so that NumPy must take them in CuPy's order."""
    differ = {}
    for kind, owner, names in (
        (
            "functions",
            np,
            [*strict_cupy.FUNCTIONS, *strict_cupy.SYNCHRONIZING, *strict_cupy.JOINING, *strict_cupy.CREATION],
        ),
        ("linalg", np.linalg, strict_cupy.LINALG),
        ("methods", np.ndarray, strict_cupy.METHODS),
    ):
        for name in names:
            theirs = by_position(inspect.signature(getattr(owner, name)))
            ours = by_position(strict_cupy._signature(kind, name))
            if any(b not in (a, RENAMED.get(a)) for a, b in zip(theirs, ours, strict=False)):
                differ[f"{kind} {name}"] = (ours, theirs)
    assert set(differ) == {
        "functions argmax",
        "functions argmin",
    }  # `dtype` in the place of `out`, which fails in NumPy


def test_the_table_of_signatures_has_all_that_the_double_has():
    table = strict_cupy.SIGNATURES
    assert table["cupy"].startswith("14.")
    named = {*strict_cupy.FUNCTIONS, *strict_cupy.SYNCHRONIZING, *strict_cupy.JOINING, *strict_cupy.CREATION}
    assert named <= set(table["functions"])
    assert set(strict_cupy.LINALG) <= set(table["linalg"])
    assert {*strict_cupy.METHODS, "nonzero", "get", "item", "tolist", "tobytes"} <= set(table["methods"])
    assert not set(strict_cupy.LACKING) & set(table["functions"])


@pytest.mark.parametrize("name", ["multiply", "divide", "logaddexp", "power"])
def test_few_ufuncs_write_at_indices(name):
    with pytest.raises(NotImplementedError, match=f"`cupy_{name}.at` is not supported yet"):
        getattr(cupy, name).at(cupy.ones(3), whole, 2.0)


@pytest.mark.parametrize("name", strict_cupy.LACKING)
def test_what_cupy_lacks_says_so(name):
    assert hasattr(np, name)
    with pytest.raises(AttributeError, match=f"no attribute '{name}': NumPy has it, CuPy lacks it"):
        getattr(cupy, name)


def test_what_the_double_lacks_says_that():
    with pytest.raises(AttributeError, match="the double of CuPy has no 'fft'; add it to its table if CuPy has it"):
        _ = cupy.fft
    with pytest.raises(AttributeError, match="reduce"):
        _ = cupy.logaddexp.reduce


# ---------------------------------------------------------------------------------------------------- what it computes


def test_reductions_and_single_elements_are_arrays():
    for value in (
        x.sum(),
        x.max(axis=(0, 1)),
        x[0, 1],
        x[1][2],
        cupy.mean(x),
        cupy.dot(x[0], x[0]),
        cupy.exp(0.5),
        one + 1,
    ):
        assert type(value) is cupy.ndarray
        assert value.shape == ()
    for value in (cupy.allclose(x, x), cupy.count_nonzero(x), cupy.array_equal(x, x)):
        assert type(value) is cupy.ndarray
    assert [type(row) for row in x[0]] == 3 * [cupy.ndarray]
    assert all(type(part) is cupy.ndarray for part in cupy.split(x, 3, axis=1))
    assert all(type(part) is cupy.ndarray for part in cupy.linalg.qr(x))


def test_views_share_memory_and_single_elements_are_views():
    y = x.copy()
    for view in (y[0], y[:, 1], y.T[2], y.reshape(-1)[5:], y[1, 0], y.ravel()[:1]):
        view[...] = 7.0
    np.testing.assert_array_equal(y.get(), [[7.0, 7.0, 7.0], [7.0, 7.0, 7.0]])
    y[1] += 1.0
    y -= 1
    np.testing.assert_array_equal(y.get(), [[6.0, 6.0, 6.0], [7.0, 7.0, 7.0]])
    np.testing.assert_array_equal(x.get(), HOST)


def test_copies_do_not_share_memory():
    source = HOST.copy()
    there = cupy.asarray(source)
    source[...] = 0.0
    back = there.get()
    back[...] = 0.0
    for twin in (copy.copy(there), copy.deepcopy(there), there.copy(), cupy.array(there), +there):
        twin[...] = 0.0
    np.testing.assert_array_equal(there.get(), HOST)
    assert cupy.asarray(there) is there
    assert there.astype("float32", copy=False) is there


def test_dtypes_are_kept():
    for y in (x + 1, 2.0 * x, x**2, 1 / x, x > 0.5, cupy.maximum(x, 0.0), cupy.where(x > 1, x, 0.0), x @ x.T, x.mean()):
        assert y.dtype == (bool if y.dtype == bool else np.float32)
    assert (x + cupy.ones(3)).dtype == np.float64
    assert (cupy.arange(3, dtype="uint64") + np.uint64(2)).dtype == np.uint64
    assert cupy.zeros(2).dtype == np.float64


def test_operators_and_functions_compute_as_numpy_does():
    y = HOST - 2.5
    there = cupy.asarray(y)
    for ours, theirs in (
        (3.0 - there, 3.0 - y), (2 / there, 2 / y), (there // 2, y // 2), (2.0**there, 2.0**y), (-abs(there), -abs(y)),
        (~(there > 0), ~(y > 0)), ((there > 0) & (there < 2), (y > 0) & (y < 2)), (there.T @ there, y.T @ y),
        (cupy.stack([there, there], axis=1), np.stack([y, y], axis=1)), (cupy.pad(there, ((1, 0), (0, 2))), np.pad(y, ((1, 0), (0, 2)))),
        (cupy.einsum("ij,kj->ik", there, there), np.einsum("ij,kj->ik", y, y)), (cupy.exp2(there), np.exp2(y)),
        (cupy.take_along_axis(there, there.argsort(axis=1), axis=1), np.sort(y, axis=1)), (there[there > 0], y[y > 0]),
        (cupy.asarray([there.sum(), there.max()]), np.array([y.sum(), y.max()])), (cupy.tril(there, -1), np.tril(y, -1)),
    ):  # fmt: skip
        np.testing.assert_allclose(ours.get(), theirs, rtol=1e-6)


def test_scattering_adds_repeated_indices_up():
    y = cupy.zeros(3, "int32")
    cupy.add.at(y, cupy.asarray([0, 2, 2]), cupy.asarray([1, 2, 3], "int32"))
    cupy.maximum.at(y, cupy.asarray([1, 1]), 4)
    np.testing.assert_array_equal(y.get(), [1, 4, 5])
    z = cupy.zeros(2)
    cupy.maximum.at(z, cupy.asarray([1, 1]), cupy.asarray([3.0, 2.0]))
    np.testing.assert_array_equal(z.get(), [0.0, 3.0])


def test_the_sign_of_nan_is_0():
    y = cupy.asarray([np.nan, -2.0, 0.0, np.inf])
    np.testing.assert_array_equal(cupy.sign(y).get(), [0.0, -1.0, 0.0, 1.0])
    assert cupy.sign(y, out=y) is y
    np.testing.assert_array_equal(y.get(), [0.0, -1.0, 0.0, 1.0])
    assert cupy.sign(cupy.asarray(np.nan)).item() == 0.0


def test_a_matrix_without_a_solution_gives_nan_and_leaves_the_others_alone():
    good, bad = np.array([[2.0, 1.0], [1.0, 2.0]]), np.array([[1.0, 1.0], [1.0, 1.0]])
    stack = np.stack([good, bad, -good])
    right = np.arange(6.0).reshape(3, 2, 1)
    for single in (cupy.linalg.inv(cupy.asarray(bad)), cupy.linalg.solve(cupy.asarray(bad), cupy.asarray(right[0]))):
        assert np.isnan(single.get()).all()
    found = cupy.linalg.inv(cupy.asarray(stack)).get()
    assert np.isnan(found[1]).all()
    np.testing.assert_allclose(found[::2], np.linalg.inv(stack[::2]))
    found = cupy.linalg.solve(cupy.asarray(stack), cupy.asarray(right)).get()
    assert np.isnan(found[1]).all()
    np.testing.assert_allclose(found[::2], np.linalg.solve(stack[::2], right[::2]))
    found = cupy.linalg.cholesky(cupy.asarray(stack)).get()
    np.testing.assert_allclose(found[0], np.linalg.cholesky(good))
    assert np.isnan(found[2]).all()
    for part in cupy.linalg.eigh(cupy.full((2, 2), np.nan)):
        assert np.isnan(part.get()).all()
    with pytest.raises(np.linalg.LinAlgError, match="must be square"):
        cupy.linalg.inv(x)


def test_empty_memory_holds_nothing_to_rely_on():
    assert np.isnan(cupy.empty((2, 2)).get()).all()
    assert np.isnan(cupy.empty_like(x).get()).all()
    assert cupy.empty(2, "int64").get().all()


def test_a_gpu_does_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cupy.log(cupy.zeros(1)).item() == -np.inf
        assert (1.0 / cupy.zeros(1)).item() == np.inf
        y = cupy.full(1, 1e38, "float32")
        y *= 1e38
        assert y.item() == np.inf
        assert cupy.full(9, 1e38, "float32").sum().item() == np.inf


# ------------------------------------------------------------------------------------------------------- what it counts

READING = {
    "get": lambda: x.get(),
    "item": lambda: one.item(),
    "float": lambda: float(one),
    "int": lambda: int(one),
    "bool": lambda: bool(one),
    "if": lambda: 1 if one > 0 else 0,
    "tolist": lambda: x.tolist(),
    "tobytes": lambda: x.tobytes(),
    "repr": lambda: repr(x),
    "str": lambda: str(x),
    "format": lambda: f"{one:.1f}",
    "asnumpy": lambda: cupy.asnumpy(x),
    "nonzero": lambda: cupy.nonzero(x),
    "nonzero, a method": lambda: x.nonzero(),
    "argwhere": lambda: cupy.argwhere(x),
    "unique": lambda: cupy.unique(x),
    "where of a condition": lambda: cupy.where(x > 1),
    "mask": lambda: x[x > 1],
    "mask assigned": lambda: x.copy().__setitem__(x > 1, 0.0),
    "mask of add.at": lambda: cupy.add.at(cupy.zeros((2, 3), "int32"), x > 1, 1),
}


@pytest.mark.parametrize("read", READING.values(), ids=READING)
def test_a_read_is_counted_where_it_was_asked_for(read):
    with counting() as transfers:
        read()
    (place,) = transfers.to_host
    assert place.startswith(f"{__file__}:{read.__code__.co_firstlineno} ")
    assert transfers.to_device == []


def test_what_stays_on_the_device_is_not_counted():
    with counting() as transfers:
        y = cupy.exp(x) @ x.T + cupy.zeros((2, 2)) * x.sum()
        y[0] = 3.0
        y[whole] += y[whole].max()
        y -= cupy.asarray([y.min(), y.max()])
        cupy.where(y > 0, y, 0.0).astype("float64").reshape(-1)[0].copy()
        copy.deepcopy(y)
        _ = (len(y), y.shape, y.size, y.dtype, list(y), y is None)
    assert transfers == strict_cupy.Transfers()


def test_copies_to_the_device_are_counted():
    with counting() as transfers:
        for source in (HOST, [1.0, 2.0], 3.0, np.float32(1.0)):
            cupy.asarray(source)
        there = line(), cupy.array(HOST)
    assert len(transfers.to_device) == 5
    assert transfers.to_device[-1].startswith(there[0])
    assert transfers.to_host == []


def test_what_is_computed_is_counted_and_views_are_not():
    computing = {
        "operator": lambda: x + 1, "in place": lambda: x.copy().__iadd__(1), "negative": lambda: -x, "ufunc": lambda: cupy.exp(x),
        "sum": lambda: x.sum(), "method": lambda: x.argmax(axis=0), "function": lambda: cupy.flip(x) + 0, "matmul": lambda: x @ x.T,
        "copy": lambda: x.copy(), "reshape that copies": lambda: x.T.reshape(-1), "indices": lambda: x[whole],
        "where": lambda: cupy.where(x > 1, x, 0),
        "joining": lambda: cupy.stack([x, x]), "creation": lambda: cupy.zeros(3), "assignment": lambda: x.copy().__setitem__(0, 1.0),
        "einsum": lambda: cupy.einsum("ij->i", x), "linalg": lambda: cupy.linalg.qr(x),
    }  # fmt: skip
    two = {"in place", "assignment", "where"}
    for name, compute in computing.items():
        with counting() as transfers:
            compute()
        assert len(transfers.launches) == 1 + (name in two), (name, transfers.launches)
        assert transfers.launches[-1].startswith(__file__)
    with counting() as transfers:
        _ = (
            x.T,
            x[0],
            x[..., None],
            x.reshape(3, 2),
            x.ravel(),
            cupy.split(x, 3, axis=1),
            cupy.empty(3),
            x.astype("float32", copy=False),
        )
    assert transfers.launches == []


def test_reductions_to_few_sums_over_other_axes_than_the_last_are_noted():
    long = cupy.zeros((5000, 3), "float32")
    with counting() as transfers:
        long.sum(axis=0)
        cupy.max(long.reshape(50, 100, 3), axis=(0, 1))
        cupy.mean(long, 0)
        long.T.sum(axis=1)
    assert [place.partition(" ")[2] for place in transfers.narrow] == [
        "sum of (5000, 3) over 0", "max of (50, 100, 3) over (0, 1)", "mean of (5000, 3) over 0",
        "sum of (3, 5000) over 1",
    ]  # fmt: skip
    with counting() as transfers:
        long.sum()
        long.reshape(15, 1000).sum(axis=-1)
        long.reshape(2, 2500, 3).sum(axis=(-1, -2))
        cupy.zeros((900, 3)).sum(axis=0)
        cupy.zeros((5000, 3)).T.copy().sum(axis=1)
        cupy.ones(5000, "float32") @ long
    assert transfers.narrow == []


def test_counts_end_with_their_block_and_nest():
    with counting() as outer:
        with counting() as inner:
            one.item()
        one.item()
    one.item()
    assert (len(outer.to_host), len(inner.to_host)) == (2, 1)


@pytest.mark.usefixtures("gpu_or_double")
def test_a_read_inside_minigen_is_found():
    y = mg.Tensor(module_of("gpu").ones(3))
    if type(y.data) is cupy.ndarray:
        with counting() as transfers:
            mg.sum(y).item()
        assert "interchange.py" in transfers.to_host[0]


# ------------------------------------------------------------------------------------------------------ against CuPy


def test_the_tables_name_only_what_cupy_has():
    if importlib.util.find_spec("cupy") is None:
        pytest.skip("CuPy is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import cupy as real
    names = {name for name in vars(cupy) if not name.startswith("__")}
    assert names - {"linalg"} <= set(dir(real))
    assert set(strict_cupy.LINALG) <= set(dir(real.linalg))
    assert not set(strict_cupy.LACKING) & set(dir(real))
    public = {name for name in dir(strict_cupy.ndarray) if not name.startswith("_")}
    assert public <= set(dir(real.ndarray))
    special = {name for name in vars(strict_cupy.ndarray) if name.startswith("__")}
    assert special - {"__module__", "__doc__", "__slots__", "__weakref__", "__annotations__"} <= set(dir(real.ndarray))
    for name in strict_cupy.UFUNCS:
        assert callable(getattr(real, name))
    scattered = {name for name in strict_cupy.UFUNCS if getattr(getattr(real, name), "_scatter_op", None)}
    assert set(strict_cupy.SCATTERED) <= scattered
