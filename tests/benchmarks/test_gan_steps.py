"""The GANs of images whose steps are timed: the same in minigen and in PyTorch."""

import gan_steps
import numpy as np
import pytest

from minigen import losses

from .weights import copy_weights

torch = pytest.importorskip("torch")


class Fixed:
    """In place of a generator: the same noise z, and the same shares of the gradient penalty, in both libraries."""

    def __init__(self, z, share):
        self.z, self.share = z, share

    def normal(self, shape):
        assert shape == self.z.shape
        return self.z

    def uniform(self, shape):
        assert shape == self.share.shape
        return self.share


@pytest.mark.parametrize("name", gan_steps.BATCH_SIZES)
def test_losses_and_gradients_agree(name, monkeypatch):
    monkeypatch.setitem(gan_steps.BATCH_SIZES, name, 4)
    monkeypatch.setitem(gan_steps.WIDTHS, name, 4)
    draws = np.random.default_rng(1)
    z = draws.standard_normal((4, gan_steps.LATENT), dtype=np.float32)
    share = draws.random((4, 1, 1, 1), dtype=np.float32)
    made = gan_steps.Generator
    monkeypatch.setattr(gan_steps, "Generator", lambda *arguments, **keywords: made(0))
    ours = gan_steps.minigen_players(name, "cpu")
    theirs = gan_steps.torch_players(torch, name, "NCHW", "cpu")
    monkeypatch.setattr(torch, "randn", lambda *shape, **keywords: torch.from_numpy(z))
    monkeypatch.setattr(torch, "rand", lambda *shape, **keywords: torch.from_numpy(share))
    for mine, its in zip(ours, theirs, strict=True):
        copy_weights(torch, mine.net, its.net)
        # The weights of 0.02 make nearly flat critics: larger ones show more.
        for a, b in zip(mine.net.parameters(), its.net.parameters(), strict=True):
            if a.ndim == 4:
                a.assign(3 * a.data)
                b.data.mul_(3)
    for mine, its in zip(ours, theirs, strict=True):
        for cell, value in zip(mine.loss.__code__.co_freevars, mine.loss.__closure__, strict=True):
            if cell == "rng":
                value.cell_contents = Fixed(z, share)
        loss, expected = mine.loss(), its.loss()
        assert loss.item() == pytest.approx(expected.item(), rel=1e-4, abs=1e-5)
        loss.backward(inputs=mine.net.parameters())
        expected.backward(inputs=list(its.net.parameters()))
        for a, b in zip(mine.net.parameters(), its.net.parameters(), strict=True):
            if b.grad is None:
                continue
            given = b.grad.permute(2, 3, 1, 0).numpy() if a.ndim == 4 else b.grad.numpy()
            scale = np.abs(given).max() + 1e-6
            np.testing.assert_allclose(a.grad.data / scale, given / scale, atol=2e-3)


def test_the_losses_are_those_of_the_house():
    assert set(gan_steps.LOSSES.values()) <= set(losses.ADVERSARIAL)
