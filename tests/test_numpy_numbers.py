"""NumPy's numbers are numbers: whatever takes a Python number takes them, and gives, counts and saves the same.

Two sources show every place where a number comes in: the examples of the docstrings, run once more with NumPy's numbers in place of the
literals; and the cases of the operations. A new function or layer is tested by its example, a new operation by its cases.
"""

import ast
import doctest
import importlib
import json
import pkgutil
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ops.cases import CASES, Case

import minigen as mg
from minigen import nn
from minigen.data import Batches, TextStreams
from minigen.optim import EMA, SGD, Adam, AdamW, RMSProp, cosine, linear_warmup, step_decay
from minigen.random import Generator
from minigen.sizes import as_shape, pair, whole_number
from minigen.training import History, Run, load_state, read_state, save_state, write_metrics

# ------------------------------------------------------------------------------------------------------ examples

QUICK = (
    "minigen.ops",
    "minigen.nn",
    "minigen.random",
    "minigen.distributions",
    "minigen.optim",
    "minigen.data",
    "minigen.training",
)
"""The packages that take sizes. All others pass sizes on to these, and their examples are slow, since they train or measure."""

MODULES = sorted(
    name
    for _, name, _ in pkgutil.walk_packages(mg.__path__, "minigen.")
    if not name.startswith(
        ("minigen.kernels", "minigen.__main__")
    )  # kernels see arrays, and numbers that were checked above
)

ABOUT_TYPES = (
    "minigen.diagnosis.described",
    "minigen.distributions.scalars",
    "minigen.backend.device_of",
    "minigen.interchange.Interchange",
)
"""What tells a NumPy number from a Python number, or adds one to a NumPy array, whose dtype it then widens."""


class _Replaced(ast.NodeTransformer):
    """Calls of `number_` in place of the literals of one type."""

    def __init__(self, kind: type) -> None:
        self.kind = kind

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        if type(node.value) is self.kind and abs(node.value) < 2**63:
            return ast.Call(ast.Name("number_", ast.Load()), [node], [])
        return node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        if isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
            return self.visit_Constant(ast.Constant(-node.operand.value))  # -1 is one number, too
        return self.generic_visit(node)


def plain_text(shown: str) -> str:
    """What an example shows, with numbers as Python shows them."""
    shown = re.sub(r"np\.(?:u?int|float)\d+\(([^()]*)\)", r"\1", shown)
    return re.sub(r"np\.(True|False)_", r"\1", shown)


def run_example(
    test: doctest.DocTest, kind: type, number: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = dict(test.globs, number_=number)
    checker, flags = doctest.OutputChecker(), doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    for example in test.examples:
        shown: list[str] = []
        printed = lambda *parts, shown=shown, **_: shown.append(" ".join(map(str, parts)))
        with monkeypatch.context() as patch:
            patch.setattr("sys.displayhook", lambda value, shown=shown: value is None or shown.append(repr(value)))
            patch.setitem(names, "print", printed)
            tree = ast.fix_missing_locations(_Replaced(kind).visit(ast.parse(example.source, mode="single")))
            try:
                exec(compile(tree, test.name, "single"), names)
            except Exception:
                if example.exc_msg is None:
                    raise
                continue
        got = plain_text("\n".join(shown)) + "\n"
        if example.want and example.exc_msg is None:
            assert checker.check_output(plain_text(example.want), got, flags), (
                f"{example.source}: {got}, not {example.want}"
            )


@pytest.mark.parametrize("number", [np.int64, np.float64], ids=lambda number: number.__name__)
@pytest.mark.parametrize(
    "name", [name if name.startswith(QUICK) else pytest.param(name, marks=pytest.mark.slow) for name in MODULES]
)
def test_examples_hold_for_numpys_numbers(name: str, number: type, monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    kind = float if number is np.float64 else int
    for test in doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(name), name):
        if not test.name.startswith(ABOUT_TYPES):
            run_example(test, kind, number, monkeypatch)


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("minigen.nn.")])
def test_sizes_do_not_overflow_in_layers(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of classes of uint8 labels, `labels.max() + 1`, is a uint8, whose products overflow at 256."""

    def made(value: int) -> Any:
        return np.uint8(value) if 0 <= value < 256 else value

    for test in doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(name), name):
        if "np.array(" not in test.docstring:  # there a literal is data
            run_example(test, int, made, monkeypatch)


# ------------------------------------------------------------------------------------------------------ operations


def changed(value: Any, number: Callable[[int], Any]) -> Any:
    """A keyword of whole numbers with every one of them made another kind of number."""
    return number(value) if type(value) is int else tuple(changed(part, number) for part in value)


def whole_keywords(case: Case) -> dict[str, Any]:
    def is_whole(value: Any) -> bool:
        return type(value) is int or (type(value) is tuple and value != () and all(map(is_whole, value)))

    return {name: value for name, value in case.keywords.items() if is_whole(value)}


WITH_WHOLE_NUMBERS = [case for case in CASES if whole_keywords(case)]


@pytest.mark.parametrize("case", WITH_WHOLE_NUMBERS, ids=str)
def test_operations_take_numpys_whole_numbers(case: Case) -> None:
    expected = case.outputs(case.floats)
    for number in (np.int64, np.int8, np.array):
        with_numpys = {name: changed(value, number) for name, value in whole_keywords(case).items()}
        found = Case(
            case.function, case.arguments, case.keywords | with_numpys, case.expected, case.differentiable, case.label
        )
        x = [mg.Tensor(array, requires_grad=True) for array in case.floats]
        for a, b in zip(found.outputs(x), expected, strict=True):
            np.testing.assert_array_equal(a.data, b)
        loss = sum(mg.sum(y) for y in found.outputs(x))
        if loss.requires_grad:
            loss.backward()


ABOUT_VALUES = {"correction"}
"""Keywords that are whole only by custom: `var` may also divide by n - 0.5."""


@pytest.mark.parametrize("case", WITH_WHOLE_NUMBERS, ids=str)
def test_operations_refuse_floats_for_whole_numbers_whatever_was_called_before(case: Case) -> None:
    case.outputs(case.floats)  # a cache that is keyed by equality would now take 2.0 for 2
    for name, value in whole_keywords(case).items():
        if name in ABOUT_VALUES:
            continue
        keywords = case.keywords | {name: changed(value, float)}
        other = Case(case.function, case.arguments, keywords, case.expected, case.differentiable, case.label)
        with pytest.raises((ValueError, TypeError)):
            other.outputs(case.floats)


def test_a_stride_in_a_list_is_as_good_as_one_in_a_tuple() -> None:
    x, w = np.ones((1, 4, 4, 1)), np.ones((2, 2, 1, 1))
    np.testing.assert_array_equal(mg.conv2d(x, w, stride=[2, 2]), mg.conv2d(x, w, stride=(2, 2)))
    np.testing.assert_array_equal(mg.conv2d(x, w, padding=[[1, 0], [0, 1]]), mg.conv2d(x, w, padding=((1, 0), (0, 1))))
    assert mg.max_pool2d(x, kernel_size=[2, 1]).shape == (1, 2, 4, 1)


def test_arange_counts_whole_numbers_exactly() -> None:
    start = 20_000_000
    for first, last in (
        (np.int64(start), np.int64(start + 3)),
        (np.array(start), start + 3),
        (start, np.uint32(start + 3)),
    ):
        np.testing.assert_array_equal(mg.arange(first, last).data, [start, start + 1, start + 2])
    assert mg.arange(np.float64(3)).dtype == np.float32


# ------------------------------------------------------------------------------------------------------ sizes


@pytest.mark.parametrize("bad", [2.0, "2", None, np.float64(2), (2.0, 1), [[2]], np.ones(2)])
def test_what_is_not_a_whole_number_is_refused_by_name(bad: Any) -> None:
    for refuse in (
        lambda: whole_number("op", "count", bad, 1),
        lambda: pair("op", "count", bad, 1),
        lambda: as_shape("op", bad, "count"),
    ):
        with pytest.raises(ValueError, match=r"^op: count is .*, expected a whole number"):
            refuse()


def test_an_array_that_cannot_exist_is_an_error_of_memory() -> None:
    for shape in ((10**12, 10**12), 10**30, (np.int64(2**40), np.int64(2**40))):
        with pytest.raises(MemoryError, match=r"normal: shape \(.*\) has 1,.* elements, more than any memory holds"):
            Generator(0).normal(shape)


# ------------------------------------------------------------------------------------------------------ what is saved


def strictly_plain(value: Any) -> bool:
    """Whether a value consists only of Python's own types."""
    if isinstance(value, dict):
        return all(type(key) is str and strictly_plain(part) for key, part in value.items())
    return (
        all(map(strictly_plain, value)) if type(value) is list else type(value) in (int, float, str, bool, type(None))
    )


MEASURED = {
    "loss": np.float32(1.5), "count": np.int64(3), "is_better": np.True_, "curve": np.array([0.5, 1.0], "float32"),
    "single": mg.tensor(2.0), "shape": (np.int8(1), 2),
    "nested": {"a": [np.float64(1.0)], 7: np.array(2)}, "none": None, "word": np.str_("a"),
}  # fmt: skip
PLAIN = {
    "loss": 1.5, "count": 3, "is_better": True, "curve": [0.5, 1.0], "single": 2.0, "shape": [1, 2], "nested": {"a": [1.0], "7": 2},
    "none": None, "word": "a",
}  # fmt: skip


def test_metrics_hold_numpys_numbers(tmp_path) -> None:
    write_metrics(tmp_path / "metrics.json", MEASURED)
    assert json.loads((tmp_path / "metrics.json").read_text()) == PLAIN


def test_metrics_name_what_json_cannot_hold(tmp_path) -> None:
    with pytest.raises(TypeError, match=r"write_metrics: model\.parts\[1\] is a Linear; JSON has numbers, strings"):
        write_metrics(tmp_path / "m.json", {"model": {"parts": [1, nn.Linear(1, 1, rng=Generator(0))]}})
    with pytest.raises(TypeError, match=r"write_metrics: table has the key \(1, 2\)"):
        write_metrics(tmp_path / "m.json", {"table": {(1, 2): 3}})
    with pytest.raises(
        ValueError, match=r"write_metrics: curve\[1\] is nan, nested\.a is inf; JSON has no such number"
    ):
        write_metrics(tmp_path / "m.json", {"curve": np.array([1, np.nan]), "nested": {"a": np.float32(np.inf)}})
    assert not (tmp_path / "m.json").exists()


def test_a_history_keeps_python_numbers() -> None:
    history = History()
    history.record(np.int64(3), loss=np.float32(0.5), curve=np.arange(2.0), steps=mg.tensor([1, 2]))
    assert history.rows == [{"step": 3, "loss": 0.5, "curve": [0.0, 1.0], "steps": [1, 2]}]
    assert strictly_plain(history.state())
    with pytest.raises(TypeError, match="record: phase is 'warm', expected a number"):
        history.record(4, phase="warm")


class Noise(nn.Module):
    """A network, data and noise, whose sizes are either all NumPy's or all Python's."""

    def __init__(self, number: type) -> None:
        self.rng = Generator(number(3))
        self.net = nn.Sequential(nn.Linear(number(2), number(4), rng=self.rng), nn.BatchNorm(number(4)))
        self.optimizer = Adam(self.net, learning_rate=cosine(number(1) / 8, steps=number(20)))
        self.average = EMA(self.optimizer, decay=number(3) / 4)
        self.batches = Batches(np.arange(14.0, dtype="float32").reshape(7, 2), batch_size=number(3), rng=self.rng)
        self.text = TextStreams(np.arange(30), streams=number(2), length=number(3), rng=Generator(number(1)))

    def parts(self) -> dict[str, Any]:
        names = ("net", "optimizer", "average", "batches", "text", "rng")
        return {name: getattr(self, name) for name in names}

    def run(self, path, steps: Any, number: type) -> Run:
        run = Run(
            steps=steps, every=number(1), progress=False, checkpoint=path, parts=self.parts(),
            configuration={"width": number(4), "sizes": (number(1), number(2))}, monitor=lambda: {"distance": np.float32(0.5)},
        )  # fmt: skip
        return run

    def go(self, run: Run) -> None:
        for step in run:
            self.optimizer.zero_grad()
            loss = mg.mean(self.net(next(self.batches)) ** 2) + float(next(self.text)[0].sum())
            self.rng.normal(5)
            loss.backward()
            self.optimizer.step()
            self.average.update()
            run.record(step, loss=np.float32(loss.item()), length=np.int64(4), array=np.array([1.0]))


def test_a_checkpoint_of_numpys_numbers_is_that_of_pythons_and_goes_on_either_way(tmp_path) -> None:
    for number in (int, np.int64):
        one = Noise(number)
        one.go(one.run(tmp_path / number.__name__, number(5), number))
    saved = {name: read_state(tmp_path / name) for name in ("int", "int64")}
    assert saved["int"].keys() == saved["int64"].keys()
    for name, value in saved["int"].items():
        if hasattr(value, "shape"):
            np.testing.assert_array_equal(value, saved["int64"][name])
        elif name != "run.seconds":
            assert value == saved["int64"][name]
            assert strictly_plain(value)
    for number, path in ((np.int64, "int"), (int, "int64")):  # each goes on from the other's file
        other = Noise(number)
        run = other.run(tmp_path / path, number(7), number)
        run.resume()
        other.go(run)
        assert run.history.column("step") == list(range(7))


def test_states_are_plain_whatever_the_sizes_were(tmp_path) -> None:
    made = Noise(np.int64)
    for name, part in made.parts().items():
        for entry, value in part.state().items():
            assert isinstance(value, np.ndarray) or strictly_plain(value), f"{name}.{entry} is {value!r}"


def test_numbers_of_numpy_in_a_state_are_numbers(tmp_path) -> None:
    class Counter:
        value = np.int64(3)

        def state(self):
            return {"value": self.value, "scale": np.float32(0.5)}

        def load_state(self, state):
            self.value = state["value"]

    save_state(tmp_path / "file", counter=Counter())
    assert read_state(tmp_path / "file") == {"counter.value": 3, "counter.scale": 0.5}
    counter = Counter()
    load_state(tmp_path / "file", counter=counter)
    assert type(counter.value) is int


def test_a_figure_that_is_not_one_number_is_named() -> None:
    run = Run(steps=1, progress=False, label="training")
    for step in run:
        with pytest.raises(TypeError, match=r"training: losses is of shape \(2,\), expected one number"):
            run.record(step, losses=np.ones(2))
        with pytest.raises(TypeError, match="training: phase is 'warm', expected one number"):
            run.record(step, phase="warm")


# ------------------------------------------------------------------------------------------------------ rates


@pytest.mark.parametrize("number", [np.float64, np.float32])
@pytest.mark.parametrize(
    "make",
    [
        lambda w, f: SGD(w, learning_rate=f(0.25), momentum=f(0.5), weight_decay=f(0.125)),
        lambda w, f: RMSProp(w, learning_rate=f(0.25), decay=f(0.5)),
        lambda w, f: Adam(w, learning_rate=f(0.25), beta1=f(0.5), beta2=f(0.75)),
        lambda w, f: AdamW(w, learning_rate=linear_warmup(step_decay(f(0.25), every=np.int64(2)), steps=np.int64(2))),
    ],
    ids=["sgd", "rmsprop", "adam", "adamw"],
)
def test_rates_may_be_numpys_numbers(make: Callable[..., Any], number: type) -> None:
    trained = []
    for kind in (float, number):
        w = nn.Parameter(np.ones(3, "float32"))
        optimizer = make({"w": w}, kind)
        for _ in range(3):
            optimizer.zero_grad()
            mg.sum(w**2).backward()
            optimizer.step()
        trained.append(w.data)
        assert type(optimizer.learning_rate) is float
    np.testing.assert_allclose(trained[1], trained[0], rtol=1e-6)
