"""Operations against NumPy's of the same name, over shapes, axes, indices, subscripts, strides and dtypes that Hypothesis draws.

Values come from a seeded generator: Hypothesis draws the structure, where the mistakes are, and finds the smallest one that fails.
"""

import string

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minigen as mg
from minigen.engine import sum_to
from minigen.ops.index import index
from minigen.testing import gradcheck

booleans = st.booleans()
shapes = hnp.array_shapes(min_dims=0, max_dims=3, min_side=1, max_side=3)
shapes_with_zeros = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
shapes_with_axes = hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=3)
pairs_of_shapes = hnp.mutually_broadcastable_shapes(num_shapes=2, min_side=0, max_dims=3, max_side=3).map(
    lambda s: s.input_shapes
)


@st.composite
def arrays(draw, shape, dtypes=("float64", "float32", "int64")):
    """Distinct numbers of both signs, none below 0.2 in magnitude, in any of several memory layouts."""
    dtype = draw(st.sampled_from(dtypes))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    count = int(np.prod(shape))
    values = (1 + rng.permutation(count)) * rng.choice([-1, 1], count)
    x = np.asarray(values.reshape(shape) / (1 if dtype == "int64" else 4)).astype(dtype)
    layout = draw(st.sampled_from(("plain", "transposed", "reversed", "every second")))
    if x.ndim == 0 or layout == "plain":
        return x
    if layout == "transposed":
        return np.asfortranarray(x)
    if layout == "reversed":
        return np.ascontiguousarray(np.flip(x))[(slice(None, None, -1),) * x.ndim]
    return np.repeat(x, 2, axis=-1)[..., ::2]


def axis_of(ndim):
    return st.integers(-ndim, ndim - 1)


def axes_of(ndim):
    """None, one axis, or a tuple of axes, which may be empty."""
    choices = st.none() | hnp.valid_tuple_axes(ndim)
    return choices | axis_of(ndim) if ndim else choices


def check(ours, theirs, inputs, order=1, rtol=None):
    """`ours` gives what `theirs` gives: values, shape, dtype, and an array; and its gradients are right."""
    expected = theirs(*inputs)
    obtained = ours(*inputs)
    assert type(obtained) is np.ndarray
    assert obtained.shape == np.shape(expected)
    assert obtained.dtype == np.asarray(expected).dtype
    np.testing.assert_allclose(
        obtained, expected, rtol=rtol or (1e-5 if obtained.dtype == np.float32 else 1e-12), atol=1e-12
    )
    gradcheck(ours, [x.astype("float64") for x in inputs], order=order, name="the operation under test")


# ------------------------------------------------------------------------------------------------------ elementwise


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide", "maximum", "minimum"])
@given(data=st.data())
def test_binary_operations_broadcast(name, data):
    first, second = data.draw(pairs_of_shapes)
    a, b = data.draw(arrays(first)), data.draw(arrays(second))
    b = b * 0.9 if b.dtype.kind == "f" else b  # no ties with a
    if a.dtype.kind != "f" or b.dtype.kind != "f":
        obtained, expected = getattr(mg, name)(a, b), getattr(np, name)(a, b)
        assert obtained.dtype == expected.dtype
        np.testing.assert_array_equal(obtained, expected)
    else:
        check(getattr(mg, name), getattr(np, name), [a, b], order=2)


@given(data=st.data())
def test_power_broadcasts(data):
    first, second = data.draw(pairs_of_shapes)
    a, b = data.draw(arrays(first, ["float64"])), data.draw(arrays(second, ["float64"]))
    check(mg.power, np.power, [0.3 + np.abs(a) / 4, np.sin(b)], order=2)


@given(data=st.data())
def test_where_broadcasts(data):
    one, two, three = data.draw(
        hnp.mutually_broadcastable_shapes(num_shapes=3, min_side=0, max_dims=3, max_side=3)
    ).input_shapes
    condition = data.draw(hnp.arrays(bool, one))
    a, b = data.draw(arrays(two)), data.draw(arrays(three))
    check(lambda a, b: mg.where(condition, a, b), lambda a, b: np.where(condition, a, b), [a, b])


@given(data=st.data())
def test_broadcast_to_and_sum_to(data):
    small, _ = both = data.draw(pairs_of_shapes)
    large = np.broadcast_shapes(*both)
    x = data.draw(arrays(small))
    check(lambda x: mg.broadcast_to(x, shape=large), lambda x: np.broadcast_to(x, large), [x])
    # The sum of a broadcast array counts each element as often as it was repeated.
    times = np.prod(large) / max(np.prod(small), 1)
    np.testing.assert_allclose(sum_to(np.broadcast_to(x, large), shape=small), x * times)


# ------------------------------------------------------------------------------------------------------ reductions

norm = lambda x, **k: np.sqrt((x * x).sum(**k)).astype(x.dtype)
logsumexp = lambda x, **k: np.log(np.exp(x).sum(**k))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (mg.mean, np.mean),
        (mg.var, np.var),
        (mg.max, np.max),
        (mg.min, np.min),
        (mg.norm, norm),
        (mg.logsumexp, logsumexp),
    ],
    ids=["mean", "var", "max", "min", "norm", "logsumexp"],
)
@given(data=st.data())
def test_reductions(ours, theirs, data):
    shape = data.draw(shapes)
    keywords = {"axis": data.draw(axes_of(len(shape))), "keepdims": data.draw(booleans)}
    x = data.draw(arrays(shape, ("float64", "float32")))
    check(lambda x: ours(x, **keywords), lambda x: theirs(x, **keywords), [x], order=2, rtol=1e-5)


@pytest.mark.parametrize(("ours", "theirs"), [(mg.sum, np.sum), (mg.prod, np.prod)], ids=["sum", "prod"])
@given(data=st.data())
def test_sum_and_prod_also_over_nothing(ours, theirs, data):
    shape = data.draw(shapes_with_zeros)
    keywords = {"axis": data.draw(axes_of(len(shape))), "keepdims": data.draw(booleans)}
    x = data.draw(arrays(shape))
    x = x % 3 if x.dtype.kind == "i" else np.sin(x)  # products stay small
    check(lambda x: ours(x, **keywords), lambda x: theirs(x, **keywords), [x], order=2, rtol=1e-5)


@pytest.mark.parametrize("name", ["cumsum", "argmax"])
@given(data=st.data())
def test_along_one_axis(name, data):
    shape = data.draw(shapes_with_axes)
    axis = data.draw(axis_of(len(shape)))
    x = data.draw(arrays(shape))
    check(lambda x: getattr(mg, name)(x, axis=axis), lambda x: getattr(np, name)(x, axis=axis), [x])


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@given(data=st.data())
def test_softmax(name, data):
    def theirs(x, axis):
        weights = np.exp(x) / np.exp(x).sum(axis=axis, keepdims=True)
        return weights if name == "softmax" else np.log(weights)

    shape = data.draw(shapes_with_axes)
    axis = data.draw(axis_of(len(shape)))
    x = np.sin(data.draw(arrays(shape, ("float64", "float32"))))
    check(lambda x: getattr(mg, name)(x, axis=axis), lambda x: theirs(x, axis), [x], order=2)


# ------------------------------------------------------------------------------------------------------ indexing


@given(data=st.data())
def test_basic_indices(data):
    shape = data.draw(shapes_with_zeros)
    key = data.draw(hnp.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True))
    check(lambda x: index(x, key), lambda x: x[key], [data.draw(arrays(shape))])


@given(data=st.data())
def test_integer_arrays_as_indices(data):
    shape = data.draw(shapes_with_axes)
    key = data.draw(hnp.integer_array_indices(shape, result_shape=hnp.array_shapes(max_dims=2, max_side=3)))
    check(lambda x: index(x, key), lambda x: x[key], [data.draw(arrays(shape))])


@given(data=st.data())
def test_boolean_arrays_as_indices(data):
    shape = data.draw(shapes_with_axes)
    mask = data.draw(hnp.arrays(bool, shape[: data.draw(st.integers(1, len(shape)))]))
    key = mask if data.draw(booleans) else (mask, ...)
    check(lambda x: index(x, key), lambda x: x[key], [data.draw(arrays(shape))])


@given(data=st.data())
def test_arrays_among_slices_and_integers(data):
    shape = data.draw(st.tuples(*[st.integers(1, 3)] * 3))
    items = [
        data.draw(
            st.slices(n)
            | st.integers(-n, n - 1)
            | hnp.arrays(np.int64, 2, elements=st.integers(-n, n - 1))
            | st.lists(st.integers(0, n - 1), min_size=2, max_size=2)
        )
        for n in shape
    ]
    items.insert(data.draw(st.integers(0, 3)), None)
    key = tuple(items)
    check(lambda x: index(x, key), lambda x: x[key], [data.draw(arrays(shape))])


@given(data=st.data())
def test_gather_and_scatter_add_are_adjoint(data):
    """<gather(x), v> = <x, scatter_add(0, v)> for all x and v; and gather is NumPy's take_along_axis."""
    shape = data.draw(shapes_with_axes)
    axis = data.draw(axis_of(len(shape)))
    length = data.draw(st.integers(1, 4))
    picked = tuple(length if i == axis % len(shape) else n for i, n in enumerate(shape))
    indices = data.draw(hnp.arrays(np.int64, picked, elements=st.integers(0, shape[axis] - 1)))
    x, v = data.draw(arrays(shape, ["float64"])), data.draw(arrays(picked, ["float64"]))
    gathered = mg.gather(x, indices, axis=axis)
    np.testing.assert_array_equal(gathered, np.take_along_axis(x, indices, axis))
    scattered = mg.scatter_add(np.zeros(shape), indices, v, axis=axis)
    assert np.sum(gathered * v) == pytest.approx(np.sum(x * scattered))
    gradcheck(lambda x, v: mg.scatter_add(x, indices, v, axis=axis), [x, v], order=1, name="scatter_add")


# ------------------------------------------------------------------------------------------------------ products


@given(data=st.data())
def test_matmul(data):
    pair = hnp.mutually_broadcastable_shapes(signature=np.matmul.signature, min_side=0, max_dims=2, max_side=3)
    first, second = data.draw(pair).input_shapes
    a, b = data.draw(arrays(first)), data.draw(arrays(second))
    check(mg.matmul, np.matmul, [a, b], order=2)


@st.composite
def einstein_sums(draw):
    """Subscripts with letters repeated, summed over and exchanged, an ellipsis, and the output given or not; and shapes to match."""
    lengths = {letter: draw(st.integers(1, 3)) for letter in "ijkA"}
    leading = draw(st.lists(st.integers(1, 2), max_size=2))
    inputs, operand_shapes = [], []
    for _ in range(draw(st.integers(1, 3))):
        letters = draw(st.lists(st.sampled_from("ijkA"), max_size=3))
        place = draw(st.integers(0, len(letters))) if leading and draw(booleans) else None
        shape = [lengths[letter] for letter in letters]
        if place is not None:
            kept = leading[draw(st.integers(0, len(leading))) :]
            shape[place:place] = [draw(st.sampled_from([n, 1])) for n in kept]
            letters.insert(place, "...")
        inputs.append("".join(letters))
        operand_shapes.append(tuple(shape))
    subscripts = ",".join(inputs)
    if draw(booleans):
        output = draw(
            st.permutations(sorted(set(subscripts) & set(string.ascii_letters))).flatmap(
                lambda p: st.integers(0, len(p)).map(lambda n: p[:n])
            )
        )
        if "..." in subscripts:
            output.insert(draw(st.integers(0, len(output))), "...")
        subscripts += "->" + "".join(output)
    return subscripts, operand_shapes


@given(data=st.data())
def test_einsum(data):
    subscripts, operand_shapes = data.draw(einstein_sums())
    operands = [np.sin(data.draw(arrays(shape, ["float64"]))) for shape in operand_shapes]
    check(lambda *a: mg.einsum(subscripts, *a), lambda *a: np.einsum(subscripts, *a), operands, order=2)


@pytest.mark.parametrize("subscripts", ["i,i->", "i,i->i", "ij,ij->j"])
def test_einsum_broadcasts_a_length_of_one_as_numpy_does(subscripts):
    ndim = len(subscripts.partition(",")[0])
    a, b = np.arange(1.0, 4.0).reshape((3,) + (1,) * (ndim - 1)), np.full((1,) * ndim, 2.0)
    check(lambda *x: mg.einsum(subscripts, *x), lambda *x: np.einsum(subscripts, *x), [a, b], order=2)


# ------------------------------------------------------------------------------------------------------ shapes


@given(data=st.data())
def test_concatenate_and_stack(data):
    shape = data.draw(shapes_with_axes)
    axis = data.draw(axis_of(len(shape)))
    count = data.draw(st.integers(1, 3))
    parts = []
    for _ in range(count):
        part = list(shape)
        part[axis] = data.draw(st.integers(0, 3))
        parts.append(data.draw(arrays(tuple(part))))
    check(lambda *a: mg.concatenate(a, axis=axis), lambda *a: np.concatenate(a, axis=axis), parts)
    place = data.draw(axis_of(len(shape) + 1))
    check(
        lambda *a: mg.stack(a, axis=place),
        lambda *a: np.stack(a, axis=place),
        [data.draw(arrays(shape)) for _ in range(count)],
    )


@given(data=st.data())
def test_split(data):
    shape = data.draw(shapes_with_axes)
    axis = data.draw(axis_of(len(shape)))
    divisors = [n for n in range(1, shape[axis] + 1) if shape[axis] % n == 0]
    sections = data.draw(st.sampled_from(divisors) | st.lists(st.integers(0, shape[axis]), max_size=3).map(sorted))
    x = data.draw(arrays(shape))
    parts, expected = mg.split(x, sections, axis), np.split(x, sections, axis)
    for part, wanted in zip(parts, expected, strict=True):
        np.testing.assert_array_equal(part, wanted)
    gradcheck(lambda x: tuple(mg.split(x, sections, axis)), [x.astype("float64")], order=1, name="split")


@given(data=st.data())
def test_pad(data):
    shape = data.draw(shapes_with_axes)
    width = tuple(data.draw(st.tuples(st.integers(0, 2), st.integers(0, 2))) for _ in shape)
    x = data.draw(arrays(shape))
    check(lambda x: mg.pad(x, width=width, value=3.0), lambda x: np.pad(x, width, constant_values=3.0), [x])


@given(data=st.data())
def test_tile_and_repeat(data):
    shape = data.draw(shapes_with_zeros)
    repetitions = tuple(data.draw(st.lists(st.integers(0, 2), max_size=4)))
    check(lambda x: mg.tile(x, repetitions), lambda x: np.tile(x, repetitions), [data.draw(arrays(shape))])
    if shape:
        repeats, axis = data.draw(st.integers(0, 3)), data.draw(axis_of(len(shape)))
        check(lambda x: mg.repeat(x, repeats, axis), lambda x: np.repeat(x, repeats, axis), [data.draw(arrays(shape))])


@given(data=st.data())
def test_flip_and_transpose(data):
    shape = data.draw(shapes_with_zeros)
    axis = data.draw(axes_of(len(shape)))
    order = data.draw(st.none() | st.permutations(range(len(shape))).map(tuple))
    check(lambda x: mg.flip(x, axis=axis), lambda x: np.flip(x, axis), [data.draw(arrays(shape))])
    check(lambda x: mg.transpose(x, axes=order), lambda x: np.transpose(x, order), [data.draw(arrays(shape))])


@given(data=st.data())
def test_moveaxis_expand_dims_and_squeeze(data):
    shape = data.draw(shapes_with_zeros)
    ndim = len(shape)
    source = data.draw(hnp.valid_tuple_axes(ndim))
    destination = data.draw(hnp.valid_tuple_axes(ndim, min_size=len(source), max_size=len(source)))
    check(
        lambda x: mg.moveaxis(x, source, destination),
        lambda x: np.moveaxis(x, source, destination),
        [data.draw(arrays(shape))],
    )
    new = data.draw(hnp.valid_tuple_axes(ndim + 2, min_size=2, max_size=2))
    x = data.draw(arrays(shape))
    check(lambda x: mg.expand_dims(x, new), lambda x: np.expand_dims(x, new), [x])
    check(lambda x: mg.squeeze(x, new), lambda x: np.squeeze(x, new), [np.expand_dims(x, new)])
    check(lambda x: mg.squeeze(x), np.squeeze, [np.expand_dims(x, new)])


@given(data=st.data())
def test_reshape(data):
    shape = data.draw(shapes)
    target = list(data.draw(st.permutations(shape)))
    if target and data.draw(booleans):
        target[data.draw(st.integers(0, len(target) - 1))] = -1
    check(lambda x: mg.reshape(x, shape=tuple(target)), lambda x: np.reshape(x, target), [data.draw(arrays(shape))])
