"""Reverse mode: accumulation, the walk, memory, versions, modes, and how a Tensor behaves."""

import gc
import inspect
import threading
import weakref

import numpy as np
import pytest
from devices import on_host
from hypothesis import given
from hypothesis import strategies as st

import minigen as mg
from minigen.backend import array_module, module_of, to_device
from minigen.engine import Node, Primitive, Tensor, add, debug, grad, no_grad, primitive
from minigen.testing import gradcheck


@pytest.fixture(autouse=True)
def registry_as_before():
    """What a test registers is gone after it."""
    before = dict(Primitive.registry)
    yield
    Primitive.registry.clear()
    Primitive.registry.update(before)


def leaf(values, dtype="float64", name="", device="cpu"):
    return Tensor(to_device(np.array(values, dtype), device), requires_grad=True, name=name)


def counting(name="counted"):
    """An identity, and a list that grows by one whenever its vjp runs."""
    calls = []

    def identity(x):
        return x + 0.0

    def vjp(g):
        calls.append(name)
        return g

    identity.__name__ = name
    operation = primitive()(identity)
    operation.vjp(x=vjp)
    return operation, calls


# ------------------------------------------------------------------------------------------------------ accumulation


def test_one_cotangent_may_reach_two_parents(device):
    a = leaf([1.0, 2.0], device=device)
    b = a + a
    c = b + b
    c.backward(to_device(np.array([1.0, 10.0]), device))
    np.testing.assert_array_equal(on_host(a.grad), [4.0, 40.0])


@pytest.mark.parametrize("uses", [1, 2, 3, 4, 7])
def test_accumulation_writes_into_nobodys_array(uses, device):
    handed_out = []

    @primitive()
    def keeps(x):
        return x + 0.0

    def vjp(g):
        handed_out.append((g, g.copy()))
        return g

    keeps.vjp(x=vjp)
    x = leaf([1.0, 2.0], device=device)
    h = keeps(x)  # its cotangent is a sum of `uses` terms
    seed = to_device(np.array([1.0, 10.0]), device)
    y = h
    for _ in range(uses - 1):
        y = y + keeps(h)
    (g,) = grad([y], [x], [seed])
    np.testing.assert_array_equal(on_host(g), uses * np.array([1.0, 10.0]))
    np.testing.assert_array_equal(on_host(seed), [1.0, 10.0])
    for array, copy in handed_out:
        np.testing.assert_array_equal(on_host(array), on_host(copy))


def test_gradients_of_two_backwards_add_up(device):
    x = leaf([1.0, 2.0], device=device)
    for _ in range(2):
        mg.sum(x * x).backward()
    np.testing.assert_array_equal(on_host(x.grad), [4.0, 8.0])


def test_grad_owns_its_memory():
    a, b = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    seed = np.array([1.0, 1.0])
    (a + b).backward(seed)
    arrays = [seed, a.grad.data, b.grad.data]
    assert not any(np.shares_memory(p, q) for i, p in enumerate(arrays) for q in arrays[:i])
    (a + b).backward(seed)
    np.testing.assert_array_equal(seed, [1.0, 1.0])
    np.testing.assert_array_equal(a.grad.data, [2.0, 2.0])


def test_grad_of_a_broadcast_sum_is_writable():
    x = leaf([1.0, 2.0])
    mg.sum(x).backward()  # the vjp returns a read-only view of one number
    x.grad.data[0] = 5.0
    np.testing.assert_array_equal(x.grad.data, [5.0, 1.0])


def test_grad_is_written_where_an_optimizer_has_provided_memory(device):
    x = leaf([1.0, 2.0], device=device)
    x.grad_memory = to_device(np.full(2, np.nan), device)
    for factor in (1.0, 2.0):
        mg.sum(x * 3.0).backward()
        assert x.grad.data is x.grad_memory
        np.testing.assert_array_equal(on_host(x.grad_memory), factor * np.array([3.0, 3.0]))


def test_only_leaves_get_grad():
    x, constant = leaf([1.0, 2.0]), Tensor(np.ones(2))
    h = x * constant
    y = mg.sum(h)
    y.backward()
    assert x.grad is not None
    assert h.grad is None
    assert y.grad is None
    assert constant.grad is None


# ------------------------------------------------------------------------------------------------------ the walk


def test_backward_visits_every_node_once():
    counted, calls = counting()
    x = leaf(1.0)
    y = x
    for _ in range(20):  # 2^20 paths, 60 nodes
        y = counted(y) + counted(y)
    y.backward()
    assert x.grad.item() == 2.0**20
    assert len(calls) == 40


def test_a_node_waits_for_all_its_children():
    """The short way from y to h must not carry h's cotangent on before the long way has arrived."""
    counted, calls = counting()
    x = leaf(2.0)
    h = counted(x)
    long_way = h
    for _ in range(5):
        long_way = long_way * 1.0
    (h + long_way).backward()
    assert x.grad.item() == 2.0
    assert len(calls) == 1


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_graph_100_000_deep(create_graph):
    x = leaf([1.0, 2.0])
    y = x
    for _ in range(100_000):
        y = y + x
    g = grad(y, x, np.ones(2), create_graph=create_graph)
    np.testing.assert_array_equal(g.data, [100_001.0, 100_001.0])
    del y, g  # freeing it must not recurse either


def test_backward_runs_only_vjps_that_lead_to_the_inputs():
    """A generator's step differentiates through the discriminator, not with respect to its weights."""
    through_g, g_calls = counting("through_g")
    through_d, d_calls = counting("through_d")
    generator, discriminator = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    loss = mg.sum(through_g(generator) * through_d(discriminator))
    loss.backward(inputs=[generator])
    assert (len(g_calls), len(d_calls)) == (1, 0)
    np.testing.assert_array_equal(generator.grad.data, [3.0, 4.0])
    assert discriminator.grad is None


def test_grad_runs_only_vjps_that_lead_to_the_inputs():
    before, before_calls = counting("before")
    after, after_calls = counting("after")
    x = leaf([1.0, 2.0])
    h = before(x)
    grad(mg.sum(after(h)), h)
    assert (len(before_calls), len(after_calls)) == (0, 1)


def test_no_input_gradient_for_the_first_layer():
    """matrix_product's vjp for the data would cost as much as the one for the weight."""
    wanted = []

    @primitive()
    def product(a, b):
        return a @ b

    product.vjp(a=lambda g, b: wanted.append("a"), b=lambda g, a: (wanted.append("b"), mg.transpose(a) @ g)[1])
    w = leaf(np.ones((3, 2)))
    mg.sum(product(np.ones((4, 3)), w)).backward()
    assert wanted == ["b"]


def test_the_same_bits_every_time():
    def gradient():
        rng = np.random.default_rng(0)
        w, x = leaf(rng.standard_normal((50, 50)), "float32"), rng.standard_normal((40, 50)).astype("float32")
        h = mg.tanh(x @ w)
        mg.mean(mg.softmax(h @ w + h) * h).backward()
        return w.grad.data.tobytes()

    assert gradient() == gradient()


# ------------------------------------------------------------------------------------------------------ memory


def nodes_alive():
    return sum(type(thing) is Node for thing in gc.get_objects())


@pytest.fixture
def no_collector():
    """Nothing but reference counting frees memory."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
class TestMemory:
    def test_a_dropped_graph_is_freed_at_once(self):
        before = nodes_alive()
        y = mg.sum(mg.tanh(leaf([1.0, 2.0])) ** 2.0)
        assert nodes_alive() > before
        del y
        assert nodes_alive() == before

    def test_a_graph_is_freed_at_once_after_backward(self):
        before = nodes_alive()
        x = leaf([1.0, 2.0])
        mg.sum(mg.tanh(x) ** 2.0).backward()
        assert nodes_alive() == before

    def test_a_graph_of_gradients_is_freed_at_once(self):
        before = nodes_alive()
        x = leaf([1.0, 2.0])
        y = mg.sum(mg.softmax(mg.tanh(x) ** 3.0) * mg.exp(x))
        g = grad(y, x, create_graph=True)
        mg.sum(g * g).backward()
        del y, g
        assert nodes_alive() == before

    def test_a_graph_is_freed_at_once_after_an_error(self):
        before = nodes_alive()
        x = leaf([1.0, 2.0])
        y = mg.tanh(x) * 2.0
        with pytest.raises(RuntimeError):
            y.backward()
        del y
        assert nodes_alive() == before

    def test_only_what_a_vjp_names_is_kept(self):
        x, weight = leaf([1.0, 2.0]), np.array([3.0, 4.0])
        h = x + 1.0  # add's vjps need nothing, and the product's vjp for h needs only the weight
        y = h * weight
        array = weakref.ref(h.data)
        del h
        assert array() is None
        y.backward(np.ones(2))
        np.testing.assert_array_equal(x.grad.data, weight)

    def test_backward_frees_what_was_saved_and_retain_graph_keeps_it(self):
        for retain in (True, False):
            x = leaf([1.0, 2.0])
            h = mg.exp(x)
            y = mg.sum(h * h)
            array = weakref.ref(h.data)
            del h
            y.backward(retain_graph=retain)
            assert (array() is not None) is retain

    def test_saved_arrays_are_freed_on_the_way_not_at_the_end(self):
        freed = []

        @primitive()
        def first(x):
            return x + 0.0

        def vjp(g):
            freed.append(array() is None)
            return g

        first.vjp(x=vjp)
        h = mg.exp(first(leaf([1.0, 2.0])))
        y = mg.sum(mg.sin(h))
        array = weakref.ref(h.data)
        del h
        y.backward()
        assert freed == [True]

    def test_no_graph_without_need(self):
        before = nodes_alive()
        x = leaf([1.0, 2.0])
        with no_grad():
            kept = [mg.tanh(x), mg.tanh(Tensor(np.ones(2)))]
        kept += [mg.tanh(Tensor(np.ones(2))), x > 0.0, mg.argmax(x), mg.sign(x)]
        assert nodes_alive() == before
        assert not any(y.requires_grad for y in kept)


def test_a_freed_graph_says_so():
    x = leaf([1.0, 2.0])
    y = mg.sum(mg.exp(x))
    y.backward()
    with pytest.raises(RuntimeError, match=r"backward: the graph at sum was freed .* retain_graph=True"):
        y.backward()
    with pytest.raises(RuntimeError, match=r"grad: .* retain_graph=True"):
        grad(y, x)


def test_a_freed_part_of_a_graph_says_so():
    x = leaf([1.0, 2.0])
    trunk = mg.exp(x)
    mg.sum(trunk).backward()
    with pytest.raises(RuntimeError, match="the graph at exp was freed"):
        mg.sum(trunk * 2.0).backward()


def test_retain_graph_allows_a_second_backward():
    x = leaf([1.0, 2.0])
    y = mg.sum(x * x)
    y.backward(retain_graph=True)
    y.backward()
    np.testing.assert_array_equal(x.grad.data, [4.0, 8.0])


# ------------------------------------------------------------------------------------------------------ versions


def test_an_overwritten_parameter_is_noticed_by_name():
    w = leaf([1.0, 2.0], name="decoder.weight")
    loss = mg.sum(w * w)
    w.assign(np.zeros(2))
    assert w.version == 1
    with pytest.raises(RuntimeError, match=r"multiply saved decoder\.weight at version 0, .*now version 1"):
        loss.backward()


def test_an_overwritten_leaf_without_a_name_or_a_gradient_is_noticed():
    x, constant = leaf([1.0, 2.0]), Tensor(np.ones(2))
    loss = mg.sum(x * constant)
    constant.assign(np.zeros(2))
    with pytest.raises(RuntimeError, match=r"multiply saved a leaf of shape \(2,\) at version 0"):
        loss.backward()


def test_overwriting_what_was_not_saved_is_allowed():
    w, constant = leaf([1.0, 2.0]), np.array([3.0, 4.0])
    loss = mg.sum(w * constant + w)
    w.assign(np.zeros(2))
    loss.backward()
    np.testing.assert_array_equal(w.grad.data, [4.0, 5.0])


def test_an_overwritten_parameter_is_noticed_in_second_order():
    w = leaf([1.0, 2.0], name="w")
    g = grad(mg.sum(w * w * w), w, create_graph=True)
    w.assign(np.zeros(2))
    with pytest.raises(RuntimeError, match="saved w at version 0"):
        grad(g, w, np.ones(2))


@pytest.mark.parametrize(
    "view",
    [
        lambda w: w.reshape(2, 1),
        lambda w: w.T,
        lambda w: w[:, None, 0],
        lambda w: w.astype("float64"),
        lambda w: w.detach(),
    ],
    ids=["reshape", "transpose", "slice", "astype", "detach"],
)
def test_an_overwritten_parameter_is_noticed_through_a_view_of_its_memory(view):
    w, x = leaf([[1.0, 2.0]], name="w"), leaf(3.0)
    loss = mg.sum(view(w) * x)
    w.assign(np.zeros((1, 2)))
    with pytest.raises(RuntimeError, match="saved w at version 0"):
        loss.backward()


def test_assign_copies_into_the_leafs_own_memory(device):
    w = leaf([1.0, 2.0], device=device)
    memory, values = w.data, to_device(np.array([3.0, 4.0]), device)
    w.assign(values)
    assert w.data is memory
    values[0] = 7.0
    np.testing.assert_array_equal(on_host(w), [3.0, 4.0])


# ------------------------------------------------------------------------------------------------------ grad()


def test_grad_leaves_grad_alone():
    x = leaf([1.0, 2.0])
    grad(mg.sum(x * x), x)
    assert x.grad is None


def test_grad_of_sequences():
    x, w = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    gx, gw = grad([mg.sum(x * w), mg.sum(x)], [x, w])
    np.testing.assert_array_equal(gx.data, [4.0, 5.0])
    np.testing.assert_array_equal(gw.data, [1.0, 2.0])
    (only,) = grad(mg.sum(x), [x])
    np.testing.assert_array_equal(only.data, [1.0, 1.0])


def test_grad_of_one_output_or_input_twice():
    x = leaf([1.0, 2.0])
    y = mg.sum(x * x)
    np.testing.assert_array_equal(grad([y, y], x, retain_graph=True).data, [4.0, 8.0])
    first, second = grad(y, [x, x])
    np.testing.assert_array_equal(first.data, second.data)


def test_grad_with_respect_to_an_intermediate_tensor():
    x = leaf([1.0, 2.0])
    h = x * 3.0
    y = mg.sum(h * h)
    gh, gx = grad(y, [h, x])
    np.testing.assert_array_equal(gh.data, [6.0, 12.0])
    np.testing.assert_array_equal(gx.data, [18.0, 36.0])


def test_grad_of_a_tensor_with_respect_to_itself():
    x = leaf(2.0)
    y = x * x
    assert grad(x, x).item() == 1.0
    assert grad(y, y).item() == 1.0
    assert grad([y, y * 5.0], y).item() == 6.0


def test_unused_inputs():
    x, other = leaf([1.0, 2.0]), leaf([3.0])
    with pytest.raises(ValueError, match=r"no output depends on inputs\[1\] of shape \(1,\); pass allow_unused=True"):
        grad(mg.sum(x), [x, other])
    assert grad(mg.sum(x), [x, other], allow_unused=True)[1] is None


def test_cotangents_may_be_tensors_arrays_or_numbers():
    x = leaf(3.0)
    for cotangent in (Tensor(np.array(2.0)), np.array(2.0), np.float64(2.0), 2.0, 2, [2.0], (2.0,)):
        assert grad(x * x, x, cotangent).item() == 12.0


def test_gradients_flow_into_cotangents(device):
    """d/du of u^T J(x) v is J(x) v: the trick of forward mode by two backwards."""
    x, u = leaf([1.0, 2.0], device=device), leaf([1.0, 1.0], device=device)
    g = grad(x * x * x, x, u, create_graph=True)
    np.testing.assert_array_equal(on_host(grad(g, u, to_device(np.array([1.0, 10.0]), device))), [3.0, 120.0])


def test_a_cotangent_takes_the_dtype_of_its_output(device):
    x = leaf([1.0, 2.0], "float32", device=device)
    ones, whole = to_device(np.ones(2), device), to_device(np.ones(2, int), device)
    for cotangent in (ones, whole, Tensor(ones), Tensor(whole)):
        x.grad = None
        x.backward(cotangent)
        assert x.grad.dtype == np.float32
        assert grad(x, x, cotangent).dtype == np.float32


def test_a_gradient_has_its_arguments_dtype():
    x, w = leaf([1.0, 2.0], "float32"), leaf([3.0, 4.0], "float64")
    y = mg.sum(mg.tanh(x) * w)
    gx, gw = grad(y, [x, w], create_graph=True)
    assert (gx.dtype, gw.dtype) == (np.float32, np.float64)
    gx, gw = grad(mg.sum(gx * gx), [x, w])
    assert (gx.dtype, gw.dtype) == (np.float32, np.float64)


def test_an_integer_tensor_is_a_constant():
    x = leaf([1.5, 2.5])
    counts = x.astype("int64")
    assert not counts.requires_grad
    assert not (x > 2.0).requires_grad


# ------------------------------------------------------------------------------------------------------ higher orders


def test_higher_derivatives_of_sine():
    x = leaf([0.3, 1.7])
    y, expected = mg.sin(x), [np.cos(x.data), -np.sin(x.data), -np.cos(x.data), np.sin(x.data)]
    for derivative in expected:
        y = grad(mg.sum(y), x, create_graph=True)
        np.testing.assert_allclose(y.data, derivative, rtol=1e-14)


@pytest.mark.parametrize(
    "cube", [lambda x: x**3, lambda x: x**3.0, lambda x: x * x * x], ids=["int", "float", "product"]
)
def test_higher_derivatives_of_the_cube(cube):
    x = leaf([-2.0, 0.0, 1.5])
    y = cube(x)
    for derivative in (3 * x.data**2, 6 * x.data, np.full(3, 6.0)):
        y = grad(mg.sum(y), x, create_graph=True)
        np.testing.assert_allclose(y.data, derivative, rtol=1e-14)


def test_create_graph_keeps_the_graph():
    x = leaf(2.0)
    y = x * x * x
    assert grad(y, x, create_graph=True).item() == 12.0
    assert grad(y, x).item() == 12.0


def test_backward_refuses_create_graph():
    with pytest.raises(TypeError, match="create_graph"):
        leaf(2.0).backward(create_graph=True)


def test_backward_through_a_gradient():
    """A gradient penalty: the gradient's norm is part of a loss."""
    x, w = leaf([3.0, 4.0]), leaf(2.0)
    slope = grad(mg.sum(w * x * x), x, create_graph=True)  # 2 w x
    mg.norm(slope).backward(inputs=[w])  # d/dw of 2 w |x|
    assert w.grad.item() == pytest.approx(10.0)


@st.composite
def compositions(draw):
    """A program on a list of values: each step applies an operation to earlier values, and so reuses some of them."""
    steps = []
    for count in range(1, draw(st.integers(1, 8)) + 1):
        name = draw(st.sampled_from(["sin", "tanh", "product", "sum", "mix", "scale"]))
        steps.append((name, draw(st.integers(0, count - 1)), draw(st.integers(0, count - 1))))
    return steps


def recorded(name, s, t, matrix):
    return {
        "sin": lambda: mg.sin(s),
        "tanh": lambda: mg.tanh(s),
        "product": lambda: s * t,
        "sum": lambda: s + t,
        "mix": lambda: matrix @ s,
        "scale": lambda: s * mg.sum(t),
    }[name]()


def forward_mode(name, a, da, b, db, matrix):
    """The same operation on values a, b and their Jacobians da, db."""
    return {
        "sin": lambda: (np.sin(a), np.cos(a)[:, None] * da),
        "tanh": lambda: (np.tanh(a), (1 - np.tanh(a) ** 2)[:, None] * da),
        "product": lambda: (a * b, a[:, None] * db + b[:, None] * da),
        "sum": lambda: (a + b, da + db),
        "mix": lambda: (matrix @ a, matrix @ da),
        "scale": lambda: (a * b.sum(), b.sum() * da + np.outer(a, db.sum(0))),
    }[name]()


@given(steps=compositions(), seed=st.integers(0, 99))
def test_jacobian_of_a_random_composition(steps, seed, device):
    """Reverse mode against forward mode, which carries every value's Jacobian along."""
    rng = np.random.default_rng(seed)
    start, matrix = rng.uniform(-1, 1, 3), rng.uniform(-1, 1, (3, 3))

    x = leaf(start, device=device)
    dual, tensors = [(start, np.eye(3))], [x]
    for name, i, j in steps:
        dual.append(forward_mode(name, *dual[i], *dual[j], matrix))
        tensors.append(recorded(name, tensors[i], tensors[j], to_device(matrix, device)))

    rows = [on_host(grad(tensors[-1], x, to_device(row, device), retain_graph=True)) for row in np.eye(3)]
    np.testing.assert_allclose(rows, dual[-1][1], rtol=1e-9, atol=1e-9)


# ------------------------------------------------------------------------------------------------------ modes


def test_no_grad_as_a_block_nested_and_left_by_an_error():
    x = leaf([1.0])
    with no_grad():
        with no_grad():
            assert not (x * x).requires_grad
        assert not (x * x).requires_grad
    assert (x * x).requires_grad
    with pytest.raises(KeyError), no_grad():
        raise KeyError
    assert (x * x).requires_grad


def test_no_grad_as_a_decorator():
    @no_grad()
    def square(x):
        return x * x

    x = leaf([1.0])
    for _ in range(2):
        assert not square(x).requires_grad
    assert (x * x).requires_grad


def test_no_grad_concerns_one_thread():
    x, recorded = leaf([1.0]), []
    with no_grad():
        thread = threading.Thread(target=lambda: recorded.append((x * x).requires_grad))
        thread.start()
        thread.join()
    assert recorded == [True]


def test_recording_goes_on_after_an_error_in_backward():
    @primitive()
    def broken(x):
        return x + 0.0

    def vjp(g):
        raise KeyError

    broken.vjp(x=vjp)
    x = leaf(1.0)
    with pytest.raises(KeyError):
        broken(x).backward()
    assert (x * x).requires_grad


def here():
    """file:line of the caller."""
    frame = inspect.currentframe().f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def test_debug_records_where_a_node_was_made():
    x = leaf([1.0, 2.0])
    with debug():
        y, line = mg.tanh(x), here()
        z, z_line = x * 2.0, here()
    assert y.node.record.origin.startswith(line)
    assert "mg.tanh(x)" in y.node.record.origin
    assert z.node.record.origin.startswith(z_line)
    np.testing.assert_array_equal(y.node.record.inputs[0], x.data)
    np.testing.assert_array_equal(y.node.record.output, y.data)


def test_without_debug_nothing_is_recorded_or_stopped():
    x = leaf([1.0, np.inf])
    y = x * 2.0
    assert y.node.record is None
    y.backward(np.array([np.nan, 1.0]))
    assert np.isnan(x.grad.data[0])


def test_debug_stops_at_the_first_non_finite_output(device):
    x = leaf([[1.0, 2.0], [0.0, 3.0]], device=device)
    with np.errstate(divide="ignore"), debug(), pytest.raises(FloatingPointError) as caught:
        mg.log(x)
    message = str(caught.value)
    assert message.startswith("log: output has 1 of 4 values not finite (first at (1, 0): -inf)")
    assert "(2, 2) float64 in [0, 3]" in message
    assert "test_engine.py" in message


def test_debug_stops_at_the_first_non_finite_gradient(device):
    x = leaf([4.0, 0.0], device=device)
    with np.errstate(divide="ignore"), debug():
        y, line = mg.sqrt(x), here()
        total = mg.sum(y)
        with pytest.raises(FloatingPointError) as caught:
            total.backward()
    message = str(caught.value)
    assert message.startswith("sqrt: gradient of argument 0 has 1 of 2 values not finite (first at (1,): inf)")
    assert f"made at {line}" in message


def test_debug_describes_masks_and_empty_arrays_too():
    with debug(), pytest.raises(FloatingPointError, match="where: output has 1 of 2"):
        mg.where(np.array([True, False]), np.array([np.inf, 1.0]), 0.0)
    with debug(), pytest.raises(FloatingPointError, match=r"join: output .* \(1,\) float64 in \[inf, inf\]"):
        mg.concatenate([np.zeros(0), np.array([np.inf])])


def test_debug_lets_finite_values_pass():
    with debug():
        gradcheck(lambda x: mg.softmax(mg.tanh(x)) * x, [np.array([0.3, -1.2])])


# ------------------------------------------------------------------------------------------------------ primitives


def test_a_vjp_of_the_wrong_shape_names_the_operation():
    @primitive()
    def doubled(x):
        return 2 * x

    doubled.vjp(x=lambda g: mg.sum(g))
    with pytest.raises(
        RuntimeError, match=r"doubled: the vjp for argument 0 returned shape \(\), but the argument has \(3,\)"
    ):
        mg.sum(doubled(leaf(np.ones(3)))).backward()


def test_a_gradient_that_was_not_registered_raises():
    @primitive()
    def product(a, b):
        return a * b

    product.vjp(a=lambda g, b: g * b)
    x = leaf([1.0, 2.0])
    assert product(x, np.ones(2)).requires_grad
    with pytest.raises(NotImplementedError, match="product: there is no gradient with respect to b"):
        product(np.ones(2), x)


def test_a_primitive_without_any_vjp_raises_rather_than_disconnect():
    @primitive()
    def forgotten(x):
        return x * 1.0

    with pytest.raises(NotImplementedError, match="forgotten: there is no gradient with respect to x"):
        forgotten(leaf([1.0, 2.0]))
    assert type(forgotten(np.ones(2))) is np.ndarray


def test_registering_a_vjp_anew_takes_effect_at_once():
    @primitive()
    def scaled(x):
        return 2.0 * x

    x = leaf(1.0)
    scaled.vjp(x=lambda g: 3.0 * g)  # a mistake
    assert grad(scaled(x), x).item() == 3.0
    scaled.vjp(x=lambda g: 2.0 * g)
    assert grad(scaled(x), x).item() == 2.0


def test_a_vjp_may_name_only_what_there_is():
    @primitive(residuals=("cache",))
    def mistaken(x, *, power):
        return x**power, None

    mistaken.vjp(x=lambda g, weight: g)
    with pytest.raises(
        TypeError, match=r"mistaken: the vjp of x asks for .*weight.*; it can have .*x.*out.*cache.*power"
    ):
        mistaken(leaf([1.0]), power=2.0)


def test_a_vjp_gets_what_it_names():
    seen = {}

    @primitive(residuals=("half",))
    def everything(x, *rest, power=2.0):
        return x**power + sum(rest), x / 2

    def vjp(g, x, x_shape, rest, rest_shape, out, half, power):
        seen.update(x=x, x_shape=x_shape, rest=rest, rest_shape=rest_shape, out=out, half=half, power=power)
        return g

    positions = []
    everything.vjp(x=vjp, rest=lambda g, position: (positions.append(position), g)[1])
    x, others = leaf([4.0]), [leaf([1.0]), np.array([2.0]), leaf([3.0])]
    y = everything(x, *others)
    y.backward(np.ones(1))
    assert (seen["x_shape"], seen["rest_shape"], seen["power"]) == ((1,), ((1,), (1,), (1,)), 2.0)
    assert (seen["x"], seen["out"], seen["half"]) == (4.0, 22.0, 2.0)
    assert [float(a[0]) for a in seen["rest"]] == [1.0, 2.0, 3.0]
    assert positions == [0, 2]


def test_a_residual_goes_to_a_backward_primitive_that_starts_again_from_the_inputs():
    """unit(x) = x / |x|. The length is computed once, and the second order does not take it for a constant."""

    @primitive(residuals=("length",))
    def unit(x):
        length = np.sqrt((x * x).sum())
        return x / length, length

    @primitive()
    def unit_backward(g, x, length):
        return g / length - x * ((x * g).sum() / length**3)

    def curvature(h, g, x):
        n = mg.norm(x)
        gx, hx, gh = mg.sum(g * x), mg.sum(h * x), mg.sum(g * h)
        return 3.0 * gx * hx / n**5 * x - (gh * x + gx * h + hx * g) / n**3

    unit.vjp(x=lambda g, x, length: unit_backward(g, x, length))
    unit_backward.vjp(g=lambda h, x, length: unit_backward(h, x, length), x=curvature, length=None)
    gradcheck(unit, [np.array([1.0, -2.0, 0.5])])


def test_broadcasting_is_undone_for_primitives_that_declare_it():
    a, b = leaf(np.ones((2, 1, 3))), leaf(np.ones((4, 1)))
    mg.sum(a * b).backward()
    np.testing.assert_array_equal(a.grad.data, np.full((2, 1, 3), 4.0))
    np.testing.assert_array_equal(b.grad.data, np.full((4, 1), 6.0))


def test_an_integer_or_boolean_argument_needs_no_gradient():
    x = leaf([1.0, 2.0, 3.0])
    y = mg.where(x > 1.5, x, 0.0)[np.array([2, 2])]
    y.backward(np.ones(2))
    np.testing.assert_array_equal(x.grad.data, [0.0, 0.0, 2.0])


# ------------------------------------------------------------------------------------------------------ Tensor

OPERATORS = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "**": lambda a, b: a**b,
}
COMPARISONS = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


@pytest.mark.parametrize("symbol", OPERATORS)
@pytest.mark.parametrize("other", [np.array([3.0, 0.5]), np.array(1.5), 2.0, 3], ids=["array", "()", "float", "int"])
def test_operators_with_tensors_arrays_and_numbers_on_either_side(symbol, other, device):
    operator, values = OPERATORS[symbol], np.array([1.0, 2.0])
    x = leaf(values, device=device)
    there = to_device(other, device) if isinstance(other, np.ndarray) else other
    for obtained, expected in (
        (operator(x, there), operator(values, other)),
        (operator(there, x), operator(other, values)),
        (operator(x, Tensor(to_device(np.asarray(other), device))), operator(values, other)),
    ):
        assert type(obtained) is Tensor
        np.testing.assert_allclose(on_host(obtained), expected, rtol=0 if device == "cpu" else 1e-15)
        assert obtained.requires_grad
    gradcheck(
        lambda x: (operator(x.to(device), there) + operator(there, x.to(device))).to("cpu"),
        [values],
        order=1,
        name=symbol,
    )


def test_a_scalar_of_numpy_is_an_operand_on_the_cpu():
    values = np.array([1.0, 2.0])
    for operator in OPERATORS.values():
        for obtained, expected in (
            (operator(leaf(values), np.float64(1.5)), operator(values, 1.5)),
            (operator(np.float64(1.5), leaf(values)), operator(1.5, values)),
        ):
            assert type(obtained) is Tensor
            np.testing.assert_array_equal(obtained.data, expected)


@pytest.mark.parametrize("symbol", COMPARISONS)
def test_comparisons_with_tensors_arrays_and_numbers_on_either_side(symbol, device):
    comparison, values = COMPARISONS[symbol], np.array([1.0, 2.0, 3.0])
    x = leaf(values, device=device)
    twos = to_device(np.full(3, 2.0), device)
    for other in (twos, 2.0, 2):
        for obtained, expected in (
            (comparison(x, other), comparison(values, 2.0)),
            (comparison(other, x), comparison(2.0, values)),
            (comparison(x, Tensor(twos)), comparison(values, 2.0)),
        ):
            assert type(obtained) is Tensor
            assert obtained.dtype == bool
            assert not obtained.requires_grad
            np.testing.assert_array_equal(on_host(obtained), expected)


def test_matmul_operator_on_either_side(device):
    a, b = np.arange(6.0).reshape(2, 3), np.arange(3.0)
    x, y = to_device(a, device), to_device(b, device)
    for product in (Tensor(x) @ y, x @ Tensor(y), Tensor(x) @ Tensor(y)):
        assert type(product) is Tensor
        np.testing.assert_array_equal(on_host(product), a @ b)


def test_unary_operators(device):
    x = leaf([-1.0, 2.0], device=device)
    np.testing.assert_array_equal(on_host(-x), [1.0, -2.0])
    np.testing.assert_array_equal(on_host(abs(x)), [1.0, 2.0])
    assert +x is x


def test_methods_are_the_operations(device):
    values = np.arange(6.0).reshape(2, 3)
    x = leaf(values, device=device)
    for obtained, expected in (
        (x.T, values.T),
        (x.reshape(-1), values.reshape(-1)),
        (x.reshape(3, 2), values.reshape(3, 2)),
        (x.transpose(), values.T),
        (x.transpose(1, 0), values.T),
        (x.sum(), values.sum()),
        (x.sum(axis=0, keepdims=True), values.sum(0, keepdims=True)),
        (x.mean(axis=-1), values.mean(-1)),
        (x.max(axis=(0, 1)), values.max()),
        (x.min(axis=1), values.min(1)),
        (x.astype("float32"), values.astype("float32")),
        (x.to("cpu"), values),
        (x[0, ::2], values[0, ::2]),
    ):
        assert obtained.dtype == expected.dtype
        assert obtained.requires_grad
        np.testing.assert_array_equal(on_host(obtained), expected)


def test_properties():
    x = leaf(np.zeros((2, 3)), "float32", name="weight")
    assert (x.shape, x.ndim, x.size, x.dtype, x.device, x.name) == ((2, 3), 2, 6, np.float32, "cpu", "weight")
    assert (len(x), x.version, x.grad) == (2, 0, None)


def test_python_numbers_do_not_widen(device):
    x = leaf([1.0, 2.0], "float32", device=device)
    for y in (
        x + 1,
        x * 2.0,
        2.0 / x,
        x**2,
        x**0.5,
        2.0**x,
        1 - x,
        mg.maximum(x, 0.0),
        mg.clip(x, low=0.0, high=1.0),
        mg.where(x > 1.0, x, 0.0),
    ):
        assert y.dtype == np.float32


def test_tensors_are_told_apart_by_identity():
    x, y = Tensor(np.ones(2)), Tensor(np.ones(2))
    assert len({x, y, x}) == 2
    assert {x: "x", y: "y"}[y] == "y"


def test_iteration_and_length(device):
    rows = list(leaf([[1.0, 2.0], [3.0, 4.0]], device=device))
    assert [type(row) for row in rows] == [Tensor, Tensor]
    np.testing.assert_array_equal(on_host(rows[1]), [3.0, 4.0])
    for function in (len, iter):
        with pytest.raises(TypeError, match="a 0-d tensor has no length"):
            function(Tensor(np.array(1.0)))


def test_truth(device):
    assert Tensor(to_device(np.array([True]), device))
    assert not Tensor(to_device(np.array(0.0), device))
    with pytest.raises(ValueError, match=r"shape \(2,\) has no single truth value"):
        bool(Tensor(np.ones(2)))


def test_item(device):
    assert leaf([[2.5]], device=device).item() == 2.5
    assert type(leaf(2.5, device=device).item()) is float
    assert type(Tensor(to_device(np.array(3), device)).item()) is int
    with pytest.raises(ValueError, match=r"2 elements, shape \(2,\)"):
        Tensor(np.ones(2)).item()


def test_numpy_shares_memory_and_refuses_to_lose_a_graph():
    x = Tensor(np.ones(2))
    assert x.numpy() is x.data
    assert np.shares_memory(np.asarray(x), x.data)
    assert np.asarray(x, dtype="float32").dtype == np.float32
    for convert in (lambda t: t.numpy(), np.asarray, np.array):
        with pytest.raises(RuntimeError, match=r"requires grad; call \.detach\(\) first"):
            convert(leaf([1.0]))
    assert leaf([1.0]).detach().numpy() == 1.0


def test_numpy_functions_refuse_tensors_instead_of_looping_over_elements():
    with pytest.raises(TypeError, match="__array_ufunc__"):
        np.exp(leaf([1.0, 2.0]))


def test_detach_is_the_same_array_without_a_past(device):
    x = leaf([1.0, 2.0], device=device)
    constant = (x * 2.0).detach()
    assert not constant.requires_grad
    assert x.detach().data is x.data
    mg.sum(x * x.detach()).backward()
    np.testing.assert_array_equal(on_host(x.grad), [1.0, 2.0])


def test_elements_cannot_be_assigned():
    x = leaf([1.0, 2.0])
    with pytest.raises(TypeError, match=r"mg\.where.*mg\.scatter_add.*assign"):
        x[0] = 3.0


def test_assign_is_for_leaves_of_the_same_shape():
    x = leaf([1.0, 2.0])
    with pytest.raises(RuntimeError, match="only a leaf can be overwritten"):
        (x * 2.0).assign(np.zeros(2))
    with pytest.raises(ValueError, match=r"the tensor has shape \(2,\), the values \(3,\)"):
        x.assign(np.zeros(3))


@pytest.mark.parametrize(
    ("tensor", "text"),
    [
        (Tensor(np.array([1.0, 2.5])), "tensor([1. , 2.5], shape=(2,), dtype=float64, device=cpu, constant)"),
        (Tensor(np.array(True)), "tensor(True, shape=(), dtype=bool, device=cpu, constant)"),
        (leaf(3, "float32"), "tensor(3., shape=(), dtype=float32, device=cpu, leaf that requires grad)"),
        (leaf([1.0]) * 2.0, "tensor([2.], shape=(1,), dtype=float64, device=cpu, from multiply)"),
        (Tensor(np.zeros((0, 3))), "tensor([], shape=(0, 3), dtype=float64, device=cpu, constant)"),
        (
            Tensor(np.arange(4).reshape(2, 2)),
            "tensor([[0, 1],\n        [2, 3]], shape=(2, 2), dtype=int64, device=cpu, constant)",
        ),
    ],
)
def test_repr(tensor, text):
    assert repr(tensor) == text


def test_repr_names_the_device(device):
    text = f"tensor([[1. ],\n        [2.5]], shape=(2, 1), dtype=float64, device={device}, from transpose)"
    assert repr(leaf([[1.0, 2.5]], device=device).T) == text


def test_repr_of_a_large_tensor_is_short():
    assert len(repr(Tensor(np.zeros((100, 100))))) < 800


def test_raw_arrays_in_a_raw_array_out(device):
    x = to_device(np.ones(2), device)
    assert type(add(x, 1.0)) is module_of(device).ndarray
    assert type(mg.exp(x)) is module_of(device).ndarray
    assert type(mg.exp(Tensor(x))) is Tensor


@pytest.fixture
def polar():
    """x cos(y) and how often its joint vjp has run."""
    runs = []

    @primitive(residuals=("cosine",))
    def polar(x, y, *, factor=1.0):
        module = array_module(x)
        cosine = module.cos(y)
        return factor * x * cosine, cosine

    @polar.joint_vjp
    def _(g, x, y, cosine, factor):
        runs.append(type(x))
        return factor * g * mg.cos(y), -factor * g * x * mg.sin(y)

    yield polar, runs
    del Primitive.registry["polar"]


def test_a_joint_vjp_runs_once_for_all_arguments_and_is_right_to_second_order(polar):
    function, runs = polar
    x, y = (Tensor(np.array([0.3, v]), requires_grad=True) for v in (1.1, -0.4))
    grad(function(x, y), [x, y], np.ones(2))
    assert runs == [np.ndarray]
    gradcheck(lambda x, y: function(x, y, factor=2.0), [np.array([0.3, 1.1]), np.array([0.7, -2.0])])


def test_a_joint_vjp_serves_a_single_argument(polar):
    function, _ = polar
    y = Tensor(np.array([0.5]), requires_grad=True)
    assert grad(function(np.array([2.0]), y), y, np.ones(1)).item() == -2.0 * np.sin(0.5)


def test_a_joint_vjp_that_returns_nothing_for_a_wanted_argument_is_an_error():
    @primitive()
    def half(x):
        return x / 2

    half.joint_vjp(lambda g: (None,))
    x = Tensor(np.ones(2), requires_grad=True)
    with pytest.raises(RuntimeError, match="half: the vjp for argument 0 returned None"):
        grad(half(x), x, np.ones(2))
    del Primitive.registry["half"]
