"""Running an example, alone or in this process."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "examples"


def run_alone(name, out, *options):
    """Run an example in a process of its own, where a warning is an error; return what it printed and its figures."""
    command = [sys.executable, "-W", "error", FOLDER / f"{name}.py", *options, "--out", out]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout, figures_in(out)


def run_here(monkeypatch, name, out, *options):
    """Run an example in this process, which saves the imports; return its figures."""
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *options, "--out", str(out)])
    runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")
    return figures_in(out)


def figures_in(out):
    return json.loads((out / "metrics.json").read_text())


def without_time(figures):
    return {name: value for name, value in figures.items() if name != "seconds"}
