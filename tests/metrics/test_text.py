"""The surprise of a text: by counts, whose probabilities are known, in any mode of the model."""

import numpy as np
import pytest

from minigen import metrics
from minigen.models import NGram, RecurrentLanguageModel
from minigen.random import Generator


def test_of_single_characters_it_is_their_frequency():
    text = np.array([0, 0, 0, 1])
    model = NGram(text, characters=2, n=1)
    p = np.exp(-metrics.surprise(model, np.array([0, 1])))
    assert p.sum() == pytest.approx(1)
    assert p[0] > p[1]
    assert metrics.nats_per_character(model, text) == pytest.approx(-np.log(p[[0, 0, 0, 1]]).mean())


@pytest.mark.parametrize("training", [True, False])
def test_a_model_is_measured_without_dropout_and_stays_in_its_mode(training):
    model = RecurrentLanguageModel(5, cell="gru", features=8, dropout=0.5, rng=Generator(0)).train(training)
    text = np.arange(20) % 5
    once, again = (metrics.surprise(model, text) for _ in range(2))
    np.testing.assert_array_equal(once, again)
    assert once.shape == (20,)
    assert model.training is training
