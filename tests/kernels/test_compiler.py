"""Machine code that is kept on disk: used again by the next process, and recompiled when any file of the kernels changes."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minigen
from minigen.kernels import compiler

LOOP = """
from helper import twice

def double(out, x):
    for i in range(out.size):
        out[i] = twice(x[i])
"""
HELPER = """
from minigen.kernels.compiler import inner

FACTOR = 2

@inner
def twice(x):
    return FACTOR * x
"""


@pytest.fixture
def package(tmp_path):
    """A copy of the package, in which nothing is compiled."""
    shutil.copytree(Path(minigen.__file__).parent, tmp_path / "minigen", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "minigen"


def gradient_of_a_bit(package, **environment):
    """Return the gradient of log p(x = 0) for a logit of 0, from a fresh process; whether its code was loaded; and the folder."""
    code = """
import numpy as np
from minigen.kernels.bits import cpu
out = cpu.bits_log_prob_backward(np.ones(1, "float32"), np.zeros((1, 1), "float32"), np.zeros((1, 1), "float32"))
found = cpu._bits_log_prob_backward.stats
print(out.item(), found.cache_hits.total(), found.cache_misses.total(), found.cache_path)
"""
    command = [sys.executable, "-W", "error", "-c", code]
    environment = os.environ | {"PYTHONPATH": str(package.parent)} | environment
    environment.pop("NUMBA_CACHE_DIR", None)
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, cwd=package.parent)
    value, hits, misses, folder = done.stdout.split()
    assert int(hits) + int(misses) == 1
    return float(value), hits == "1", folder


def kept(package):
    return sorted(path.name for path in (package / "kernels").rglob("*.nb[ci]"))


def edit(path, old, new):
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


@pytest.mark.slow
def test_an_edit_of_an_inner_function_in_another_file_takes_effect(package):
    assert gradient_of_a_bit(package) == (-0.5, False, str(package / "kernels/bits/__pycache__"))
    (first,) = kept(package)
    edit(package / "kernels/approximations.py", "return ONE / (ONE + exp(-x))", "return TWO / (ONE + exp(-x))")
    assert gradient_of_a_bit(package)[:2] == (-1.0, False)
    (second,) = kept(package)  # the file of the former sources is gone
    assert second != first
    assert gradient_of_a_bit(package)[:2] == (-1.0, True)
    assert kept(package) == [second]


@pytest.mark.slow
def test_a_package_that_cannot_be_written_to_and_no_home_compile_in_each_process(package):
    for folder in (package / "kernels").iterdir():
        if folder.is_dir():
            (folder / "__pycache__").touch()  # a file where a folder would be: even root cannot write into it
    nowhere = {"HOME": "/dev/null", "XDG_CACHE_HOME": "/dev/null"}
    for _ in range(2):
        assert gradient_of_a_bit(package, **nowhere) == (-0.5, False, "None")


@pytest.fixture
def compiled(tmp_path, monkeypatch):
    """A function that imports a loop and its helper from files of that text, as a fresh process would, and compiles the loop."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(compiler.numba.config, "CACHE_DIR", "")

    def from_files(helper=HELPER):
        for name, text in (("helper", helper), ("looping", LOOP)):
            path = tmp_path / f"{name}.py"
            if not path.exists() or path.read_text() != text:  # old versions of Numba look at the time of writing
                path.write_text(text)
            spec = importlib.util.spec_from_file_location(name, path)
            module = importlib.util.module_from_spec(spec)
            monkeypatch.setitem(sys.modules, name, module)
            exec(compile(text, path, "exec"), vars(module))
        monkeypatch.setattr(compiler, "_SOURCES", compiler.sources_in(tmp_path))
        return compiler.loop(sys.modules["looping"].double)

    return from_files


def run(loop, dtype="float32"):
    """Return what a loop makes of 1, and whether its machine code was loaded."""
    out = np.zeros(1, dtype)
    loop(out, np.ones(1, dtype))
    return out.item(), loop.stats.cache_hits.total() == 1


def test_kept_code_belongs_to_the_sources_of_all_files(compiled, tmp_path):
    assert run(compiled()) == (2, False)
    assert run(compiled()) == (2, True)
    assert run(compiled(HELPER.replace("FACTOR = 2", "FACTOR = 3"))) == (3, False)  # a constant in another file
    assert run(compiled(HELPER.replace("FACTOR * x", "FACTOR * x * x"))) == (2, False)
    assert run(compiled(HELPER.replace("FACTOR * x", "FACTOR * x * x"))) == (2, True)
    assert len(list((tmp_path / "__pycache__").glob("*.nb[ci]"))) == 1


def test_each_type_of_arguments_has_its_own_file(compiled, tmp_path):
    # Each of these loops saw no file when it was made: as in processes that start side by side.
    loops = [compiled() for _ in range(3)]
    for loop, dtype in zip(loops, ("float32", "float64", "int32"), strict=True):
        assert run(loop, dtype) == (2, False)
    assert len(list((tmp_path / "__pycache__").glob("*.nb[ci]"))) == 3
    for dtype in ("float32", "float64", "int32"):
        assert run(compiled(), dtype) == (2, True)


def test_a_folder_of_the_users_choice_is_taken(compiled, tmp_path, monkeypatch):
    monkeypatch.setattr(compiler.numba.config, "CACHE_DIR", str(tmp_path / "chosen"))
    loop = compiled()
    run(loop)
    assert Path(loop.stats.cache_path).is_relative_to(tmp_path / "chosen")
    assert [path.parent for path in tmp_path.rglob("*.nb[ci]")] == [Path(loop.stats.cache_path)]


def test_the_sources_are_all_python_files_and_their_names(tmp_path):
    (tmp_path / "room").mkdir()
    first, second = tmp_path / "a.py", tmp_path / "room" / "b.py"
    first.write_text("x = 1\n")
    second.write_text("y = 2\n")
    found = [compiler.sources_in(tmp_path)]
    (tmp_path / "notes.txt").write_text("not a source")
    (tmp_path / ".#a.py").symlink_to("somebody@somewhere.1234")  # Emacs marks a file in use by such a link
    assert compiler.sources_in(tmp_path) == found[0]
    second.write_text("y = 3\n")
    found.append(compiler.sources_in(tmp_path))
    second.rename(tmp_path / "room" / "c.py")
    found.append(compiler.sources_in(tmp_path))
    first.unlink()
    found.append(compiler.sources_in(tmp_path))
    assert len(set(found)) == 4
