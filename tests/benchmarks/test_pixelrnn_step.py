"""The PixelRNNs whose steps are timed: the same in minigen and in PyTorch."""

import numpy as np
import pixelrnn_step
import pytest

from .weights import copy_weights

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("name", pixelrnn_step.BATCH_SIZES)
def test_the_losses_and_their_gradients_agree(name, monkeypatch):
    for setting, value in {"SIZE": 6, "LAYERS": 2, "FEATURES": 8, "BATCH_SIZES": {name: 3}}.items():
        monkeypatch.setattr(pixelrnn_step, setting, value)
    ((ours,), (theirs,)) = (
        pixelrnn_step.minigen_players(name, "cpu"),
        pixelrnn_step.torch_players(torch, name, *pixelrnn_step.LAYOUTS, "cpu"),
    )
    copy_weights(torch, ours.net, theirs.net)
    loss, wanted = ours.loss(), theirs.loss()
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-5)
    loss.backward()
    wanted.backward()
    for mine, its in zip(ours.net.parameters(), theirs.net.parameters(), strict=True):
        expected = its.grad.permute(2, 3, 1, 0).numpy() if its.ndim == 4 else its.grad.numpy()
        np.testing.assert_allclose(mine.grad.data, expected, rtol=1e-3, atol=2e-5 * np.abs(expected).max())
    assert all(np.abs(parameter.grad.data).max() > 0 for parameter in ours.net.parameters())


def test_the_batch_is_the_one_that_is_named():
    assert {len(pixelrnn_step.batch())} == set(pixelrnn_step.BATCH_SIZES.values())
