"""Attention: who sees whom, what hidden places may hold, and what is said of wrong shapes."""

import re

import numpy as np
import pytest
from devices import on_host

import minigen as mg
from minigen.backend import to_device
from minigen.testing import gradcheck


def drawn(*shapes, seed=0, dtype="float64"):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def support(function, x):
    """Which outputs' places, the rows, depend on which inputs' places; both have places on axis 1."""
    x = mg.Tensor(x, requires_grad=True)
    y = function(x)
    rows = []
    for t in range(y.shape[1]):
        cotangent = np.zeros(y.shape, y.dtype)
        cotangent[:, t] = 1.0 + np.arange(cotangent[:, t].size).reshape(cotangent[:, t].shape)
        (gradient,) = mg.grad(y, [x], cotangent, retain_graph=True)
        rows.append(np.abs(gradient.data).sum(axis=tuple(i for i in range(x.ndim) if i != 1)) > 1e-5)  # not a rounding
    return np.array(rows)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("queries", "keys"), [(5, 5), (3, 7), (1, 4), (6, 4)])
def test_causal_queries_depend_on_the_keys_up_to_their_own_and_on_no_other(queries, keys, dtype):
    query, key, value = drawn((1, queries, 2, 3), (1, keys, 2, 3), (1, keys, 2, 4), dtype=dtype)
    allowed = np.tril(np.ones((queries, keys), bool), k=keys - queries)
    np.testing.assert_array_equal(support(lambda v: mg.attention(query, key, v, causal=True), value), allowed)
    several = allowed.sum(axis=1, keepdims=True) > 1  # the share of a single key is 1, whatever the key
    np.testing.assert_array_equal(support(lambda k: mg.attention(query, k, value, causal=True), key), allowed & several)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_hidden_keys_get_no_gradient_and_make_no_difference(dtype, device):
    arrays = drawn((2, 4, 2, 3), (2, 5, 2, 3), (2, 5, 2, 3), dtype=dtype)
    seen = np.array([[True, True, True, False, False], [False, True, True, True, True]])
    (g,) = drawn((2, 4, 2, 3), seed=1, dtype=dtype)

    def results(query, key, value):
        x = [mg.Tensor(to_device(a, device), requires_grad=True) for a in (query, key, value)]
        y = mg.attention(*x, to_device(seen, device))
        return [on_host(a) for a in (y, *mg.grad(y, x, to_device(g, device)))]

    plain = results(*arrays)
    assert (plain[2][~seen] == 0).all()
    assert (plain[3][~seen] == 0).all()
    for i in (1, 2):
        arrays[i][~seen] = 1e6
    for a, b in zip(plain, results(*arrays), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_query_that_sees_no_key_gets_zeros_and_no_gradient(dtype):
    query, key, value = (
        mg.Tensor(a, requires_grad=True) for a in drawn((1, 3, 1, 2), *[(1, 4, 1, 2)] * 2, dtype=dtype)
    )
    mask = np.ones((1, 3, 4), bool)
    mask[0, 1] = False
    y = mg.attention(query, key, value, mask)
    assert (y.data[0, 1] == 0).all()
    gradients = mg.grad(y, [query, key, value], np.ones(y.shape, dtype), create_graph=True)
    assert all(np.isfinite(gradient.data).all() for gradient in gradients)
    assert (gradients[0].data[0, 1] == 0).all()
    again = mg.grad([mg.sum(gradient**2) for gradient in gradients], [query, key, value])
    assert all(np.isfinite(gradient.data).all() for gradient in again)


def test_masks_of_all_shapes_agree():
    x = drawn((2, 3, 2, 4))[0]
    seen = np.array([[True, False, True], [True, True, False]])
    expected = mg.attention(x, x, x, seen)
    np.testing.assert_array_equal(mg.attention(x, x, x, seen[:, None]), expected)
    np.testing.assert_array_equal(mg.attention(x, x, x, seen[:, None].repeat(3, axis=1)), expected)
    np.testing.assert_array_equal(mg.attention(x, x, x, mg.Tensor(seen)), expected)
    lower = np.tril(np.ones((1, 3, 3), bool))
    np.testing.assert_array_equal(mg.attention(x, x, x, lower), mg.attention(x, x, x, causal=True))


def test_gradients_where_only_some_are_wanted():
    query, key, value = drawn((1, 3, 1, 2), (1, 4, 1, 2), (1, 4, 1, 2))
    gradcheck(lambda k: mg.attention(query, k, value, causal=True), [key])
    gradcheck(lambda v: mg.attention(query, key, v), [value])
    gradcheck(lambda x: mg.attention(x, x, x, scale=0.5), [query])


def test_self_attention_is_attention_among_the_parts():
    (packed,) = drawn((2, 5, 3, 2, 4))
    parts = [packed[:, :, i] for i in range(3)]
    np.testing.assert_array_equal(mg.self_attention(packed, causal=True), mg.attention(*parts, causal=True))
    np.testing.assert_array_equal(mg.self_attention(packed, scale=2.0), mg.attention(*parts, scale=2.0))


def test_the_graph_keeps_no_array_of_pairs():
    x = mg.Tensor(np.ones((1, 50, 1, 2), np.float32), requires_grad=True)
    y = mg.attention(x, x, x)
    assert max(getattr(saved, "size", 0) for saved in y.node.saved.values()) <= 100


def zeros(*shape):
    return np.zeros(shape, np.float32)


BAD_CALLS = {
    "axes": (lambda: mg.attention(zeros(2, 3, 4), zeros(2, 3, 4), zeros(2, 3, 4)), "each needs four axes: query (N, T, H, D) (2, 3, 4)"),
    "examples": (lambda: mg.attention(zeros(2, 3, 1, 4), zeros(3, 3, 1, 4), zeros(3, 3, 1, 4)), "numbers of examples N differ"),
    "heads": (lambda: mg.attention(zeros(2, 3, 1, 4), zeros(2, 3, 2, 4), zeros(2, 3, 2, 4)), "numbers of heads H differ"),
    "features": (
        lambda: mg.attention(zeros(2, 3, 1, 4), zeros(2, 3, 1, 5), zeros(2, 3, 1, 5)),
        "differ in their features D: query (N, T, H, D) (2, 3, 1, 4), key (N, S, H, D) (2, 3, 1, 5)",
    ),
    "values": (lambda: mg.attention(zeros(2, 3, 1, 4), zeros(2, 3, 1, 4), zeros(2, 4, 1, 4)), "keys and values S differ"),
    "no key": (lambda: mg.attention(zeros(2, 3, 1, 4), zeros(2, 0, 1, 4), zeros(2, 0, 1, 4)), "at least one key"),
    "no feature": (lambda: mg.attention(zeros(2, 3, 1, 0), zeros(2, 3, 1, 0), zeros(2, 3, 1, 4)), "at least one feature"),
    "mask of pairs": (
        lambda: mg.attention(zeros(2, 3, 1, 4), zeros(2, 5, 1, 4), zeros(2, 5, 1, 4), np.ones((3, 5), bool)),
        "the mask has shape (3, 5); with 2 examples, 3 queries and 5 keys expected (N, S) = (2, 5) or (N, T, S) = (2, 3, 5)",
    ),
    "packed": (lambda: mg.self_attention(zeros(2, 3, 1, 4)), "self_attention: packed has shape (2, 3, 1, 4), expected (N, T, 3, H, D)"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_CALLS)
def test_wrong_shapes_are_named(name):
    call, message = BAD_CALLS[name]
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


def test_a_mask_of_numbers_is_refused():
    with pytest.raises(TypeError, match="attention: the mask is float32; expected booleans"):
        mg.attention(zeros(2, 3, 1, 4), zeros(2, 3, 1, 4), zeros(2, 3, 1, 4), zeros(2, 3))
