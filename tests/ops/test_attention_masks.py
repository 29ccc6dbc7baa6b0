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


def test_a_mask_of_whole_numbers_is_refused():
    for function, arguments in ((mg.attention, [zeros(2, 3, 1, 4)] * 3), (mg.self_attention, [zeros(2, 3, 3, 1, 4)])):
        with pytest.raises(
            TypeError, match=r"attention: the mask is int64; expected booleans, .* or floating-point numbers"
        ):
            function(*arguments, np.ones((2, 3), int))


# ------------------------------------------------------------------------------------------------------ masks of numbers


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_minus_infinity_hides_a_key_as_false_does(dtype, causal, device):
    """Also from a query that sees no key; with gradients of both orders."""
    arrays = drawn((2, 4, 2, 3), (2, 5, 2, 3), (2, 5, 2, 3), dtype=dtype)
    seen = np.random.default_rng(2).random((2, 4, 5)) < 0.5
    seen[0, 1] = False
    numbers = np.where(seen, 0.0, -np.inf).astype(dtype)

    def results(mask):
        x = [mg.Tensor(to_device(a, device), requires_grad=True) for a in arrays]
        y = mg.attention(*x, to_device(mask, device), causal=causal)
        first = mg.grad(mg.sum(y**2), x, create_graph=True)
        second = mg.grad([mg.sum(g**2) for g in first], x)
        return [on_host(a) for a in (y, *first, *second)]

    bound = 1e-4 if dtype == "float32" else 1e-12
    for a, b in zip(results(numbers), results(seen), strict=True):
        assert np.isfinite(a).all()
        np.testing.assert_allclose(a, b, rtol=bound, atol=bound)
    assert (results(numbers)[0][0, 1] == 0).all()


def test_a_hidden_key_gets_no_gradient_through_its_number():
    query, key, value = drawn((1, 3, 1, 2), (1, 4, 1, 2), (1, 4, 1, 2))
    numbers = drawn((1, 3, 4), seed=3)[0]
    numbers[0, 0, 2] = numbers[0, 1] = -np.inf
    mask = mg.Tensor(numbers, requires_grad=True)
    y = mg.attention(query, key, value, mask)
    assert (y.data[0, 1] == 0).all()
    first = mg.grad(mg.sum(y**2), mask, create_graph=True)
    second = mg.grad(mg.sum(first**2), mask)
    for gradient in (first, second):
        assert np.isfinite(gradient.data).all()
        assert gradient.data[0, 0, 2] == 0
        assert (gradient.data[0, 1] == 0).all()
        assert (gradient.data[0, 2] != 0).all()


def test_numbers_of_all_shapes_agree():
    x = drawn((2, 3, 2, 4))[0]
    (of_keys,) = drawn((2, 3), seed=1)
    expected = mg.attention(x, x, x, of_keys)
    for same in (
        of_keys[:, None],
        of_keys[:, None].repeat(3, axis=1),
        of_keys[:, None, None],
        np.broadcast_to(of_keys[:, None, None], (2, 2, 3, 3)),
        mg.Tensor(of_keys),
    ):
        np.testing.assert_allclose(on_host(mg.attention(x, x, x, same)), expected, rtol=1e-14)
    packed = np.stack([x, x, x], axis=2)
    np.testing.assert_allclose(mg.self_attention(packed, of_keys), expected, rtol=1e-14)
    np.testing.assert_allclose(mg.attention(x, x, x, 0.0 * of_keys), mg.attention(x, x, x), rtol=1e-12)


def test_a_bias_of_each_head_is_that_heads_alone():
    """Linear biases (Press et al. 2022): in head h a score falls by slope m_h for each place between query and key."""
    query, key, value = drawn((2, 4, 3, 2), (2, 4, 3, 2), (2, 4, 3, 2))
    distance = np.arange(4.0)[:, None] - np.arange(4.0)
    bias = -np.array([0.5, 0.25, 2.0])[:, None, None] * distance  # (H, T, S)
    together = mg.attention(query, key, value, bias[None], causal=True)
    for h in range(3):
        alone = mg.attention(*(x[:, :, h : h + 1] for x in (query, key, value)), bias[None, h], causal=True)
        np.testing.assert_allclose(together[:, :, h : h + 1], alone, rtol=1e-13)


def test_a_bias_is_learned_in_its_own_dtype():
    query, key, value = drawn((2, 3, 2, 4), (2, 5, 2, 4), (2, 5, 2, 4), dtype="float32")
    bias = mg.Tensor(np.zeros((1, 1, 3, 5)), requires_grad=True)
    y = mg.attention(query, key, value, bias)
    assert y.dtype == np.float32
    gradient = mg.grad(mg.sum(y**2), bias)
    assert (gradient.shape, gradient.dtype) == ((1, 1, 3, 5), np.float64)
    np.testing.assert_allclose(gradient.data.sum(axis=-1), 0.0, atol=1e-5)  # a softmax minds only differences


def test_numbers_that_fit_no_score_are_named():
    x = zeros(2, 3, 4, 5)
    message = re.escape(
        "attention: the mask has shape (4, 3, 3); with 2 examples, 3 queries and 3 keys expected (N, S) = (2, 3) or (N, T, S) = (2, 3, 3), "
        "or (N, H, T, S) = (2, 4, 3, 3), in which N, H or T may be 1"
    )
    with pytest.raises(ValueError, match=message):
        mg.attention(x, x, x, zeros(4, 3, 3))
