"""The benchmark of sampling: PyTorch's networks are the models', and rows and picture are written."""

import json
import subprocess
import sys
from argparse import Namespace

import harness
import numpy as np
import pixelcnn_steps
import pytest
import sampling
import sampling_twins as twins

from minigen.engine import no_grad

from . import FOLDER
from .weights import copy_weights

KEYS = {"model", "batch", "plain_s", "cached_s", "speedup", "torch_s", "forward_s", "passes"}


def cases(draws):
    return [
        (name, layout)
        for name, sampled in sampling.MODELS.items()
        if sampled.draws == draws
        for layout in sampled.layouts
    ]


def model_and_twin(torch, name, layout):
    sampled = sampling.MODELS[name]
    model = sampled.build()
    twin = sampled.twin(torch, model, layout)
    if isinstance(twin, torch.nn.Module):
        copy_weights(torch, model, twin)
    return model, twin


@pytest.mark.parametrize(("name", "layout"), cases("images"))
def test_pytorch_computes_the_same_pixels(name, layout):
    torch = pytest.importorskip("torch")
    model, twin = model_and_twin(torch, name, layout)
    x = np.random.default_rng(0).integers(0, 2, (2, *model.size)).astype(np.float32)
    with no_grad(), torch.no_grad():
        expected = model.predict(x).data.reshape(2, model.sites)
        found = twin(torch.from_numpy(x).permute(0, 3, 1, 2)).flatten(1)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-3, atol=1e-5)
    assert expected.std() > 1e-3


@pytest.mark.parametrize(("name", "layout"), cases("texts"))
def test_pytorch_computes_the_same_characters(name, layout):
    torch = pytest.importorskip("torch")
    model, twin = model_and_twin(torch, name, layout)
    before = np.random.default_rng(0).integers(0, model.characters, (2, 20))
    with no_grad(), torch.no_grad():
        expected = model.logits(before).data
        found = twin(torch.from_numpy(before))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-3, atol=1e-5)
    assert expected.std() > 1e-3


def test_a_step_of_pytorch_draws_the_pixel_in_the_middle():
    torch = pytest.importorskip("torch")
    images = np.random.default_rng(0).integers(0, 2, (3, 4, 4, 1)).astype(np.float32)

    def network(given):
        np.testing.assert_array_equal(given[:, 0].numpy(), images[..., 0])
        return torch.where(torch.arange(16) == 8, 99.0, -99.0).reshape(1, 1, 4, 4).expand(3, 1, 4, 4)

    for layout in pixelcnn_steps.LAYOUTS:
        assert twins.image_step(torch, network, images, layout)().tolist() == [1, 1, 1]


def test_a_step_of_pytorch_draws_the_character_that_follows_half_a_text():
    torch = pytest.importorskip("torch")
    texts = np.random.default_rng(0).integers(0, 5, (3, 8))

    def network(before):
        np.testing.assert_array_equal(before.numpy(), texts[:, :4])
        return 99.0 * torch.nn.functional.one_hot(before, 5)  # each is followed by itself

    assert twins.text_step(torch, network, texts, "contiguous")()[:, 0].tolist() == texts[:, 3].tolist()


@pytest.mark.parametrize(("name", "drawn_per_second"), [("made", "images_per_s"), ("lstm", "texts_per_s")])
def test_a_row_says_how_many_are_drawn_a_second(name, drawn_per_second):
    with no_grad():
        row = sampling.compare(name, 2, Namespace(quick=True, effort=harness.QUICK))
    assert row.keys() >= KEYS
    assert (row["model"], row["batch"]) == (name, 2)
    assert row[drawn_per_second] == pytest.approx(2 / row["cached_s"], rel=1e-3)
    assert row["passes"] == pytest.approx(row["cached_s"] / row["forward_s"], rel=1e-3)


@pytest.mark.slow
def test_sampling_is_timed_written_and_drawn(tmp_path):
    files = ["--json", str(tmp_path / "rows.json"), "--plot", str(tmp_path / "rows.png")]
    command = [sys.executable, FOLDER / "sampling.py", "--quick", "--batches", "1", "2", *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    content = json.loads((tmp_path / "rows.json").read_text())
    assert content["machine"]["threads"] == 2
    assert all(row.keys() >= KEYS for row in content["rows"])
    assert [(row["model"], row["batch"]) for row in content["rows"]] == [
        (name, n) for name in sampling.MODELS for n in (1, 2)
    ]
    assert all(row["cached_s"] < row["plain_s"] for row in content["rows"])
    assert (tmp_path / "rows.png").stat().st_size > 10_000
