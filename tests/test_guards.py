"""Blocks that set something for a while: used again, nested, overlapping in threads, and as decorators; and what threads share."""

import ast
import inspect
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import minigen as mg
from minigen import nn
from minigen.data import TextStreams, density_batches, target
from minigen.data.batches import Batches
from minigen.engine import is_debugging
from minigen.guards import Guard, exclusive
from minigen.kernels.memory import kept_memory
from minigen.kernels.threads import blas_is_limited, one_blas_thread
from minigen.models import GAN, Judge
from minigen.optim import EMA, SGD
from minigen.plots.game_trace import undisturbed
from minigen.plots.style import boxes_for_missing_letters
from minigen.random import Generator

F = np.float32
PACKAGE = Path(mg.__file__).parent


def net():
    rng = Generator(0)
    return nn.Sequential(nn.Linear(2, 3, rng=rng), nn.BatchNorm(3), nn.Dropout(p=0.5, rng=rng))


def averaged():
    module = nn.Linear(1, 1, rng=Generator(0))
    optimizer = SGD(module, learning_rate=1.0)
    average = EMA(optimizer)
    module.weight.assign(module.weight.data + 1)
    own = module.weight.data.copy()
    return average.applied(), lambda: bool((module.weight.data != own).all())


def evaluated():
    module = net()
    return nn.evaluating(module), lambda: not any(part.training for part in module.named_modules().values())


def frozen():
    module = net()
    return nn.frozen_statistics(module), lambda: module[1].is_frozen


def collected():
    layer = nn.BatchNorm(1)
    block = nn.statistics_of(layer, [(np.array([[4.0], [6.0]], F),)])
    return block, lambda: layer.running_mean.data[0] == 5


def averaged_gan():
    rng = Generator(0)
    generator = nn.Sequential(nn.Linear(2, 3, rng=rng), nn.BatchNorm(3))
    gan = GAN(generator, Judge(nn.Linear(3, 1, rng=rng)), latent=2)
    average = EMA(SGD(generator, learning_rate=1.0))
    generator[0].weight.assign(generator[0].weight.data + 1)
    return gan.averaged(average, rng=rng), lambda: not generator.training


def undisturbed_net():
    module = net()
    return undisturbed([module]), lambda: not any(part.training for part in module.named_modules().values())


def recorded():
    x = mg.tensor([1.0], requires_grad=True)
    return mg.no_grad(), lambda: not (x * x).requires_grad


GUARDS = {
    "no_grad": recorded,
    "debug": lambda: (mg.debug(), is_debugging),
    "evaluating": evaluated,
    "frozen_statistics": frozen,
    "statistics_of": collected,
    "undisturbed": undisturbed_net,
    "applied": averaged,
    "averaged": averaged_gan,
    "one_blas_thread": lambda: (one_blas_thread(), blas_is_limited),
    "kept_memory": lambda: (kept_memory(), None),
    "boxes_for_missing_letters": lambda: (boxes_for_missing_letters(), None),
}
"""Returns a guard, and a function that says whether its block is running (None where nothing tells)."""
ONE_FOR_ALL_THREADS = {
    "evaluating",
    "frozen_statistics",
    "statistics_of",
    "undisturbed",
    "applied",
    "averaged",
    "one_blas_thread",
    "kept_memory",
}
guards = pytest.mark.parametrize("make", GUARDS.values(), ids=GUARDS)


def made(make):
    block, is_inside = make()
    return block, is_inside or (lambda: None), (False, True) if is_inside else (None, None)


def test_the_list_has_every_guard_of_the_package():
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                names = {ast.unparse(decorator) for decorator in node.decorator_list}
                if names & {"guard", "process_guard"} and path.name != "guards.py":
                    found.add(node.name)
                # Users are never given a context manager of contextlib's; private ones are entered once, where they are made.
                assert "contextmanager" not in names or node.name.startswith("_") or path.name == "guards.py", path
    assert found | {"no_grad", "debug"} == set(GUARDS)
    assert all(isinstance(make()[0], Guard) for make in GUARDS.values())


@guards
def test_a_guard_is_used_again_and_nested(make):
    block, is_inside, (outside, inside) = made(make)
    for _ in range(2):
        assert is_inside() == outside
        with block:
            assert is_inside() == inside
            with block, block:
                assert is_inside() == inside
            assert is_inside() == inside
    with pytest.raises(KeyError), block:
        raise KeyError
    assert is_inside() == outside


@guards
def test_a_guard_decorates_functions_and_methods(make):
    block, is_inside, (outside, inside) = made(make)

    class Thing:
        @block
        def method(self, depth):
            """Say where it is."""
            return [is_inside(), *(self.method(depth - 1) if depth else ())]

        @block
        @staticmethod
        def of_none():
            return is_inside()

        @classmethod
        @block
        def of_class(cls):
            return cls, is_inside()

    assert Thing().method(2) == Thing().method(depth=2) == [inside] * 3
    assert Thing.method.__doc__ == "Say where it is."
    assert Thing().of_none() == Thing.of_none() == inside
    assert Thing.of_class() == (Thing, inside)
    assert is_inside() == outside


@guards
def test_a_generator_function_runs_inside_and_its_caller_outside(make):
    block, is_inside, (outside, inside) = made(make)
    seen = []

    @block
    def numbers(count):
        try:
            for i in range(count):
                seen.append(is_inside())
                try:
                    got = yield i
                except KeyError:
                    got = "thrown"
                seen.append((is_inside(), got))
            return "end"
        finally:
            seen.append(is_inside())

    assert inspect.isgeneratorfunction(numbers)
    assert seen == []
    generator, other = numbers(3), numbers(3)
    assert next(generator) == 0
    assert is_inside() == outside
    assert next(other) == 0  # two at a time
    assert generator.send("sent") == 1
    assert generator.throw(KeyError) == 2
    assert is_inside() == outside
    with pytest.raises(StopIteration) as stopped:
        next(generator)
    assert stopped.value.value == "end"
    assert seen == [inside, inside, (inside, "sent"), inside, (inside, "thrown"), inside, (inside, None), inside]
    seen.clear()
    other.close()
    assert seen == [inside]
    assert is_inside() == outside

    @block
    def failing():
        yield 1
        raise ArithmeticError

    generator = failing()
    next(generator)
    with pytest.raises(ArithmeticError):
        next(generator)
    with pytest.raises(StopIteration):
        next(generator)
    with pytest.raises(BufferError):
        numbers(2).throw(BufferError)
    assert is_inside() == outside
    assert list(numbers(2)) == [0, 1]


@pytest.mark.parametrize("decorator", [mg.no_grad, mg.debug])
def test_the_modes_of_the_engine_decorate_with_and_without_parentheses(decorator):
    x = mg.tensor([1.0], requires_grad=True)

    @decorator
    def plain():
        return (x * x).requires_grad, is_debugging()

    @decorator()
    def called():
        return (x * x).requires_grad, is_debugging()

    assert plain() == called() == ((False, False) if decorator is mg.no_grad else (True, True))


async def waits():
    pass


async def waits_and_yields():
    yield


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        (waits, "waits is an async function, and other tasks would run inside the block"),
        (waits_and_yields, "waits_and_yields is an async function"),
        (Guard, "only a function can be decorated, not a class"),
        (3, "only a function can be decorated, not an object of type int"),
    ],
)
@guards
def test_what_cannot_be_decorated_is_refused(make, thing, message):
    with pytest.raises(TypeError, match=rf"^\w+: {message}"):
        make()[0](thing)


@guards
def test_a_block_that_another_thread_leaves_is_refused(make):
    block, is_inside, (outside, _) = made(make)
    block.__enter__()
    with (
        ThreadPoolExecutor(1) as pool,
        pytest.raises(RuntimeError, match="left in a thread in which it was not entered"),
    ):
        pool.submit(block.__exit__, None, None, None).result()
    block.__exit__(None, None, None)
    assert is_inside() == outside


@pytest.mark.parametrize("name", GUARDS)
@pytest.mark.parametrize("order", ["first in, first out", "first in, last out"])
@pytest.mark.parametrize("shared", [True, False])
def test_blocks_overlap_in_threads(name, order, shared):
    block, is_inside, (outside, inside) = made(GUARDS[name])
    again = block if shared else Guard(block._name, block._opened)
    everywhere = inside if name in ONE_FOR_ALL_THREADS else outside
    with ThreadPoolExecutor(1) as pool:

        def elsewhere(function, *arguments):
            return pool.submit(function, *arguments).result()

        block.__enter__()
        assert elsewhere(is_inside) == everywhere
        elsewhere(again.__enter__)
        assert is_inside() == elsewhere(is_inside) == inside
        if order == "first in, first out":
            block.__exit__(None, None, None)
            assert elsewhere(is_inside) == inside
            elsewhere(again.__exit__, None, None, None)
        else:
            elsewhere(again.__exit__, None, None, None)
            assert is_inside() == inside
            block.__exit__(None, None, None)
        assert is_inside() == elsewhere(is_inside) == outside


def test_modes_that_are_set_inside_a_block_are_undone_by_its_end_alone():
    module = net()
    module[1].eval()
    with nn.evaluating(module):
        module.train()
        with nn.evaluating(module):
            assert not module[0].training
        assert module[0].training
    assert [part.training for part in module.layers] == [True, False, True]


# --------------------------------------------------------------------------------------- what several threads call at once


def in_threads(work, threads=6, calls=40):
    """Call `work(i)` in several threads at once, each index once; return the results in order."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    gate = threading.Barrier(threads)

    def some(first):
        gate.wait()
        return [(i, work(i)) for i in range(first, calls, threads)]

    try:
        with ThreadPoolExecutor(threads) as pool:
            found = [pair for part in pool.map(some, range(threads)) for pair in part]
    finally:
        sys.setswitchinterval(before)
    return [result for _, result in sorted(found, key=lambda pair: pair[0])]


def wrapped(wrapper):
    rng = Generator(0)
    inner = nn.Linear(8, 8, rng=rng)
    if wrapper == "SpectralNorm":
        return nn.SpectralNorm(inner, rng=rng)
    if wrapper == "convolution":
        return nn.Sequential(nn.Reshape(2, 2, 2), nn.WeightNorm(nn.Conv2d(2, 3, kernel_size=1, rng=rng)))
    return getattr(nn, wrapper)(inner)


WRAPPERS = [
    *(k.__name__ for k in nn.Reparametrized.__subclasses__() if k.__module__.startswith("minigen.")),
    "convolution",
]


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_wrapped_layers_are_called_by_several_threads(wrapper):
    layer = wrapped(wrapper).eval()
    inputs = [np.full((2, 8), i + 1, F) for i in range(40)]

    def gradient(i):
        loss = mg.sum(layer(inputs[i]) ** 2)
        return loss.item(), [g.data for g in mg.grad(loss, layer.parameters())]

    expected = [gradient(i) for i in range(40)]
    for (loss, gradients), (right, right_ones) in zip(in_threads(gradient), expected, strict=True):
        assert loss == right
        for found, wanted in zip(gradients, right_ones, strict=True):
            np.testing.assert_array_equal(found, wanted)
    assert "weight" not in vars(layer.layer if hasattr(layer, "layer") else layer[1].layer)


def test_wrapped_layers_in_training_are_as_after_the_calls_one_by_one():
    together, alone = wrapped("SpectralNorm"), wrapped("SpectralNorm")
    x = np.ones((1, 8), F)
    found = sorted(in_threads(lambda i: together(x).data.tobytes()))
    assert found == sorted(alone(x).data.tobytes() for _ in range(40))
    np.testing.assert_array_equal(together.left.data, alone.left.data)


def test_a_wrapped_layer_may_be_called_inside_its_own_call():
    class Twice(nn.Module):
        def __init__(self):
            self.weight = nn.Parameter(np.eye(2, dtype=F))
            self.again = []

        def forward(self, x):
            before = self.weight
            outer = self.again.pop()(x) if self.again else x
            assert self.weight is before
            return outer @ self.weight

    class Doubled(nn.Reparametrized):
        def of_matrix(self, matrix):
            return 2.0 * matrix

    layer = Doubled(Twice())
    layer.layer.again.append(layer)
    np.testing.assert_array_equal(layer(np.ones((1, 2), F)).data, [[4, 4]])
    with pytest.raises(AttributeError, match="Twice has no attribute 'weight'"):
        _ = layer.layer.weight


def test_a_summary_lists_the_calls_of_its_own_thread():
    module = nn.Sequential(nn.Linear(2, 2, rng=Generator(0)))
    stop = threading.Event()

    def calling():
        while not stop.is_set():
            module(np.ones((1, 2), F))

    with ThreadPoolExecutor(1) as pool:
        called = pool.submit(calling)
        try:
            tables = {nn.summary(module, np.ones((1, 2), F)) for _ in range(50)}
        finally:
            stop.set()
        called.result()
    assert len(tables) == 1


def test_threads_that_share_a_generator_never_get_the_same_numbers():
    rng, alone = Generator(3), Generator(3)
    found = in_threads(lambda i: rng.normal(64).tobytes(), calls=240)
    assert sorted(found) == sorted(alone.normal(64).tobytes() for _ in range(240))
    assert rng.state() == alone.state()


STREAMS = {
    "batches": lambda: Batches(np.arange(24), batch_size=2, rng=Generator(0)),
    "text": lambda: TextStreams(np.arange(50), streams=2, length=4, rng=Generator(0)),
    "density": lambda: density_batches(target("gaussian"), batch_size=3, rng=Generator(0)),
}


@pytest.mark.parametrize("name", STREAMS)
def test_threads_that_share_batches_get_all_of_them(name):
    stream, alone = STREAMS[name](), STREAMS[name]()

    def batch(stream):
        found = next(stream)
        return (found[0] if isinstance(found, tuple) else found).tobytes()

    assert sorted(in_threads(lambda i: batch(stream), calls=240)) == sorted(batch(alone) for _ in range(240))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_is_not_locked_out():
    held, done = threading.Event(), threading.Event()

    def holding():
        with exclusive():
            held.set()
            done.wait()

    thread = threading.Thread(target=holding)
    thread.start()
    held.wait()
    child = os.fork()
    if child == 0:  # in which no thread holds the lock, or will ever let go of it
        Generator(0).normal(3)
        os._exit(0)
    for _ in range(100):
        finished, status = os.waitpid(child, os.WNOHANG)
        if finished:
            break
        threading.Event().wait(0.1)
    else:
        os.kill(child, 9)
        os.waitpid(child, 0)
    done.set()
    thread.join()
    assert finished
    assert status == 0
