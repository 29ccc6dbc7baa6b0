"""The models of images whose steps are timed: the same in minigen and in PyTorch."""

import image_steps
import numpy as np
import pytest

from .weights import copy_weights

torch = pytest.importorskip("torch")


def both(name):
    ours = [player.net for player in image_steps.minigen_players(name, "cpu")]
    theirs = [player.net for player in image_steps.torch_players(torch, name, "NCHW", "cpu")]
    return ours, theirs


@pytest.mark.parametrize("name", image_steps.BATCH_SIZES)
def test_the_networks_have_as_many_parameters(name):
    for ours, theirs in zip(*both(name), strict=True):
        mine, its = ([parameter.shape for parameter in net.parameters()] for net in (ours, theirs))
        assert [sorted(shape) for shape in mine] == [sorted(shape) for shape in its]


class Fixed:
    """In place of a generator: the noise of one draw."""

    def __init__(self, noise):
        self.noise = noise

    def normal(self, shape, *, dtype):
        assert shape == (1, *self.noise.shape)
        return self.noise[None].astype(dtype)


@pytest.mark.parametrize(("name", "latent"), [("vae", image_steps.VAE_LATENT), ("vae_mlp", image_steps.VAE_MLP_LATENT)])
def test_the_losses_of_the_vaes_agree(name, latent, monkeypatch):
    (ours,), (theirs,) = image_steps.minigen_players(name, "cpu"), image_steps.torch_players(torch, name, "NCHW", "cpu")
    copy_weights(torch, ours.net, theirs.net)
    if (
        name == "vae"
    ):  # between the convolutions and the linear layers, a pixel's channels lie together here, and each channel's pixels there
        small = (7, 7, image_steps.VAE_WIDTHS[1])
        last, first = theirs.net[0][5], theirs.net[1][0]
        with torch.no_grad():
            last.weight.copy_(last.weight.reshape(-1, *small).permute(0, 3, 1, 2).reshape(last.weight.shape))
            first.weight.copy_(first.weight.reshape(*small, -1).permute(2, 0, 1, 3).reshape(first.weight.shape))
            first.bias.copy_(first.bias.reshape(small).permute(2, 0, 1).reshape(first.bias.shape))
    images, _ = image_steps.batch(name)
    noise = np.random.default_rng(0).standard_normal((len(images), latent), dtype=np.float32)
    monkeypatch.setattr(torch, "randn_like", lambda mean: torch.from_numpy(noise))
    loss, _ = ours.net.loss(images, rng=Fixed(noise))
    expected = theirs.loss()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    loss.backward()
    expected.backward()
    of_bias, of_its_bias = ours.net.encoder.parameters()[-1].grad.data, theirs.net[0][-1].bias.grad.numpy()
    np.testing.assert_allclose(of_bias, of_its_bias, rtol=1e-3, atol=1e-4)
