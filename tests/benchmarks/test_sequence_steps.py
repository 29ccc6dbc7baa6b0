"""The models of text whose steps are timed: the same in minigen and in PyTorch."""

import numpy as np
import pytest
import sequence_steps

import minigen as mg

from .weights import copy_weights

torch = pytest.importorskip("torch")


def players(name):
    (ours,) = sequence_steps.minigen_players(name, "cpu")
    (theirs,) = sequence_steps.torch_players(torch, name, "contiguous", "cpu")
    copy_weights(torch, ours.net, theirs.net)
    return ours, theirs


@pytest.mark.parametrize("name", sequence_steps.BATCH_SIZES)
def test_the_losses_and_their_gradients_agree(name, monkeypatch):
    monkeypatch.setitem(sequence_steps.BATCH_SIZES, name, 2)
    ours, theirs = players(name)
    loss, wanted = ours.loss(), theirs.loss()
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-5)
    loss.backward()
    wanted.backward()
    for net, its in ((ours.net.last, theirs.net.last), (ours.net.embedding, theirs.net.embedding)):
        slope, expected = net.weight.grad.data, its.weight.grad.numpy()
        expected = expected.T if net is ours.net.last else expected
        np.testing.assert_allclose(slope, expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", sequence_steps.BATCH_SIZES)
def test_no_model_sees_the_character_that_it_predicts(name):
    (model, *_), _ = players(name)
    text = np.zeros((1, sequence_steps.LENGTH), int)
    other = text.copy()
    other[0, 100] = 1
    with mg.no_grad():
        before, after = (model.logits(mg.tensor(x)).data[0] for x in (text, other))
    np.testing.assert_allclose(after[:100], before[:100], atol=1e-5)
    assert np.abs(after[100] - before[100]).max() > 1e-3


def test_what_follows_is_the_next_character():
    text, following = sequence_steps.batch("lstm")
    np.testing.assert_array_equal(text[:, 1:], following[:, :-1])
