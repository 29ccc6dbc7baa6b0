"""The annotations of operations: that of every array gives its dtype and shape, and is true in every case."""

from contextlib import nullcontext
from dataclasses import replace
from inspect import isfunction

import numpy as np
import pytest
from annotations import checked, untold

import minigen as mg
from minigen import ops
from minigen.operators import table
from ops.cases import CASES, Case, package_primitives

FOUND: set[str] = set()
PRIMITIVES = package_primitives()
CHECKED_PRIMITIVES = {name: checked(primitive.forward, FOUND) for name, primitive in PRIMITIVES.items()}
PUBLIC = {name: getattr(ops, name) for name in ops.__all__} | vars(table)
COMPOSITES = {name: function for name, function in PUBLIC.items() if isfunction(function)}
CHECKED_COMPOSITES = {name: checked(function, FOUND) for name, function in COMPOSITES.items()}


def test_every_annotation_of_an_operation_tells_dtype_and_shape():
    wrong = [fault for primitive in PRIMITIVES.values() for fault in untold(primitive.forward, whole=True)]
    wrong += [fault for function in COMPOSITES.values() for fault in untold(function)]
    assert not wrong, "\n".join(wrong)


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Check every call of a primitive, and of a composite in `mg`; return the names of the functions that have been called."""
    for name, forward in CHECKED_PRIMITIVES.items():
        monkeypatch.setattr(PRIMITIVES[name], "forward", forward)
    for name, function in CHECKED_COMPOSITES.items():
        monkeypatch.setattr(mg, name, function, raising=False)
    FOUND.clear()
    return FOUND


@pytest.mark.parametrize("case", CASES, ids=str)
def test_annotations_are_true(case: Case, checks: set[str]):
    if case.function is COMPOSITES.get(case.name):
        case = replace(case, function=CHECKED_COMPOSITES[case.name])
    x = [mg.Tensor(array, requires_grad=True) for array in case.floats]
    y = case.outputs(x)
    if case.differentiable:
        mg.grad(y, x, [np.ones(output.shape) for output in y], allow_unused=True)
    assert case.name in checks


@pytest.mark.parametrize(
    ("annotations", "message"),
    [
        ({"x": 'Float[Array, "N C"]'}, "x is not"),
        ({"x": 'Int[Array, "N H W C"]'}, "x is not"),
        ({"weight": 'Float[Array, "kh kh C//{geometry.groups} K"]'}, "weight is not"),
        ({"return": 'Float[Array, "N H W K"]'}, "the result is not"),
        ({"return": 'Float[Array, "N P Q L+1"]'}, "has letters that no argument has"),
        ({}, None),
    ],
)
def test_a_wrong_annotation_is_found(annotations: dict[str, str], message: str | None, checks, monkeypatch):
    forward = PRIMITIVES["convolve"].forward.__wrapped__
    monkeypatch.setattr(forward, "__annotations__", forward.__annotations__ | annotations)
    case = next(case for case in CASES if str(case) == "convolve-strided")
    with nullcontext() if message is None else pytest.raises(AssertionError, match=message):
        case.outputs(case.floats)


@pytest.mark.parametrize(
    ("annotation", "tells"),
    [
        ('Float[Array, "N C"]', True),
        ('Float[Array, "N C"] | float | None', True),
        ('Sequence[Float[TensorLike, "N C"]]', True),
        ("Array", False),
        ('Float[Array, "N C"] | Tensor', False),
        ("Sequence[TensorLike]", False),
        (mg.Tensor, False),
    ],
)
def test_an_annotation_that_tells_nothing_is_found(annotation: object, tells: bool):
    def operation(x): ...

    operation.__annotations__ = {"x": annotation, "return": 'Float[Tensor, "..."]'}
    assert (not list(untold(operation))) == tells
    operation.__annotations__ = {"x": 'Float[Array, "..."]', "return": annotation}
    assert (not list(untold(operation))) == tells


def test_all_arguments_of_a_primitive_are_arrays():
    def operation(x, *, axis): ...

    operation.__annotations__ = {"x": "Any", "axis": "int", "return": 'Float[Tensor, "..."]'}
    assert not list(untold(operation))
    assert [fault.partition(";")[0] for fault in untold(operation, whole=True)] == [
        f"{operation.__qualname__}: x is Any"
    ]
