"""The gated PixelCNN whose steps are timed: the same in minigen and in PyTorch."""

import gated_step
import numpy as np
import pytest

from .weights import copy_weights

torch = pytest.importorskip("torch")


def test_the_losses_and_their_gradients_agree(monkeypatch):
    for setting, value in {"SIZE": 6, "LAYERS": 3, "FEATURES": 8, "BATCH_SIZES": {"gated_pixelcnn": 3}}.items():
        monkeypatch.setattr(gated_step, setting, value)
    (ours,) = gated_step.minigen_players("gated_pixelcnn", "cpu")
    (theirs,) = gated_step.torch_players(torch, "gated_pixelcnn", "NCHW", "cpu")
    copy_weights(torch, ours.net, theirs.net)
    loss, wanted = ours.loss(), theirs.loss()
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-5)
    loss.backward()
    wanted.backward()
    for mine, its in zip(ours.net.parameters(), theirs.net.parameters(), strict=True):
        expected = its.grad.permute(2, 3, 1, 0).numpy() if its.ndim == 4 else its.grad.numpy()
        np.testing.assert_allclose(mine.grad.data, expected, rtol=1e-3, atol=2e-5 * np.abs(expected).max())
    assert all(np.abs(parameter.grad.data).max() > 0 for parameter in ours.net.parameters())
