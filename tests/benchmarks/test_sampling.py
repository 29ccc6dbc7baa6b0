"""The benchmark of sampling: PyTorch's networks are the models', and rows and picture are written."""

import json
import subprocess
import sys

import numpy as np
import pytest
import sampling

from minigen.engine import no_grad
from minigen.random import Generator

from . import FOLDER


@pytest.mark.parametrize("name", sampling.MODELS)
@pytest.mark.parametrize("layout", ["contiguous_format", "channels_last"])
def test_pytorch_computes_the_same_network(name, layout):
    torch = pytest.importorskip("torch")
    model = sampling.MODELS[name](Generator(0))
    x = np.random.default_rng(0).integers(0, 2, (2, 28, 28, 1)).astype(np.float32)
    with no_grad(), torch.no_grad():
        expected = model.predict(x).data[..., 0, 0]
        found = sampling.torch_network(torch, model, getattr(torch, layout))(torch.from_numpy(x).permute(0, 3, 1, 2))
    np.testing.assert_allclose(found[:, 0].numpy(), expected, rtol=1e-3, atol=1e-5)
    assert expected.std() > 1e-3


@pytest.mark.slow
def test_sampling_is_timed_written_and_drawn(tmp_path):
    files = ["--json", str(tmp_path / "rows.json"), "--plot", str(tmp_path / "rows.png")]
    command = [sys.executable, FOLDER / "sampling.py", "--quick", "--batches", "1", "2", *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    content = json.loads((tmp_path / "rows.json").read_text())
    keys = {"model", "batch", "plain_s", "cached_s", "speedup", "torch_s", "forward_s"}
    assert content["machine"]["threads"] == 2
    assert all(row.keys() >= keys for row in content["rows"])
    assert [(row["model"], row["batch"]) for row in content["rows"]] == [
        ("pixelcnn", 1), ("pixelcnn", 2), ("gated", 1), ("gated", 2)
    ]  # fmt: skip
    assert all(row["cached_s"] < row["plain_s"] for row in content["rows"])
    assert (tmp_path / "rows.png").stat().st_size > 10_000
