"""The PyTorch twin computes the same weights, and the program runs."""

import json
import subprocess
import sys

import log_likelihood
import numpy as np
import pytest

from minigen.random import Generator

from . import FOLDER

torch = pytest.importorskip("torch")


class Fixed:
    """In place of a generator: always the same noise."""

    def __init__(self, noise):
        self.noise = noise

    def normal(self, shape, *, dtype):
        assert shape == self.noise.shape
        return self.noise.astype(dtype)


def test_the_weights_are_the_same():
    vae, x = log_likelihood.model(), log_likelihood.images()
    noise = np.random.default_rng(1).standard_normal((3, len(x), log_likelihood.LATENT)).astype(np.float32)
    ours = vae.log_weights(x, 3, rng=Fixed(noise)).data
    with torch.no_grad():
        pixels = torch.from_numpy(x).flatten(1)
        parameters = log_likelihood.torch_network(torch, vae.encoder, pixels)
        theirs = log_likelihood.torch_log_weights(torch, vae, pixels, parameters, torch.from_numpy(noise))
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-5)


def test_the_estimates_agree():
    vae, x = log_likelihood.model(), log_likelihood.images()
    for parameter in vae.parameters():
        parameter.data *= 0.2  # weights of all but one size, so that little depends on the draws
    ours = log_likelihood.importance_log_likelihood(vae, x, samples=300, rng=Generator(0)).values
    torch.manual_seed(0)
    theirs = log_likelihood.torch_log_likelihood(torch, vae, x, 300).numpy()
    np.testing.assert_allclose(ours, theirs, atol=0.03)
    assert ours.std() > 0.08  # the images differ by more


@pytest.mark.slow
def test_the_program_times_and_writes(tmp_path):
    command = [sys.executable, FOLDER / "log_likelihood.py", "--quick", "--json", str(tmp_path / "rows.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (row,) = json.loads((tmp_path / "rows.json").read_text())["rows"]
    assert row["minutes"] == pytest.approx(5e7 / row["draws_per_second"] / 60, rel=1e-3)
    assert row["gflops"] == pytest.approx(row["peak_share"] * row["peak_gflops"], rel=1e-2)
