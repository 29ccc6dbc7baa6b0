"""What the CUDA kernels need is found where it can be, and where it cannot be the reference serves, with one warning."""

import os
import subprocess
import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from minigen import kernels
from minigen.kernels import toolkit

needs_numba_cuda = pytest.mark.skipif(not toolkit.has_numba_cuda(), reason="numba-cuda is not installed")


class CupyArray:
    """A float32 array that says that it is CuPy's."""

    __cuda_array_interface__ = None
    dtype = np.dtype("float32")


CupyArray.__module__ = "cupy"


@pytest.fixture
def row(monkeypatch):
    """A row of the table, whose functions say who they are, on a machine with numba-cuda where nothing has been compiled."""
    monkeypatch.setattr(kernels, "_COMPILED", True)
    monkeypatch.setattr(toolkit, "has_numba_cuda", lambda: True)
    kernels.cuda_wanted.cache_clear()
    yield kernels._dispatch(lambda x: "reference", cuda=lambda x: "cuda")
    kernels.cuda_wanted.cache_clear()


def compiler(monkeypatch, outcome):
    """Let the first compilation raise an error, or not; return the list of its calls."""
    calls = []

    def compile_one():
        calls.append(1)
        if outcome is not None:
            raise outcome

    monkeypatch.setattr(kernels, "_cuda", SimpleNamespace(compile_one=compile_one))
    return calls


class DynamicLibNotFoundError(RuntimeError):
    """As cuda.pathfinder's."""


@pytest.mark.parametrize(
    "error",
    [
        DynamicLibNotFoundError("nvrtc found via site-packages, cannot infer CUDA_HOME;\n  listdir"),
        ImportError("CUDA driver library cannot be found."),
        OSError("libnvvm.so.4: cannot open shared object file"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_without_the_toolkit_the_reference_serves_and_one_warning_says_why(row, error, monkeypatch):
    calls = compiler(monkeypatch, error)
    with pytest.warns(RuntimeWarning, match="slower reference kernels run on the GPU in their place") as caught:
        assert row(CupyArray()) == "reference"
    (warning,) = caught
    text = str(warning.message)
    assert f"({type(error).__name__}: {' '.join(str(error).split())})" in text
    assert "pip install 'minigen[gpu]' for CUDA 13" in text
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [row(CupyArray()) for _ in range(3)] == 3 * ["reference"]
    assert calls == [1]


def test_with_the_toolkit_the_cuda_kernels_serve_and_nothing_is_said(row, monkeypatch):
    calls = compiler(monkeypatch, None)
    assert [row(CupyArray()) for _ in range(3)] == 3 * ["cuda"]
    assert calls == [1]


def test_nothing_is_tried_before_an_array_is_on_the_gpu(row, monkeypatch):
    calls = compiler(monkeypatch, OSError())
    assert row(np.ones(2, "float32")) == "reference"
    assert calls == []


# ---------------------------------------------------------------------------------------------------- finding the compiler


def installed(folder, *files):
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()
    return folder


LIBDEVICE = "nvvm/libdevice/libdevice.10.bc"


def test_a_compiler_is_whole_or_not_taken(tmp_path):
    packages = installed(tmp_path / "packages", LIBDEVICE, "lib/libnvvm.so.4")
    system = installed(tmp_path / "system", LIBDEVICE, "nvvm/lib64/libnvvm.so.4", "nvvm/lib64/libnvvm.so.4.0.0")
    without_library = installed(tmp_path / "a", LIBDEVICE)
    without_libdevice = installed(tmp_path / "b", "lib/libnvvm.so.4")
    lacking = [tmp_path / "none", without_library, without_libdevice]
    assert toolkit.compiler_in([*lacking, packages, system]) == (packages, packages / "lib/libnvvm.so.4")
    assert toolkit.compiler_in([*lacking, system]) == (system, system / "nvvm/lib64/libnvvm.so.4")
    assert toolkit.compiler_in(lacking) is None


def test_it_is_looked_for_among_packages_beside_nvcc_and_in_the_usual_place(tmp_path, monkeypatch):
    nvcc = installed(tmp_path, "cuda/bin/nvcc") / "cuda/bin/nvcc"
    nvcc.chmod(0o755)
    monkeypatch.setenv("PATH", str(nvcc.parent))
    monkeypatch.setattr(sys, "path", ["/here", "/there"])
    assert [str(folder) for folder in toolkit.toolkit_folders()] == [
        "/here/nvidia/cu13", "/here/nvidia/cuda_nvcc", "/there/nvidia/cu13", "/there/nvidia/cuda_nvcc",
        str(tmp_path / "cuda"), "/usr/local/cuda",
    ]  # fmt: skip


@pytest.fixture
def lost(monkeypatch, tmp_path):
    """libNVVM is where NVIDIA's own search does not look; returns what is loaded."""

    class NotFound(RuntimeError):
        pass

    def load(name):
        raise NotFound(name)

    pathfinder = SimpleNamespace(load_nvidia_dynamic_lib=load, DynamicLibNotFoundError=NotFound)
    monkeypatch.setitem(sys.modules, "cuda.pathfinder", pathfinder)
    monkeypatch.setattr(toolkit, "toolkit_folders", lambda: [installed(tmp_path, LIBDEVICE, "lib/libnvvm.so.4")])
    for name in ("CUDA_HOME", "CUDA_PATH"):
        monkeypatch.setenv(name, "")  # so that what is set in the test is undone after it
        monkeypatch.delenv(name)
    loaded = []
    monkeypatch.setattr("ctypes.CDLL", loaded.append)
    return loaded


def test_a_compiler_that_nvidias_search_misses_is_loaded_and_named_to_numba(lost, tmp_path):
    assert toolkit.library("nvvm") == str(tmp_path / "lib/libnvvm.so.4")
    assert lost == [str(tmp_path / "lib/libnvvm.so.4")]
    assert os.environ["CUDA_HOME"] == str(tmp_path)
    assert toolkit.library("cublas") is None


@pytest.mark.parametrize("name", ["CUDA_HOME", "CUDA_PATH"])
def test_a_folder_that_the_user_named_is_left_alone(lost, name, monkeypatch):
    monkeypatch.setenv(name, "/nowhere")
    assert toolkit.library("nvvm") is None
    assert lost == []


# ------------------------------------------------------------------------------------------------------- which numba.cuda

WITHOUT_PTH = """
import sys
sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__name__ != "NumbaCudaFinder"]
sys.modules.pop("_numba_cuda_redirector", None)
"""
"""What Python is like if it did not read numba-cuda's `.pth`, as after `pip install --target`."""


def python(*lines):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "\n".join([WITHOUT_PTH, *lines])], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@needs_numba_cuda
def test_numba_cuda_takes_its_place_though_python_did_not_read_its_pth():
    assert "numba_cuda" in python("from minigen.kernels import cuda", "print(cuda.cuda.__file__)")


@needs_numba_cuda
def test_numbas_own_cuda_imported_before_is_refused_with_the_way_out():
    said = python(
        "import numba.cuda",
        "from minigen.kernels import toolkit",
        "try:",
        "    toolkit.prepare()",
        "except ImportError as error:",
        "    print(error)",
    )
    assert "which is Numba's own and not numba-cuda's; write `import _numba_cuda_redirector`" in said
