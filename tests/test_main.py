"""`python -m minigen`: what it says is so, whatever is installed."""

import functools
import importlib
import json
import os
import platform
import subprocess
import sys
import warnings
from importlib.machinery import ModuleSpec
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import SimpleNamespace

import pytest
from threadpoolctl import threadpool_info

import minigen
from minigen import __main__ as main
from minigen.training import versions


@functools.cache
def run(*arguments, before="", **environment):
    """What `python -m minigen` prints, after the lines `before`; warnings are errors, and nothing else is printed."""
    code = f"import runpy, sys; sys.argv[1:] = {list(arguments)}\n{before}\nrunpy.run_module('minigen', run_name='__main__')"
    settings = {"PYTHONPATH": os.pathsep.join(sys.path), **environment}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MINIGEN_")}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, env=inherited | settings
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def facts(**settings):
    return json.loads(run("--json", **settings))


def without(*packages):
    """Lines after which these packages are not installed."""
    return f"""
import importlib.metadata, sys
def version(name, found=importlib.metadata.version):
    if name.startswith({packages}):
        raise importlib.metadata.PackageNotFoundError(name)
    return found(name)
importlib.metadata.version = version
sys.modules.update(dict.fromkeys({packages}))
"""


def metadata_version(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return None


# ------------------------------------------------------------------------------------------------------ versions, paths


def test_versions_and_paths_are_those_of_this_python():
    found = facts()
    assert found["minigen"] == {"version": version("minigen"), "folder": str(Path(minigen.__file__).parent)}
    assert found["python"]["version"] == platform.python_version()
    assert Path(found["python"]["program"]).samefile(sys.executable)
    for name, reported in found["packages"].items():
        assert reported == metadata_version(name), name
    for name in ("numpy", "numba", "scipy", "matplotlib", "numba-cuda", "torch"):
        assert name in found["packages"]
    known = versions()
    del known["python"], known["minigen"]
    assert known.items() <= found["packages"].items()


def test_what_is_missing_and_only_that_is_to_be_installed():
    found = facts()
    missing = {name for name, reported in found["packages"].items() if reported is None}
    assert set(found["to install"]) == missing


@pytest.mark.slow
def test_without_cupy_it_says_how_to_install_it():
    found = facts(before=without("cupy"))
    assert found["packages"]["cupy"] is None
    assert "pip install 'minigen[gpu]' for CUDA 13" in found["to install"]["cupy"]
    assert found["gpu"]["usable"] is False
    assert "CuPy, which is not installed" in found["gpu"]["reason"]
    text = run(before=without("cupy"))
    assert "pip install 'minigen[gpu]'" in text


@pytest.mark.slow
def test_it_runs_with_nothing_but_numpy():
    gone = ("cupy", "matplotlib", "numba", "safetensors", "scipy", "threadpoolctl", "torch", "tqdm", "tyro")
    found = facts(before=without(*gone))
    assert found["packages"]["numpy"] == version("numpy")
    assert set(found["to install"]) == {*gone, "numba-cuda"}
    assert found["compiled CPU kernels"]["folder"] is None
    assert "numba" in found["compiled CPU kernels"]["reason"]
    assert found["blas"]["library"]


def test_cupy_is_reported_under_the_name_of_its_package(monkeypatch):
    monkeypatch.setattr(main, "versions", lambda: {"python": "3", "numpy": "2.4", "cupy-cuda12x": "14.1"})

    def installed(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(main, "version", installed)
    found = main.packages()
    assert found["cupy-cuda12x"] == "14.1"
    assert "cupy" not in found
    assert "python" not in found
    assert found["torch"] is None


# ------------------------------------------------------------------------------------------------------ the processor


def test_without_settings_every_usable_core_has_a_thread():
    found = facts()["cpu"]
    assert found["processor"]
    assert found["cores"] == os.cpu_count()
    assert found["threads"] == found["usable cores"] <= found["cores"]
    assert found["MINIGEN_THREADS"].startswith("not set")
    assert found["MINIGEN_KERNELS"].startswith("not set: the compiled kernels run")


@pytest.mark.slow
def test_the_environment_variables_are_reported_with_their_meaning():
    found = facts(MINIGEN_THREADS="3", MINIGEN_KERNELS="reference")["cpu"]
    assert found["threads"] == 3
    assert found["MINIGEN_THREADS"] == "3: minigen's threads"
    assert found["MINIGEN_KERNELS"] == "reference: the readable kernels run, the compiled ones are off"
    assert facts(MINIGEN_KERNELS="fast")["cpu"]["MINIGEN_KERNELS"].startswith("fast: the compiled kernels run")


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system binds no process to cores")
def test_cores_that_the_process_may_not_use_are_not_counted():
    one = min(os.sched_getaffinity(0))
    found = facts(before=f"import os; os.sched_setaffinity(0, [{one}])")["cpu"]
    assert (found["usable cores"], found["threads"], found["cores"]) == (1, 1, os.cpu_count())


def test_blas_is_the_library_that_numpy_loaded():
    found = facts(OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")["blas"]
    here = {library["filepath"]: library for library in threadpool_info() if library["user_api"] == "blas"}
    if not here:
        pytest.skip("threadpoolctl does not know this BLAS")
    library = here[found["file"]]
    assert "numpy" in found["file"] or len(here) == 1
    assert (found["library"], found["version"], found["threads"]) == (library["internal_api"], library["version"], 1)


def test_a_blas_unknown_to_threadpoolctl_is_the_one_that_numpy_was_built_with(monkeypatch):
    monkeypatch.setattr("threadpoolctl.threadpool_info", list)
    found = main.blas()
    assert found["library"]
    assert found["threads"] == "unknown"


# ------------------------------------------------------------------------------------------------------ the GPU


def fake_cupy(is_available):
    runtime = SimpleNamespace(
        getDevice=lambda: 1,
        getDeviceCount=lambda: 2,
        getDeviceProperties=lambda number: {"name": b"Imagined GPU %d" % number, "major": 9, "minor": 0},
        memGetInfo=lambda: (3_000_000_000, 24_500_000_000),
        runtimeGetVersion=lambda: 12090,
        driverGetVersion=lambda: 13000,
    )
    spec = ModuleSpec("cupy", loader=None)
    return SimpleNamespace(__spec__=spec, is_available=is_available, cuda=SimpleNamespace(runtime=runtime))


def test_the_facts_of_a_gpu(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", fake_cupy(lambda: True))
    assert main.gpu() == {
        "usable": True,
        "device": "Imagined GPU 1",
        "devices": 2,
        "compute capability": "9.0",
        "memory": "24.5 GB, 3.0 GB free",
        "CUDA runtime": "12.9",
        "CUDA of the driver": "13.0",
    }


def test_cupys_warnings_are_part_of_the_report(monkeypatch):
    def is_available():
        warnings.warn("CUDA was found in parts", UserWarning, stacklevel=1)
        return False

    monkeypatch.setitem(sys.modules, "cupy", fake_cupy(is_available))
    found = main.gpu()
    assert found["usable"] is False
    assert "finds no usable GPU" in found["reason"]
    assert found["warnings"] == "CUDA was found in parts"


def test_a_cupy_that_cannot_be_imported_is_a_reason(monkeypatch, tmp_path):
    (tmp_path / "cupy.py").write_text("raise ImportError('libcudart.so.12 is not there')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    assert main.gpu() == {"usable": False, "reason": "libcudart.so.12 is not there"}


def test_the_parts_of_the_toolkit_are_reported_with_what_is_missing_and_what_to_do(monkeypatch):
    monkeypatch.setattr(
        main.toolkit, "library", {"nvvm": None, "nvrtc": "/cuda/libnvrtc.so", "cublas": "/b", "cusolver": None}.get
    )
    found = main.cuda_toolkit(is_used=False)
    assert list(found) == [*main.toolkit.PARTS, "missing"]
    assert (found["nvvm"], found["nvrtc"]) == (None, "/cuda/libnvrtc.so")
    assert found["missing"].startswith(
        "nvvm, which compiles minigen's CUDA kernels, and cusolver, which decomposes matrices: install the toolkit by pip"
    )
    monkeypatch.setattr(main.toolkit, "library", lambda name: f"/cuda/{name}")
    assert list(main.cuda_toolkit(is_used=False)) == [*main.toolkit.PARTS]


def test_where_there_is_a_gpu_a_kernel_is_compiled_and_its_warning_is_part_of_the_report(monkeypatch):
    def cuda_wanted():
        warnings.warn("no libNVVM", RuntimeWarning, stacklevel=1)
        return False

    monkeypatch.setattr(main.toolkit, "library", lambda name: f"/cuda/{name}")
    monkeypatch.setattr(main.kernels, "cuda_wanted", cuda_wanted)
    found = main.cuda_toolkit(is_used=True)
    assert (found["kernels compiled"], found["warnings"]) == (False, "no libNVVM")


def test_without_the_packages_that_use_it_the_toolkit_is_not_looked_for(monkeypatch):
    monkeypatch.setitem(sys.modules, "cuda.pathfinder", None)
    assert main.cuda_toolkit(is_used=False) == {}


@pytest.mark.gpu
def test_the_facts_of_this_gpu():
    import cupy

    found = main.gpu()
    device = cupy.cuda.Device()
    assert found["usable"] is True
    assert found["device"] == cupy.cuda.runtime.getDeviceProperties(device.id)["name"].decode()
    assert found["compute capability"].replace(".", "") == device.compute_capability
    assert float(found["memory"].split()[0]) == pytest.approx(device.mem_info[1] / 1e9, abs=0.06)
    major, minor = map(int, found["CUDA runtime"].split("."))
    assert 1000 * major + 10 * minor == cupy.cuda.runtime.runtimeGetVersion()


# ------------------------------------------------------------------------------------------------------ compiled kernels


@pytest.mark.slow
def test_the_cache_of_cpu_kernels_is_where_numba_writes(tmp_path):
    settings = {"NUMBA_CACHE_DIR": str(tmp_path)}
    empty = facts(**settings)["compiled CPU kernels"]
    assert (empty["files"], empty["size"], empty["writable"]) == (0, "0.0 MB", True)
    assert Path(empty["folder"]).is_relative_to(tmp_path)
    compiling = "import numpy as np; from minigen import kernels; kernels.relu(np.ones(2, np.float32))"
    full = facts(before=compiling, **settings)["compiled CPU kernels"]
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert full["folder"] == empty["folder"]
    assert full["files"] == len(written) > 0
    assert {path.parent for path in written} == {Path(full["folder"])}


def test_where_no_folder_can_be_written_to_it_says_so(monkeypatch):
    pytest.importorskip("numba")
    from minigen.kernels import compiler

    importlib.import_module("minigen.kernels.cpu")  # imported below for the first time, its kernels would stay the stub
    uncached = SimpleNamespace(stats=SimpleNamespace(cache_path=None))
    monkeypatch.setattr(compiler, "loop", lambda function: uncached)
    found = main.cpu_kernels("cpu")
    assert found["folder"] is None
    assert "NUMBA_CACHE_DIR" in found["reason"]


def test_a_file_that_vanishes_while_it_is_counted_is_left_out(monkeypatch, tmp_path):
    kept, gone = tmp_path / "kept.nbc", tmp_path / "gone.nbc"
    for path in (kept, gone):
        path.write_bytes(bytes(1_000_000))
    stat = Path.stat

    def of_what_is_left(path, **options):
        if path in (kept, gone):
            gone.unlink(missing_ok=True)
        return stat(path, **options)

    monkeypatch.setattr(Path, "is_file", lambda path: True)  # a moment ago it was one
    monkeypatch.setattr(Path, "stat", of_what_is_left)
    found = main._cache(tmp_path, "*.nb[ci]")
    assert (found["files"], found["size"]) == (1, "1.0 MB")


def test_the_cache_of_cupy_is_counted_if_it_is_there(tmp_path, monkeypatch):
    folder = tmp_path / "kernels"
    monkeypatch.setenv("CUPY_CACHE_DIR", str(folder))
    assert main.cupy_kernels() == {"folder": None}
    folder.mkdir()
    for name, size in (("a.cubin", 1_000_000), ("b.cubin", 2_500_000)):
        (folder / name).write_bytes(bytes(size))
    assert main.cupy_kernels() == {"folder": str(folder), "files": 2, "size": "3.5 MB", "writable": True}
    monkeypatch.delenv("CUPY_CACHE_DIR")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".cupy/kernel_cache").mkdir(parents=True)
    assert main.cupy_kernels()["folder"] == str(tmp_path / ".cupy/kernel_cache")


# ------------------------------------------------------------------------------------------------------ text and JSON


@pytest.mark.slow
def test_text_and_json_tell_the_same(tmp_path):
    settings = {"NUMBA_CACHE_DIR": str(tmp_path), "CUPY_CACHE_DIR": str(tmp_path / "none"), "before": without("cupy")}
    words = {None: "missing", True: "yes", False: "no"}
    expected = []
    for title, section in facts(**settings).items():
        if section:
            expected.append(title)
        for name, fact in section.items():
            text = words[fact] if fact is None or isinstance(fact, bool) else str(fact)
            expected.append(f"{name} {text}")
    assert run(**settings).split() == " ".join(expected).split()


def test_values_stand_in_one_column_and_lines_are_wrapped():
    text = main.as_text(
        {"short": {"a": 1, "b": True}, "empty": {}, "long": {"a longer name": "word " * 50, "gone": None}}
    )
    lines = text.splitlines()
    assert lines[:5] == ["short", "  a               1", "  b               yes", "", "long"]
    assert "empty" not in text
    assert lines[-1] == "  gone            missing"
    wrapped = lines[5:-1]
    assert len(wrapped) == 3
    assert wrapped[0].startswith("  a longer name   word word")
    assert all(line.startswith(" " * 18 + "word") for line in wrapped[1:])
    assert max(map(len, wrapped)) <= 120


@pytest.mark.slow
def test_its_help_says_what_it_is_for():
    done = subprocess.run([sys.executable, "-m", "minigen", "--help"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("usage: python -m minigen")
    assert "for a bug report" in done.stdout
