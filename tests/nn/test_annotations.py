"""The annotations of modules: that of every array gives its dtype and shape, and is true in the example of every class and function."""

import inspect
import sys
from collections.abc import Iterator
from types import FunctionType

import numpy as np
import pytest
from annotations import ARRAYS, checked, run_example, tells, untold

from minigen import nn

PARTS = {name: getattr(nn, name) for name in nn.__all__} | {name: getattr(nn.init, name) for name in dir(nn.init)}
CLASSES = [part for part in PARTS.values() if inspect.isclass(part) and part.__module__.startswith("minigen.nn")]
FUNCTIONS = [part for part in PARTS.values() if inspect.isfunction(part) and part.__module__.startswith("minigen.nn")]


def methods(kind: type) -> Iterator[tuple[type, str, FunctionType]]:
    """Yield the public methods and properties of a class, each with the class in minigen.nn that defines it, and its name there."""
    for name in {"__init__", *dir(kind)}:
        owner = next((owner for owner in kind.__mro__ if name in vars(owner)), None)
        member = inspect.getattr_static(kind, name)
        function = member.fget if isinstance(member, property) else member
        is_public = name == "__init__" or not name.startswith("_")
        if is_public and inspect.isfunction(function) and function.__module__.startswith("minigen.nn"):
            yield owner, name, function


def test_every_annotation_of_a_module_tells_dtype_and_shape():
    functions = {*FUNCTIONS, *(function for kind in CLASSES for _, _, function in methods(kind))}
    of_arrays = [f for f in functions if ARRAYS & vars(sys.modules[f.__module__]).keys()]
    wrong = sorted(fault for function in of_arrays for fault in untold(function))
    assert not wrong, "\n".join(wrong)


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Check every call of a method; return the names of those that have been called."""
    found: set[str] = set()
    for owner, name, function in {method for kind in CLASSES for method in methods(kind)}:
        if tells(function):
            one = checked(function, found)
            is_property = isinstance(vars(owner)[name], property)
            monkeypatch.setattr(owner, name, property(one, vars(owner)[name].fset) if is_property else one)
    return found


ACTIVATIONS = (nn.ReLU, nn.LeakyReLU, nn.ELU, nn.Tanh, nn.Sigmoid, nn.Softplus, nn.SiLU, nn.GELU, nn.Softmax)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_annotations_of_classes_are_true(kind: type, checks: set[str]):
    if kind in ACTIVATIONS:  # without an example
        kind()(np.ones((2, 3)))
    else:
        run_example(kind)
    if issubclass(kind, nn.Module) and tells(kind.forward):
        assert kind.forward.__qualname__ in checks


@pytest.mark.parametrize("function", [*filter(tells, FUNCTIONS)], ids=lambda function: function.__name__)
def test_annotations_of_functions_are_true(function: FunctionType):
    found: set[str] = set()
    run_example(function, **{function.__name__: checked(function, found)})
    assert function.__name__ in found


def test_a_wrong_annotation_of_a_layer_is_found(checks: set[str], monkeypatch: pytest.MonkeyPatch):
    forward = nn.Linear.forward.__wrapped__
    monkeypatch.setitem(forward.__annotations__, "return", 'Float[Tensor, "*batch in"]')
    with pytest.raises(AssertionError, match=r"Linear.forward: the result is not"):
        run_example(nn.Linear)
