"""The diffusion model whose step is timed: the same in minigen and in PyTorch."""

import numpy as np
import pytest
import unet_step

import minigen as mg

from .weights import copy_weights

torch = pytest.importorskip("torch")


def test_the_losses_and_their_gradients_agree():
    (ours,) = unet_step.minigen_players("unet", "cpu")
    rng = np.random.default_rng(0)
    for parameter in ours.net.parameters():  # many are 0 at first, and would hide what they multiply
        parameter.assign(parameter.data + 0.05 * rng.standard_normal(parameter.shape, dtype=np.float32))
    x, noise = rng.standard_normal((2, 2, 28, 28, 1), dtype=np.float32)
    t = np.array([3, 700])
    loss = ours.net.loss(x, mg.tensor(t, dtype="float32"), noise, unet_step.SHARES[t])
    loss.backward()
    for layout in unet_step.LAYOUTS:
        (theirs,) = unet_step.torch_players(torch, "unet", layout, "cpu")
        copy_weights(torch, ours.net, theirs.net)
        image, its_noise = (torch.from_numpy(array).permute(0, 3, 1, 2) for array in (x, noise))
        wanted = theirs.net.loss(image, torch.from_numpy(t).float(), its_noise, torch.from_numpy(unet_step.SHARES[t]))
        assert loss.item() == pytest.approx(wanted.item(), rel=1e-5), layout
        wanted.backward()
        for mine, its in ((ours.net.first, theirs.net.first), (ours.net.last, theirs.net.last)):
            expected = its.weight.grad.permute(2, 3, 1, 0).numpy()
            np.testing.assert_allclose(mine.weight.grad.data, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_the_shares_fall_from_almost_one_to_almost_zero():
    assert 0.999 < unet_step.SHARES[0] < 1
    assert 0 < unet_step.SHARES[-1] < 1e-4
    assert (np.diff(unet_step.SHARES) < 0).all()
