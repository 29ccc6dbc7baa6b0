"""The arena: parameters and gradients are aligned views of two vectors, and every parameter has one living owner."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

import minigen as mg
from minigen import nn
from minigen.nn import Parameter
from minigen.optim import EMA, SGD, Adam, AdamW, Arena, RMSProp
from minigen.random import Generator

shapes = st.lists(array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=7), min_size=1, max_size=6)
dtypes = st.sampled_from([np.float32, np.float64])


def parameters_of(shapes, dtype=np.float32, seed=0):
    rng = np.random.default_rng(seed)
    return {f"p{i}": Parameter(np.asarray(rng.normal(size=shape), dtype)) for i, shape in enumerate(shapes)}


def padding(arena):
    """Return a mask of the places in the vectors that are no parameter's."""
    free = np.ones(arena.values.size, bool)
    for start, parameter in zip(arena.starts, arena.parameters.values(), strict=False):
        free[start : start + parameter.size] = False
    return free


# ------------------------------------------------------------------------------------------------- views and layout


@given(shapes=shapes, dtype=dtypes)
def test_parameters_become_aligned_views_with_their_values(shapes, dtype):
    parameters = parameters_of(shapes, dtype)
    before = {name: parameter.data.copy() for name, parameter in parameters.items()}
    arena = Arena(parameters)
    assert arena.values.dtype == arena.gradients.dtype == dtype
    for parameter in parameters.values():
        (parameter * 1.0).backward(np.ones(parameter.shape, dtype))
    gradients = {name: parameter.grad.data for name, parameter in parameters.items()}
    places = np.zeros(arena.values.size, int)
    for name, parameter in parameters.items():
        assert parameter.shape == before[name].shape
        np.testing.assert_array_equal(parameter.data, before[name])
        for vector, view in ((arena.values, parameter.data), (arena.gradients, gradients[name])):
            assert view.shape == parameter.shape
            if parameter.size:
                assert np.shares_memory(vector, view)
                assert view.ctypes.data % 64 == 0
                assert view.flags.c_contiguous
                first = (view.ctypes.data - vector.ctypes.data) // vector.itemsize
                places[first : first + view.size] += 1
    assert places.max(initial=0) <= 2  # once among the values, once among the gradients: no two parameters overlap
    assert (places == 2).sum() == sum(parameter.size for parameter in parameters.values())


@given(shapes=shapes, dtype=dtypes)
def test_views_of_a_vector_and_zeros(shapes, dtype):
    arena = Arena(parameters_of(shapes, dtype))
    vector = arena.zeros()
    assert vector.shape == arena.values.shape
    assert vector.dtype == dtype
    assert not vector.any()
    assert vector.size == 0 or vector.ctypes.data % 64 == 0
    for number, (name, view) in enumerate(arena.views(vector).items(), start=1):
        assert view.shape == arena.parameters[name].shape
        view[...] = number
    for number, view in enumerate(arena.views(vector).values(), start=1):
        assert (view == number).all()
    assert not vector[padding(arena)].any()
    for name, view in arena.views(arena.values).items():
        np.testing.assert_array_equal(view, arena.parameters[name].data)


def test_writing_the_vector_writes_the_parameters():
    w = Parameter(np.arange(6.0).reshape(2, 3).T)  # not contiguous
    arena = Arena({"w": w})
    np.testing.assert_array_equal(w.data, np.arange(6.0).reshape(2, 3).T)
    arena.values *= 10
    np.testing.assert_array_equal(w.data, 10 * np.arange(6.0).reshape(2, 3).T)
    w.assign(np.ones((3, 2)))
    np.testing.assert_array_equal(arena.values[:6], 1)


def test_gradients_are_written_in_place():
    a, b = Parameter(np.ones(3)), Parameter(np.full((2, 2), 2.0))
    optimizer = SGD({"a": a, "b": b}, learning_rate=0.1)
    views = optimizer.arena.views(optimizer.arena.gradients)
    for _ in range(2):  # the same places after zero_grad
        optimizer.zero_grad()
        loss = mg.sum(a * a) + mg.sum(3.0 * b)
        loss.backward(retain_graph=True)
        np.testing.assert_array_equal(views["a"], np.full(3, 2.0))
        np.testing.assert_array_equal(views["b"], np.full((2, 2), 3.0))
        loss.backward()  # a second one is added
        np.testing.assert_array_equal(views["a"], np.full(3, 4.0))
        np.testing.assert_array_equal(views["b"], np.full((2, 2), 6.0))
        for name, parameter in optimizer.arena.parameters.items():
            assert np.shares_memory(parameter.grad.data, views[name])


def test_a_gradient_that_several_parameters_share_is_copied():
    a, b = Parameter(np.ones(2)), Parameter(np.ones(2))
    arena = Arena({"a": a, "b": b})
    mg.sum(a + b).backward()  # add hands one array to both
    arena.views(arena.gradients)["a"][...] = 9
    np.testing.assert_array_equal(b.grad.data, [1, 1])


def test_a_gradient_from_before_is_forgotten():
    w = Parameter(np.ones(2))
    mg.sum(w).backward()
    optimizer = SGD({"w": w}, learning_rate=0.1)
    assert w.grad is None
    optimizer.step()
    np.testing.assert_array_equal(w.data, 1)


@pytest.mark.parametrize(
    "make",
    [
        lambda p: SGD(p, learning_rate=0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
        lambda p: RMSProp(p, learning_rate=0.1, weight_decay=0.1),
        lambda p: Adam(p, learning_rate=0.1, weight_decay=0.1),
        lambda p: AdamW(p, learning_rate=0.1, weight_decay=0.1),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_padding_stays_zero(make, dtype):
    optimizer = make(parameters_of([(3,), (2, 5), (), (17,)], dtype))
    average = EMA(optimizer)
    for step in range(5):
        optimizer.zero_grad()
        loss = sum(mg.sum(mg.exp(p)) for i, p in enumerate(optimizer.arena.parameters.values()) if (step + i) % 3)
        loss.backward()
        optimizer.clip_gradients(0.5)
        optimizer.step()
        average.update()
    free = padding(optimizer.arena)
    assert free.any()
    vectors = [optimizer.arena.values, optimizer.arena.gradients, average.average, *optimizer.moments.values()]
    for vector in vectors:
        assert vector.any()
        assert not vector[free].any()


def test_runs_are_neighbours_with_a_gradient_and_one_count():
    arena = Arena(parameters_of([(3,), (20,), (), (2, 2), (5,), (1,)]))
    for name in ("p0", "p1", "p3", "p4", "p5"):
        mg.sum(arena.parameters[name]).backward()
    runs = list(arena.written([4, 4, 4, 4, 4, 2]))
    assert [positions for _, positions in runs] == [[0, 1], [3, 4], [5]]
    for run, positions in runs:
        assert run == slice(arena.starts[positions[0]], arena.starts[positions[-1] + 1])
    assert [part.sum() for part in arena.written_gradients()] == [23, 10]


# ---------------------------------------------------------------------------------------------------------- ownership


def test_a_second_owner_is_refused_by_the_parameters_name():
    net = nn.Sequential(nn.Linear(2, 2, rng=Generator(0)), nn.Linear(2, 1, rng=Generator(1)))
    optimizer = SGD(net[1], learning_rate=0.1)
    with pytest.raises(ValueError, match=r"parameter layers\.1\.weight already belongs to another optimizer"):
        Adam(net)
    # The refusal left everything as it was: the first net is free, the second still learns.
    assert not net[0].weight.is_owned
    assert net[1].weight.is_owned
    assert np.shares_memory(net[1].weight.data, optimizer.arena.values)


def test_a_dropped_optimizer_releases_its_parameters():
    net = nn.Linear(2, 2, rng=Generator(0))
    optimizer = Adam(net, learning_rate=0.1)
    mg.sum(net(np.ones((1, 2), np.float32))).backward()
    optimizer.step()
    values = net.weight.data.copy()
    del optimizer  # at once, without waiting for the garbage collector
    assert not net.weight.is_owned
    following = Adam(net, learning_rate=0.1)
    assert np.shares_memory(net.weight.data, following.arena.values)
    np.testing.assert_array_equal(net.weight.data, values)
    assert net.weight.grad is None


def test_an_average_keeps_its_parameters_owned():
    net = nn.Linear(2, 2, rng=Generator(0))
    average = EMA(Adam(net))
    with pytest.raises(ValueError, match="weight already belongs"):
        Adam(net)
    del average
    Adam(net)


def test_a_parameter_takes_the_name_that_errors_call_it():
    named, unnamed = Parameter(np.ones(1), name="temperature"), Parameter(np.ones(1))
    Arena({"a": named, "b": unnamed})
    assert (named.name, unnamed.name) == ("temperature", "b")


# ------------------------------------------------------------------------------------------------------------- errors


def test_bad_parameters_are_refused_and_left_free():
    single, double = Parameter(np.ones(1, np.float32)), Parameter(np.ones(1))
    with pytest.raises(ValueError, match=r"one dtype and one device; found \['float32 on cpu', 'float64 on cpu'\]"):
        Arena({"a": single, "b": double})
    with pytest.raises(ValueError, match="a parameter is given twice, under two names"):
        Arena({"a": single, "b": single})
    with pytest.raises(TypeError, match="w is a Tensor, not a Parameter"):
        Arena({"a": single, "w": mg.tensor([1.0], requires_grad=True)})
    assert not single.is_owned
    assert not double.is_owned


@pytest.mark.parametrize("nothing", [{}, nn.ReLU()])
def test_no_parameters_are_refused(nothing):
    with pytest.raises(ValueError, match="there are no parameters"):
        SGD(nothing, learning_rate=0.1)
