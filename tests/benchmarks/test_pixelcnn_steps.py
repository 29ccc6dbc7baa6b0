"""The PixelCNNs whose steps are timed: the same in minigen and in PyTorch."""

import numpy as np
import pixelcnn_steps
import pytest

from .weights import copy_weights

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("name", pixelcnn_steps.BATCH_SIZES)
def test_the_losses_and_their_gradients_agree(name, monkeypatch):
    small = {"SIZE": 6, "DEPTH": 3, "FEATURES": {name: 8}, "BATCH_SIZES": {name: 3}}
    for setting, value in small.items():
        monkeypatch.setattr(pixelcnn_steps, setting, value)
    (ours,) = pixelcnn_steps.minigen_players(name, "cpu")
    (theirs,) = pixelcnn_steps.torch_players(torch, name, "NCHW", "cpu")
    copy_weights(torch, ours.net, theirs.net)
    loss, wanted = ours.loss(), theirs.loss()
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-5)
    loss.backward()
    wanted.backward()
    for mine, its in zip(ours.net.parameters(), theirs.net.parameters(), strict=True):
        expected = its.grad.permute(2, 3, 1, 0).numpy() if its.ndim == 4 else its.grad.numpy()
        np.testing.assert_allclose(mine.grad.data, expected, rtol=1e-3, atol=2e-5 * np.abs(expected).max())
    assert all(np.abs(parameter.grad.data).max() > 0 for parameter in ours.net.parameters())
