"""Drawing under a progress bar: the model's own draws, on every device, and what is left of them when Ctrl-C comes."""

import numpy as np
import pytest
from devices import on_host

from minigen.backend import device_of
from minigen.models import BeliefNet, BernoulliConditional, PixelCNN, RecurrentLanguageModel
from minigen.random import Generator
from minigen.training import DrawingStopped, drawing, last_drawn


@pytest.fixture
def net():
    """A belief net of 2 x 3 pixels whose weights are no zeros."""
    net = BeliefNet((2, 3, 1))
    for k, parameter in enumerate(net.parameters()):
        parameter.data[...] = Generator(k).normal(parameter.shape)
    return net


def interrupted(steps, after):
    """Steps amid which Ctrl-C comes."""
    for done in steps:
        if done > after:
            raise KeyboardInterrupt
        yield done


def test_it_draws_what_the_model_draws_and_counts(net, device):
    expected = net.sample(50, rng=Generator(1)).reshape(50, 6)
    x = np.ones((50, 2, 3, 1), np.float32)
    count = 0
    for done, images in drawing(net.to(device), x, rng=Generator(1, device=device)):
        count += 1
        assert (done, device_of(images)) == (count, device)
        np.testing.assert_array_equal(on_host(images).reshape(50, 6), np.where(np.arange(6) < done, expected, 0))
    assert count == 6
    assert x.min() == 1  # a copy is filled


def test_what_is_known_stays_and_what_is_given_is_heeded(device):
    model = PixelCNN((2, 3, 1), BernoulliConditional(), features=6, blocks=1, classes=4, rng=Generator(0))
    x = Generator(2).bernoulli(np.full((40, 2, 3, 1), 0.5, np.float32))
    known = np.zeros((2, 3, 1), bool)
    known[0] = True
    labels = np.arange(40) % 4
    expected = model.complete(x, known, rng=Generator(1), condition=labels)
    rng = Generator(1, device=device)
    *_, (_, images) = drawing(model.to(device), x, known, rng=rng, condition=labels)
    np.testing.assert_array_equal(on_host(images), expected)
    np.testing.assert_array_equal(expected[:, 0], x[:, 0])


def test_texts_may_have_any_length():
    model = RecurrentLanguageModel(5, features=4, rng=Generator(0))
    x = np.zeros((3, 7), np.int64)
    x[:, :2] = [4, 3]
    known = np.arange(7) < 2
    *_, (done, texts) = drawing(model, x, known, rng=Generator(1))
    assert done == 7
    np.testing.assert_array_equal(texts, model.complete(x, known, rng=Generator(1)))


@pytest.mark.parametrize("after", [0, 4])
def test_ctrl_c_breaks_it_off_with_a_sentence_and_what_is_drawn_is_there(after, net, monkeypatch):
    expected, fill = net.sample(50, rng=Generator(1)).reshape(50, 6), net.fill
    monkeypatch.setattr(net, "fill", lambda *arguments, **settings: interrupted(fill(*arguments, **settings), after))
    steps, given = drawing(net, np.zeros((50, 2, 3, 1), np.float32), rng=Generator(1)), []
    with pytest.raises(DrawingStopped, match=f"stopped after {after} of 6 steps of drawing$"):
        given.extend(images.copy().reshape(50, 6) for _, images in steps)
    assert len(given) == after
    for done, images in enumerate(given, start=1):
        np.testing.assert_array_equal(images, np.where(np.arange(6) < done, expected, 0))


@pytest.mark.parametrize("after", [0, 4, 6])
def test_the_last_that_was_drawn_is_kept_with_what_stopped_it(after, net, monkeypatch):
    fill, blank = net.fill, np.zeros((50, 2, 3, 1), np.float32)
    expected = net.sample(50, rng=Generator(1)).reshape(50, 6)
    monkeypatch.setattr(net, "fill", lambda *arguments, **settings: interrupted(fill(*arguments, **settings), after))
    done, images, stopped = last_drawn(drawing(net, blank, rng=Generator(1)), blank)
    assert (done, type(stopped)) == (after, DrawingStopped if after < 6 else type(None))
    # The step that was broken off may have drawn its site, but no later one.
    np.testing.assert_array_equal(images.reshape(50, 6)[:, :after], expected[:, :after])
    assert not images.reshape(50, 6)[:, after + 1 :].any()
