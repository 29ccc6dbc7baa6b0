"""The programs as a user runs them, quickly."""

import json
import subprocess
import sys

import pytest

from . import FOLDER

ROW = {"kernel", "pass", "shape", "implementation", "device", "ms", "gflops", "torch_ms", "ratio"}


@pytest.mark.slow
@pytest.mark.parametrize("more", [[], ["--scaling"]], ids=["kernels", "scaling"])
def test_the_kernels_are_timed_written_and_drawn(more, tmp_path):
    files = ["--json", str(tmp_path / "rows.json"), "--plot", str(tmp_path / "rows.png")]
    command = [sys.executable, FOLDER / "kernels.py", "--device", "cpu", "--quick", *more, *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    content = json.loads((tmp_path / "rows.json").read_text())
    assert content["machine"]["threads"] == 2
    assert all(row.keys() >= ROW for row in content["rows"])
    assert {"reference", "numba"} <= {row["implementation"] for row in content["rows"]}
    assert (tmp_path / "rows.png").stat().st_size > 10_000


@pytest.mark.slow
def test_groups_of_kernels_can_be_chosen(tmp_path):
    command = [
        sys.executable,
        FOLDER / "kernels.py",
        "--device",
        "cpu",
        "--quick",
        "--json",
        str(tmp_path / "rows.json"),
    ]
    done = subprocess.run(
        [*command, "--kernels", "attentions", "elementwise"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "rows.json").read_text())["rows"]
    assert {row["group"] for row in rows if row["kernel"] != "matmul"} == {"attentions", "elementwise"}
    assert {row["gflops"] is None for row in rows if row.get("group") == "elementwise"} == {True}
    assert all(row["gflops"] > 0 for row in rows if row.get("group") == "attentions")


@pytest.mark.slow
def test_steps_are_timed_with_the_means_of_their_ratios():
    pytest.importorskip("torch")
    command = [sys.executable, FOLDER / "steps.py", "--quick", "--models", "gan_1d", "classifier"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "peak_ratio" in done.stdout
    assert "Time relative to PyTorch's, geometric mean: " in done.stdout
    assert "Peak memory relative to PyTorch's, geometric mean: " in done.stdout
