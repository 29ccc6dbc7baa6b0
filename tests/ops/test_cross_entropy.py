"""The cross-entropy: batches of which nothing is left, impossible classes, dtypes, and what is said of wrong arguments."""

import re

import numpy as np
import pytest
from devices import on_host

import minigen as mg
from minigen.backend import to_device
from minigen.distributions import Categorical


def drawn(*shape, dtype="float64"):
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


def test_it_is_minus_the_mean_log_probability_of_a_categorical():
    logits, labels = drawn(2, 3, 4), np.array([[0, 3, 1], [2, 2, 0]])
    log_p = Categorical(logits=logits).log_prob(labels)
    np.testing.assert_allclose(mg.cross_entropy(logits, labels), -log_p.mean(), rtol=1e-14)
    np.testing.assert_allclose(mg.cross_entropy(logits, labels, reduction="none"), -log_p, rtol=1e-14)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_where_nothing_is_left_the_mean_and_its_gradients_are_zero(dtype, smoothing, device):
    logits, labels = drawn(3, 4, dtype=dtype), np.array([1, 1, 1])
    nothing = {
        "all ignored": (logits, labels, {"ignore_index": 1}),
        "all weights 0": (logits, labels, {"weight": np.array([1.0, 0.0, 1.0, 1.0], dtype)}),
        "all ignored, with weights": (logits, labels, {"weight": np.ones(4, dtype), "ignore_index": 1}),
        "empty": (logits[:0], labels[:0], {}),
        "empty, with weights": (logits[:0], labels[:0], {"weight": np.ones(4, dtype)}),
        "empty, probabilities": (logits[:0], logits[:0], {}),
    }
    with np.errstate(all="raise"):
        for x, targets, settings in nothing.values():
            there = {n: to_device(v, device) if isinstance(v, np.ndarray) else v for n, v in settings.items()}
            leaf = mg.Tensor(to_device(x, device), requires_grad=True)
            loss = mg.cross_entropy(leaf, to_device(targets, device), label_smoothing=smoothing, **there)
            assert loss.item() == 0.0
            assert loss.dtype == dtype
            first = mg.grad(loss, leaf, create_graph=True)
            assert (on_host(first) == 0).all()
            if first.requires_grad:
                second = mg.grad(mg.sum(first), leaf, allow_unused=True)
                assert second is None or (on_host(second) == 0).all()


def test_what_is_ignored_makes_no_difference():
    logits, labels = drawn(4, 3), np.array([2, -100, 0, -100])
    for settings in ({}, {"label_smoothing": 0.3}, {"weight": np.array([1.0, 5.0, 0.5])}):
        rest = mg.cross_entropy(logits[::2], labels[::2], **settings)
        np.testing.assert_allclose(mg.cross_entropy(logits, labels, ignore_index=-100, **settings), rest, rtol=1e-14)
        leaf = mg.Tensor(logits, requires_grad=True)
        gradient = mg.grad(mg.cross_entropy(leaf, labels, ignore_index=-100, **settings), leaf).data
        assert (gradient[1::2] == 0).all()
        assert (gradient[::2] != 0).all()


def test_labels_and_their_one_hot_probabilities_agree():
    """The weighted mean of labels is divided by the labels' weights, that of probabilities by their number, as in PyTorch."""
    logits, labels, weight = drawn(5, 3), np.array([0, 2, 1, 1, 0]), np.array([0.5, 2.0, 1.0])
    one_hot = np.eye(3)[labels]
    for settings in ({"reduction": "none"}, {"reduction": "sum"}):
        settings |= {"weight": weight, "label_smoothing": 0.1}
        np.testing.assert_allclose(
            mg.cross_entropy(logits, labels, **settings), mg.cross_entropy(logits, one_hot, **settings), rtol=1e-13
        )
    np.testing.assert_allclose(
        5.0 * mg.cross_entropy(logits, one_hot, weight=weight),
        weight[labels].sum() * mg.cross_entropy(logits, labels, weight=weight),
        rtol=1e-13,
    )


def test_an_impossible_class_costs_nothing_where_it_is_not_asked_for():
    logits = np.array([[0.0, -np.inf, 0.0]])
    weight = np.array([1.0, 0.0, 1.0])
    half = np.array([[0.5, 0.0, 0.5]])
    for targets, settings in (
        (np.array([0]), {}),
        (half, {}),
        (half, {"weight": weight, "label_smoothing": 0.0}),
        (np.array([0]), {"weight": weight}),
    ):
        leaf = mg.Tensor(logits, requires_grad=True)
        loss = mg.cross_entropy(leaf, targets, **settings)
        np.testing.assert_allclose(loss.item(), np.log(2.0))
        gradient = mg.grad(loss, leaf).data
        assert np.isfinite(gradient).all()
        assert gradient[0, 1] == 0
    smoothed = mg.cross_entropy(logits, np.array([0]), weight=weight, label_smoothing=0.3)
    np.testing.assert_allclose(smoothed, (0.7 + 0.3 * 2 / 3) * np.log(2.0))
    assert mg.cross_entropy(logits, np.array([1])) == np.inf
    assert mg.cross_entropy(logits, np.array([0]), label_smoothing=0.3) == np.inf


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_logits_far_apart_neither_overflow_nor_vanish(dtype):
    logits = np.array([[1e4, 0.0], [1e4, 0.0]], dtype)
    leaf = mg.Tensor(logits, requires_grad=True)
    loss = mg.cross_entropy(leaf, np.array([0, 1]))
    assert loss.item() == 5e3
    np.testing.assert_array_equal(mg.grad(loss, leaf).data, [[0.0, 0.0], [0.5, -0.5]])


def test_the_dtype_is_that_of_the_logits():
    for dtype in ("float16", "float32"):
        logits = drawn(3, 2, dtype=dtype)
        for labels in (np.array([0, 1, 1], "uint8"), np.array([0, 1, 1], "int32"), np.full((3, 2), 0.5)):
            assert mg.cross_entropy(logits, labels, weight=np.ones(2)).dtype == dtype
    many = np.zeros((70_000, 2), "float16")  # more than float16 can count
    assert mg.cross_entropy(many, np.zeros(70_000, int), ignore_index=1) == np.float16(np.log(2.0))


def test_gradients_flow_through_probabilities_and_weights():
    logits, q, weight = (mg.Tensor(x, requires_grad=True) for x in (drawn(2, 3), np.full((2, 3), 1 / 3), np.ones(3)))
    loss = mg.cross_entropy(logits, q, weight=weight)
    minus_log_p = -mg.log_softmax(logits.data)
    of_q, of_weight = mg.grad(loss, [q, weight])
    np.testing.assert_allclose(of_q.data, minus_log_p / 2)
    np.testing.assert_allclose(of_weight.data, minus_log_p.mean(axis=0) / 3)


X, Y = np.zeros((2, 3), np.float32), np.array([0, 1])
WRONG = {
    "label": (IndexError, lambda: mg.cross_entropy(X, np.array([0, 3])), "targets in [0, 3]; expected integers in [0, 3)"),
    "negative label": (IndexError, lambda: mg.cross_entropy(X, np.array([0, -100])), "targets in [-100, 0]; expected integers in [0, 3)"),
    "label beside an ignored one": (
        IndexError, lambda: mg.cross_entropy(X, np.array([-1, 3]), ignore_index=-1), "targets in [0, 3]; expected integers in [0, 3)"
    ),
    "classes first": (
        ValueError, lambda: mg.cross_entropy(np.zeros((2, 3, 4)), np.zeros((2, 4), int)),
        "targets of int64 have shape (2, 4), logits (2, 3, 4); with logits (*batch, K) expected labels (*batch) or probabilities",
    ),
    "one number": (TypeError, lambda: mg.cross_entropy(X, 1), "the targets are int; expected an array or a Tensor of integers"),
    "truth values": (TypeError, lambda: mg.cross_entropy(X, Y == 0), "the targets are bool; expected an array or a Tensor of integers"),
    "weight": (ValueError, lambda: mg.cross_entropy(X, Y, weight=np.ones(2)), "weight has shape (2,), expected one for each class, (3,)"),
    "reduction": (ValueError, lambda: mg.cross_entropy(X, Y, reduction="avg"), "reduction 'avg' is unknown; it is one of mean, sum, none"),
    "smoothing": (ValueError, lambda: mg.cross_entropy(X, Y, label_smoothing=1.5), "label_smoothing is 1.5, expected a number from 0 to 1"),
    "ignored probabilities": (
        ValueError, lambda: mg.cross_entropy(X, X, ignore_index=1), "ignore_index 1 is a label, but the targets are probabilities"
    ),
    "ignored number": (ValueError, lambda: mg.cross_entropy(X, Y, ignore_index=0.5), "ignore_index is 0.5, expected a whole number"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments_are_named(name):
    kind, call, message = WRONG[name]
    with pytest.raises(kind, match=f"^cross_entropy: .*{re.escape(message)}"):
        call()
