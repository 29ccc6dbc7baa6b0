"""What users of PyTorch and NumPy write from habit works, or the error says what to write; and no error shows names they never used.

An operation is called in every way that its signature allows: settings by position, arrays by name, in part or all. A wrong call
raises an error in the words of the operation itself. This is tested over all operations, so that new ones are included.
"""

import copy
import inspect
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ops.cases import CASES, Case, package_primitives

import minigen as mg
from minigen import nn, ops
from minigen.data import Batches
from minigen.operators import ELSEWHERE
from minigen.optim import SGD, Adam, cosine, linear_warmup, step_decay
from minigen.random import Generator
from minigen.training import Run, fit_likelihood
from minigen.training.loops import next_batch

x = mg.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
g = mg.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], requires_grad=True)

# ruff: noqa: E501 - a call and its answer stand on one line
# ------------------------------------------------------------------------------------------------------ calls

OPERATIONS = {name: getattr(mg, name) for name in ops.__all__}


def signature_of(function: Callable[..., Any]) -> tuple[list[str], list[str], bool]:
    """The names that have a place, those of the keywords, and whether there are `*arrays`."""
    parameters = inspect.signature(getattr(function, "forward", function)).parameters.values()
    return (
        [p.name for p in parameters if p.kind == p.POSITIONAL_OR_KEYWORD],
        [p.name for p in parameters if p.kind == p.KEYWORD_ONLY],
        any(p.kind == p.VAR_POSITIONAL for p in parameters),
    )


def is_operation(case: Case) -> bool:
    return case.function in OPERATIONS.values() or case.function in package_primitives().values()


PLAIN_CASES = [case for case in CASES if is_operation(case) and not signature_of(case.function)[2]]


def outputs_and_gradients(case: Case, call: Callable[..., Any]) -> list[np.ndarray]:
    floats = iter(leaves := [mg.Tensor(array, requires_grad=True) for array in case.floats])
    y = call(*(next(floats) if any(a is array for array in case.floats) else a for a in case.arguments))
    y = list(y) if isinstance(y, list | tuple) else [y]
    found = [part.data for part in y]
    if case.differentiable:
        slopes = mg.grad(y, leaves, [mg.ones(part.shape, dtype=part.dtype) for part in y], allow_unused=True)
        found += [slope.data for slope in slopes if slope is not None]
    return found


@pytest.mark.parametrize("case", PLAIN_CASES, ids=str)
def test_settings_may_come_by_position_and_arrays_by_name(case: Case) -> None:
    places, settings, _ = signature_of(case.function)
    expected = outputs_and_gradients(case, lambda *arrays: case.function(*arrays, **case.keywords))

    def by_name(*arrays: Any) -> Any:
        named = dict(zip(places, arrays, strict=False))
        return case.function(**named, **case.keywords)

    def all_but_the_first_by_name(*arrays: Any) -> Any:
        named = dict(zip(places[1:], arrays[1:], strict=False))
        return case.function(arrays[0], **dict(reversed(named.items())), **case.keywords)

    def by_position(*arrays: Any) -> Any:
        defaults = {
            p.name: p.default
            for p in inspect.signature(getattr(case.function, "forward", case.function)).parameters.values()
        }
        values = [*arrays, *(case.keywords.get(name, defaults[name]) for name in places[len(arrays) :])]
        last = max((settings.index(name) + 1 for name in case.keywords if name in settings), default=0)
        return case.function(*values, *(case.keywords.get(name, defaults[name]) for name in settings[:last]))

    for call in (by_name, all_but_the_first_by_name, by_position):
        for a, b in zip(outputs_and_gradients(case, call), expected, strict=True):
            np.testing.assert_array_equal(a, b)


WITH_ARRAYS = [name for name, function in OPERATIONS.items() if function.__module__ != "minigen.ops.creation"]


@pytest.mark.parametrize("name", WITH_ARRAYS)
def test_a_call_without_arguments_names_the_operation_and_what_is_missing(name: str) -> None:
    places, _, has_arrays = signature_of(OPERATIONS[name])
    with pytest.raises((TypeError, ValueError), match=rf"^{name}: ") as error:
        OPERATIONS[name]()
    if not has_arrays:
        assert places[0] in str(error.value)


@pytest.mark.parametrize("name", WITH_ARRAYS)
def test_an_unknown_keyword_is_named(name: str) -> None:
    case = next((case for case in CASES if case.function is OPERATIONS[name]), None)
    places = signature_of(OPERATIONS[name])[0]
    arguments, keywords = (
        (case.arguments, case.keywords) if case else ([[x, x]] if places == ["arrays"] else [x] * len(places), {})
    )
    with pytest.raises(TypeError, match=rf"^{name}: .*'dim_'"):
        OPERATIONS[name](*arguments, **keywords, dim_=0)


@pytest.mark.parametrize("name", WITH_ARRAYS)
def test_a_list_in_place_of_an_array_is_answered_by_the_operations_name(name: str) -> None:
    has_arrays = signature_of(OPERATIONS[name])[2]
    case = next((case for case in CASES if case.function is OPERATIONS[name]), None)
    if case is None or has_arrays:
        pytest.skip("its arrays come in a list")
    for position, argument in enumerate(case.arguments):
        if isinstance(argument, np.ndarray) and name != "index":
            given = [a.tolist() if i == position else a for i, a in enumerate(case.arguments)]
            if not isinstance(given[position], list):
                continue
            with pytest.raises(
                TypeError, match=rf"^{name}: an argument is a list; expected a Tensor, an array or a number"
            ) as error:
                OPERATIONS[name](*given, **case.keywords)
            assert "attribute" not in str(error.value)


CALLS = {
    "weight by name": (lambda: mg.linear(g, weight=np.ones((2, 3), "float32")).requires_grad, True),
    "all by name": (lambda: mg.where(condition=True, a=x, b=x).shape, (3, 2)),
    "axis by position": (lambda: mg.sum(x, 1).shape, (3,)),
    "axis of a composed operation": (lambda: (mg.var(x, 0).shape, mg.prod(x, 1, True).shape), ((2,), (3, 1))),
    "kernel size by position": (lambda: mg.max_pool2d(mg.ones((1, 4, 4, 1)), 2).shape, (1, 2, 2, 1)),
    "reshape to a tuple": (lambda: (x.reshape((2, 3)).shape, x.reshape([2, 3]).shape, x.reshape(2, 3).shape), ((2, 3),) * 3),
    "reshape to one number": (lambda: (x.reshape(-1).shape, x.reshape((-1,)).shape, mg.ones(1).reshape(()).shape), ((6,), (6,), ())),
    "transpose by a tuple": (lambda: (x.transpose((1, 0)).shape, x.transpose([1, 0]).shape, x.transpose().shape), ((2, 3),) * 3),
    "transpose by None": (lambda: x.transpose(None).shape, (2, 3)),
    "gradient through them": (lambda: mg.grad(mg.sum(g.reshape((6,)) * 2.0), g).data.tolist(), [[2.0, 2.0]] * 3),
    "float of a loss": (lambda: (float(mg.sum(g)), int(mg.sum(x)), list(range(mg.tensor(2)))), (21.0, 21, [0, 1])),
    "an index of a list": (lambda: "abc"[mg.tensor(1)], "b"),
    "zeros of a list": (lambda: mg.zeros([2, 3]).shape, (2, 3)),
    "np.mean": (lambda: (np.mean(x), np.sum(x, axis=0).tolist(), np.max(x), np.prod(x)), (3.5, [9.0, 12.0], 6.0, 720.0)),
    "np.concatenate": (lambda: np.concatenate([x, x.data, mg.ones((1, 2))]).shape, (7, 2)),
    "np.linalg.norm": (lambda: round(float(np.linalg.norm(x)), 4), 9.5394),
    "np.shape": (lambda: (np.shape(g), np.ndim(g), np.size(g)), ((3, 2), 2, 6)),
    "np.reshape": (lambda: (np.reshape(x, (2, 3)).shape, np.transpose(x).shape), ((2, 3), (2, 3))),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_what_others_write_works(name: str) -> None:
    call, expected = CALLS[name]
    assert call() == expected


REFUSED = {
    "arrays side by side": (lambda: mg.concatenate(x, x), r"^concatenate: axis is an array of shape \(3, 2\), .* one list, concatenate\(\[x, y\], axis=0\)"),
    "stack of arrays side by side": (lambda: mg.stack(x.data, x.data), r"^stack: axis is an array of shape \(3, 2\), .* stack\(\[x, y\]"),
    "indices in a list": (lambda: mg.gather(x, [0], 0), "^gather: an argument is a list; expected a Tensor, an array"),
    "dim for axis": (lambda: mg.sum(x, dim=0), "^sum: there is no argument 'dim'; it takes x, axis, keepdims"),
    "an array for an axis": (lambda: mg.sum(x, x), r"^sum: axis is an array of shape \(3, 2\); expected a plain value"),
    "twice": (lambda: mg.add(x, x, a=x), "^add: a is given twice, by position and by keyword"),
    "twice composed": (lambda: mg.var(x, 0, axis=0), "^var: axis is given twice, by position and by keyword"),
    "too many": (lambda: mg.relu(x, 1), "^relu: 2 arguments were given by position; it takes 1: x"),
    "missing": (lambda: mg.linear(x), "^linear: weight is missing; it takes x, weight, bias"),
    "width of a number": (lambda: mg.pad(x, 1), r"^pad: width is 1, expected a pair \(before, after\) for each of the 2 axes"),
    "letters": (lambda: mg.einsum(x, x), "^einsum: subscripts is a Tensor, expected letters"),
    "stride": (lambda: mg.conv1d(mg.ones((1, 3, 1)), mg.ones((1, 1, 1)), stride=(1, 1)), r"^conv1d: stride is \(1, 1\), expected a whole number of"),
    "np.mean with a graph": (lambda: np.mean(g), r"^np\.mean: what NumPy computes leaves no graph, .* mg\.mean in place of np\.mean, or pass x\.detach"),
    "np.concatenate with a graph": (lambda: np.concatenate([x, g]), r"^np\.concatenate: what NumPy computes leaves no graph"),
    "view": (lambda: x.view(2, 3), r"^a Tensor has no attribute 'view'; write x\.reshape\(shape\)"),
    "exp": (lambda: x.exp(), r"^a Tensor has no attribute 'exp'; write mg\.exp\(x\)"),
    "swapaxes": (lambda: x.swapaxes(0, 1), r"^a Tensor has no attribute 'swapaxes'; write mg\.swapaxes\(x, i, j\)"),
    "nothing": (lambda: x.nothing, "^'Tensor' object has no attribute 'nothing'$"),
    "numbers of a vector": (lambda: float(x), r"^item\(\): the tensor has 6 elements"),
    "whole number of a float": (lambda: range(mg.tensor(3.0)), r"^a tensor of shape \(\) and float32 is not one whole number"),
    "one parameter": (lambda: Adam(nn.Parameter(np.ones(2, "float32"))), "^optimizer: got a Parameter; expected a Module, a list such as"),
    "groups": (lambda: Adam([{"params": []}]), "^optimizer: got groups of parameters; make an optimizer for each group"),
    "negative rate": (lambda: SGD([nn.Parameter(np.ones(2, "float32"))], learning_rate=-0.1), "^SGD: learning_rate is -0.1, expected a number of at least 0"),
    "list of data": (lambda: Batches([1.0, 2.0], batch_size=1, rng=Generator(0)), r"^Batches: data is a list; expected an array, such as np\.array\(x\)"),
    "tensor of data": (lambda: Batches(x, batch_size=1, rng=Generator(0)), r"^Batches: data is a Tensor; expected an array, such as x\.data"),
    "list of labels": (lambda: Batches((x.data, [1, 2, 3]), batch_size=1, rng=Generator(0)), r"^Batches: data\[1\] is a list"),
    "seed": (lambda: Generator(None), "^Generator: seed is None, expected a whole number"),
    "sizes": (lambda: nn.Linear(2.0, 3, rng=Generator(0)), r"^Linear: in_features is 2\.0, expected a whole number"),
    "words for sizes": (lambda: nn.Linear("2", 3, rng=Generator(0)), "^Linear: in_features is '2', expected a whole number"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_work_is_answered_with_what_to_write(name: str) -> None:
    call, message = REFUSED[name]
    with pytest.raises((TypeError, ValueError, RuntimeError, AttributeError), match=message):
        call()


def test_hints_name_what_a_tensor_does_not_have() -> None:
    for name in ELSEWHERE:
        assert not hasattr(mg.Tensor, name)
    for name in {*ELSEWHERE, *ops.__all__}:
        if not hasattr(mg.Tensor, name):
            with pytest.raises(AttributeError, match=f"no attribute '{name}'; write "):
                getattr(x, name)


def test_protocols_that_ask_for_attributes_find_none() -> None:
    assert not hasattr(x, "__array_interface__")
    assert copy.deepcopy(x).shape == pickle.loads(pickle.dumps(x)).shape == (3, 2)


# ------------------------------------------------------------------------------------------------------ optimizers


def test_a_list_of_parameters_trains_as_the_module_does() -> None:
    trained = []
    for given in (
        lambda net: net,
        lambda net: net.parameters(),
        lambda net: iter(net.parameters()),
        lambda net: net.named_parameters(),
    ):
        net = nn.Sequential(nn.Linear(2, 3, rng=Generator(0)), nn.ReLU(), nn.Linear(3, 1, rng=Generator(1)))
        optimizer = Adam(given(net), learning_rate=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            mg.mean(net(x) ** 2).backward()
            optimizer.step()
        trained.append(np.concatenate([w.data.ravel() for w in net.parameters()]))
    for other in trained[1:]:
        np.testing.assert_array_equal(other, trained[0])
    assert list(Adam(nn.Linear(2, 3, rng=Generator(0)).parameters()).state())[:2] == [
        "0.first_moment",
        "1.first_moment",
    ]


@pytest.mark.parametrize("schedule", [linear_warmup, cosine])
@pytest.mark.parametrize("steps", [0, -3, 2.5, None])
def test_a_schedule_of_no_length_is_refused(schedule: Callable[..., Any], steps: Any) -> None:
    with pytest.raises(
        ValueError, match=f"^{schedule.__name__}: steps is {steps}, expected a whole number of at least 1"
    ):
        schedule(0.1, steps=steps)
    with pytest.raises(ValueError, match=f"^step_decay: every is {steps}, expected a whole number of at least 1"):
        step_decay(0.1, every=steps)


# ------------------------------------------------------------------------------------------------------ batches that end


class Squares(nn.Module):
    def __init__(self) -> None:
        self.w = nn.Parameter(np.ones(2, "float32"))

    def loss(self, batch: Any, *, rng: Any) -> tuple[Any, dict[str, Any]]:
        loss = mg.sum(self.w * batch)
        return loss, {"loss": loss.detach()}


@pytest.mark.parametrize(
    ("batches", "kind", "message"),
    [
        (lambda: iter([np.ones(2)] * 3), ValueError, "the batches ended before step 3; give an endless iterator, such as data.Batches"),
        (lambda: [np.ones(2)] * 3, TypeError, "the batches are a list, expected an endless iterator, such as data.Batches"),
    ],
)  # fmt: skip
def test_batches_that_end_too_soon_end_in_a_sentence(batches: Any, kind: type[Exception], message: str) -> None:
    model = Squares()
    with pytest.raises(kind, match=message):
        fit_likelihood(model, batches(), SGD(model, learning_rate=0.1), Run(steps=5, progress=False), rng=None)


def test_what_goes_wrong_in_making_a_batch_stays_what_it_was() -> None:
    def broken():
        yield 1 + "1"

    with pytest.raises(TypeError, match="unsupported operand"):
        next_batch(broken(), 0)
