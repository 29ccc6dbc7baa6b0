"""The CUDA kernels: compared with the reference in the simulator and on a GPU, compiled for one, chosen by the table, launched."""

import ast
import importlib.util
import inspect
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import cuda_convolution
import cuda_raster
import cuda_simulator
import numpy as np
import pytest

from minigen import kernels
from minigen.__main__ import kernel_folders
from minigen.kernels import cpu, cuda, reference
from minigen.kernels.convolution import cuda as convolution
from minigen.kernels.convolution import reference as convolution_reference
from minigen.kernels.lazy import LazyModule, imported
from minigen.kernels.raster import cuda as raster
from minigen.kernels.raster import reference as raster_reference
from minigen.kernels.raster.network import Layer, Network
from minigen.kernels.rows import cpu as rows_cpu
from minigen.models import BernoulliConditional, CategoricalConditional, GatedPixelCNN, PixelCNN, PixelRNN
from minigen.random import Generator

HERE = Path(__file__).parent
RESOURCES = HERE.parents[1] / "benchmarks" / "cuda_resources.py"
MISSING = 77  # its status if a compiler is missing
ON_THE_GPU = cuda_simulator.COMPARISONS | cuda_simulator.CONVOLUTION | cuda_raster.WALK

needs_numba_cuda = pytest.mark.skipif(
    importlib.util.find_spec("numba_cuda") is None, reason="numba-cuda is not installed: pip install -e '.[dev]'"
)


def run_python(*arguments, **environment):
    command = [sys.executable, "-W", "error", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | environment)


# ------------------------------------------------------------------------------------ against the reference


@pytest.mark.slow
@needs_numba_cuda
def test_the_kernels_in_the_simulator_are_those_of_the_reference():
    done = run_python(HERE / "cuda_simulator.py", NUMBA_ENABLE_CUDASIM="1")
    assert done.returncode == 0, done.stdout + done.stderr
    count = len(ON_THE_GPU) + len(cuda_simulator.ON_THE_DOUBLE)
    assert done.stdout.endswith(f"{count} comparisons, 0 failed\n")


@pytest.mark.gpu
@needs_numba_cuda
@pytest.mark.parametrize("name", ON_THE_GPU)
def test_the_kernels_on_the_gpu_are_those_of_the_reference(name):
    ON_THE_GPU[name](importlib.import_module("cupy"))


@pytest.mark.gpu
@needs_numba_cuda
@pytest.mark.parametrize("name", ["dense", "many inputs", "stride", "groups", "depthwise"])
def test_a_big_convolution_on_the_gpu_is_close_and_the_same_each_time(name):
    cupy = importlib.import_module("cupy")
    shape = replace(cuda_convolution.CASES[name].geometry, size=(33, 30), out_size=(32, 17))
    case = cuda_convolution.CASES[name]._replace(geometry=shape, batch=40)
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=array.shape).astype("float32") for array in cuda_convolution.arrays_of(case)]
    passed = [cupy.asarray(array) for array in arrays]
    exact, sizes = ([f(array.astype("float64")) for array in arrays] for f in (np.positive, np.abs))
    for (function, arguments), (_, of_exact), (_, of_sizes) in zip(
        *(cuda_convolution.calls(case, which) for which in (passed, exact, sizes)), strict=True
    ):
        found = getattr(kernels, function)(*arguments, geometry=shape)
        assert (found == getattr(kernels, function)(*arguments, geometry=shape)).all()
        error = abs(found.get() - getattr(convolution_reference, function)(*of_exact, geometry=shape))
        assert (error <= 1e-6 * getattr(convolution_reference, function)(*of_sizes, geometry=shape)).all(), function


SIZE = (12, 28, 1)
MODELS = {
    "PixelCNN": lambda rng: PixelCNN(SIZE, BernoulliConditional(), features=64, blocks=3, classes=4, rng=rng),
    "PixelCNN of colours": lambda rng: PixelCNN((5, 6, 3), CategoricalConditional(256), features=66, blocks=2, rng=rng),
    "GatedPixelCNN": lambda rng: GatedPixelCNN(SIZE, BernoulliConditional(), features=32, layers=3, classes=4, rng=rng),
    "Row LSTM": lambda rng: PixelRNN(SIZE, BernoulliConditional(), kind="row", features=32, layers=2, rng=rng),
    "Diagonal BiLSTM": lambda rng: PixelRNN(SIZE, BernoulliConditional(), kind="diagonal", features=32, layers=2, rng=rng),
}  # fmt: skip


@pytest.mark.gpu
@needs_numba_cuda
@pytest.mark.parametrize("name", MODELS)
def test_a_walk_on_the_gpu_draws_the_samples_of_the_whole_network(name):
    cupy = importlib.import_module("cupy")
    model, n = MODELS[name](Generator(0)).to("gpu"), 200
    condition = cupy.arange(n) % 4 if model.classes else None
    assert isinstance(model.stepper(n, condition).walk, raster.Walk)
    cached, plain = (
        model.sample(n, rng=Generator(1, device="gpu"), condition=condition, cached=cached) for cached in (True, False)
    )
    # A number drawn may lie between two roundings of a probability; then the rest of the image differs too.
    assert (cached == plain).all(axis=(1, 2, 3)).mean() > 0.97
    assert (plain != plain[:1]).mean() > 0.05


@pytest.mark.gpu
@needs_numba_cuda
def test_dense_comparison_on_the_gpu():
    cupy = importlib.import_module("cupy")
    x = np.linspace(-20, 20, 1_000_001, dtype="float32")
    for name in cuda_simulator.ELEMENTWISE:
        exact = cuda_simulator.call(reference, name, x.astype("float64"))
        y = cuda_simulator.call(kernels, name, cupy.asarray(x)).get()
        size = abs(x.astype("float64") if name in cuda_simulator.OF_INPUT else exact)
        assert (abs(y - exact) <= cuda_simulator.RELATIVE[name] * size + cuda_simulator.TINY).all(), name


@pytest.mark.gpu
@needs_numba_cuda
def test_the_table_takes_these_kernels_and_they_run_on_the_current_stream():
    cupy = importlib.import_module("cupy")
    assert kernels._on_gpu((cupy.ones(2, "float32"), None), np.dtype("float32"))
    assert not kernels._on_gpu((cupy.ones(2, "float64"),), np.dtype("float32"))
    x = cupy.linspace(-3, 3, 10**7, dtype="float32")
    expected = kernels.silu(kernels.silu(x))
    cupy.cuda.get_current_stream().synchronize()
    with cupy.cuda.Stream(
        non_blocking=True
    ) as stream:  # unordered with the default stream, where a stray launch would go
        for _ in range(20):
            y = kernels.silu(kernels.silu(x))
        stream.synchronize()
        assert (y == expected).all()


@pytest.mark.gpu
@needs_numba_cuda
def test_a_launch_can_be_captured_in_a_cuda_graph():
    cupy = importlib.import_module("cupy")
    values, gradients = cupy.zeros(1000, "float32"), cupy.ones(1000, "float32")
    kernels.lerp(values, gradients, weight=0.5)  # compiled here: that cannot be captured
    cupy.cuda.get_current_stream().synchronize()
    with cupy.cuda.Stream(non_blocking=True) as stream:
        stream.begin_capture()
        kernels.lerp(values, gradients, weight=0.5)
        graph = stream.end_capture()
        graph.launch(stream)
        graph.launch(stream)
        stream.synchronize()
    assert (values == 0.875).all()


# -------------------------------------------------------------------------------------------- compiling


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    path = tmp_path_factory.mktemp("cuda") / "resources.json"
    done = run_python(RESOURCES, "--json", path)
    if done.returncode == MISSING:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    return json.loads(path.read_text())["rows"]


@pytest.mark.slow
def test_every_kernel_compiles_without_spills(rows):
    assert {row["kernel"] for row in rows} == {name.removeprefix("_") for name in cuda.KERNELS}
    assert {row["kernel"]: row["spilled bytes"] for row in rows if row["spilled bytes"]} == {}


@pytest.mark.slow
def test_every_kernel_leaves_a_processor_full_of_threads(rows):
    # 65,536 registers for 2048 threads. direct_weight_gradient starts at most half as many, each with more work. walk has a block of 256
    # for each example: two blocks on each of 132 processors are enough.
    limits = dict.fromkeys((row["kernel"] for row in rows), 32) | {"direct_weight_gradient": 64, "walk": 128}
    assert {row["kernel"]: row["registers"] for row in rows if row["registers"] > limits[row["kernel"]]} == {}


@pytest.mark.slow
def test_only_the_kernels_of_float64_numbers_and_of_normal_numbers_compute_in_float64(rows):
    in_float64 = {row["kernel"] for row in rows if row["float64 instructions"]}
    assert in_float64 == {"uniforms64", "open_uniforms64", "normals32", "normals64"}


# ------------------------------------------------------------------------------------ the table's choice

TABLE = [name for name, function in vars(reference).items() if inspect.isfunction(function) and name[0] != "_"]
TABLE.remove("array_module")
TABLE.remove("window_places")
PLAIN_ON_GPU = {"norm", "window_max", "window_put"}  # CuPy runs the reference
# The kernels of raster/ are the methods of a class, which `raster_walk` chooses.
FOLDERS = sorted(set(kernel_folders()) - {"raster"})


def compiled_in(folder):
    """Return the kernels in a folder's `cpu.py`, by name."""
    module = importlib.import_module(f"minigen.kernels.{folder}.cpu")
    return {
        name: function
        for name, function in vars(module).items()
        if inspect.isfunction(function) and function.__module__ == module.__name__ and name[0] != "_"
    }


class CupyArray:
    """What the table and a launch ask of a CuPy array, for machines without CuPy."""

    __cuda_array_interface__ = None

    def __init__(self, size, dtype="float32", address=0):
        self.shape, self.size, self.dtype = (size,), size, np.dtype(dtype)
        self.data = SimpleNamespace(ptr=address)

    def ravel(self):
        return self


class CupyArrayWithoutAddress:
    dtype = np.dtype("float32")


CupyArray.__module__ = CupyArrayWithoutAddress.__module__ = "cupy"


@pytest.fixture
def numba_cuda_is_there(monkeypatch):
    monkeypatch.setattr(kernels, "_COMPILED", True)
    monkeypatch.setattr(kernels, "cuda_wanted", lambda: True)


ON_CPU, ON_GPU = "cpu", "cuda"  # the arguments of a row of the table


def choice(*arrays, places=(ON_CPU, ON_GPU), **options):
    def place(name):
        return lambda *arrays: name

    functions = {name: place(name) for name in places}
    return kernels._dispatch(place("reference"), **functions, **options)(*arrays)


def chosen(name, place):
    """Return the function that a row of the table names for a place, or None."""
    function = inspect.getclosurevars(getattr(kernels, name)).nonlocals[place]
    return None if function is None else imported(function)


def rows_of_the_table():
    """Yield the name of each row of the table, as it is written, with the functions that it names: `module.function`."""
    for statement in ast.parse(Path(kernels.__file__).read_text()).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.value).startswith("_dispatch("):
            call = statement.value
            words = [word.value for word in call.keywords if word.arg in (ON_CPU, ON_GPU)]
            yield statement.targets[0].id, [ast.unparse(function).split(".") for function in (*call.args, *words)]


def test_every_kernel_of_the_reference_is_in_the_table_and_has_its_own_on_the_gpu():
    assert len(TABLE) == 38
    for name in TABLE:
        assert callable(getattr(kernels, name))
        assert getattr(kernels, name).__wrapped__ is getattr(reference, name)
        if name not in PLAIN_ON_GPU:
            assert getattr(cuda, name).__module__ == cuda.__name__
            assert name == "philox" or chosen(name, ON_GPU) is getattr(cuda, name)
    for name in ("convolve", "convolve_transposed", "convolve_weight"):
        assert getattr(kernels, name).__wrapped__ is getattr(convolution_reference, name)
        assert chosen(name, ON_GPU) is getattr(convolution, name)


def test_an_editor_is_led_to_the_functions_that_are_called():
    (block,) = (s for s in ast.parse(Path(kernels.__file__).read_text()).body if isinstance(s, ast.If))
    assert ast.unparse(block.test) == "TYPE_CHECKING"
    seen = {  # what an editor takes each name for
        alias.asname: f"{statement.module}.{alias.name}" for statement in block.body for alias in statement.names
    }
    called = {name: stand_in._name for name, stand_in in vars(kernels).items() if isinstance(stand_in, LazyModule)}
    assert seen == called
    modules = {name: importlib.import_module(module) for name, module in seen.items()}
    found = dict(rows_of_the_table())
    assert len(found) == len(TABLE) - 1 + sum(len(list(compiled_in(folder))) for folder in FOLDERS)  # philox has no row
    for name, functions in found.items():
        (plain_module, _), *compiled = functions
        assert {function for _, function in functions} == {name}
        for module, function in compiled:
            assert modules[module].__package__ == getattr(kernels, plain_module).__package__
            assert getattr(modules[module], function) is chosen(name, modules[module].__name__.rpartition(".")[2])
        assert len(compiled) == sum(chosen(name, place) is not None for place in (ON_CPU, ON_GPU))


@pytest.mark.parametrize("name", ["sgd_step", "rmsprop_step", "adam_step", "lerp", "philox"])
def test_a_twin_takes_the_arguments_of_the_reference(name):
    def parameters(function):
        return [(p.name, p.kind) for p in inspect.signature(function).parameters.values()]

    assert parameters(getattr(cuda, name)) == parameters(getattr(reference, name))


def test_the_arrays_choose_the_kernel(numba_cuda_is_there):
    on_cpu, on_gpu = np.zeros(2, "float32"), CupyArray(2)
    for arrays, place in (
        ((on_cpu, on_cpu), "cpu"),
        ((on_gpu, on_gpu), "cuda"),
        ((on_gpu, on_gpu, None), "cuda"),
        ((on_gpu, on_cpu), "reference"),  # where CuPy refuses the mix
        ((on_cpu, on_gpu), "reference"),
        ((on_gpu, CupyArray(2, "float64")), "reference"),
        ((CupyArray(2, "float64"),), "reference"),
        ((CupyArrayWithoutAddress(),), "reference"),
        ((np.zeros(2),), "reference"),
    ):
        assert choice(*arrays) == place
    words = {"dtype": np.uint32, "places": (ON_GPU,)}
    assert choice(np.zeros(2, "uint32"), **words) == "reference"
    assert choice(CupyArray(2, "uint32"), **words) == "cuda"
    assert choice(on_gpu, **words) == "reference"


def test_indices_have_no_say_in_the_choice(numba_cuda_is_there):
    words = np.zeros(2, "uint8")
    assert choice(np.zeros(2, "float32"), words, indexed=True) == "cpu"
    assert choice(np.zeros(2), words, indexed=True) == "reference"
    assert choice(CupyArray(2), words, indexed=True, places=(ON_CPU,)) == "reference"
    assert choice(np.zeros(2, "float32"), words) == "reference"


def test_kernels_that_take_indices_are_compiled(monkeypatch):
    called = []
    monkeypatch.setattr(cpu, "_window_put", lambda *arguments: called.append("window_put"))
    monkeypatch.setattr(rows_cpu, "_put_rows", lambda *arguments: called.append("put_rows"))
    settings = {"size": 2, "stride": 2, "padding": 0, "length": 2}
    kernels.window_put(np.ones((1, 1, 2), "float32"), np.zeros((1, 1, 2), "uint8"), **settings)
    kernels.put_rows(np.ones((2, 3), "float32"), np.array([0, 0]), count=1)
    assert called == ["window_put", "put_rows"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_compiled_kernel_of_a_folder_is_in_the_table(folder):
    plain = importlib.import_module(f"minigen.kernels.{folder}.reference")
    names = compiled_in(folder)
    assert names
    for name, function in names.items():
        assert getattr(kernels, name).__wrapped__ is getattr(plain, name)
        assert chosen(name, ON_CPU) is function


def test_philox_is_chosen_by_the_module(monkeypatch, numba_cuda_is_there):
    for module, place in (("_cpu", "cpu"), ("_cuda", "cuda")):
        function = lambda xp, place=place, **settings: place
        monkeypatch.setattr(kernels, module, SimpleNamespace(philox=function))
    settings = {"key": 0, "counter": 0, "blocks": 1}
    assert kernels.philox(np, **settings) == "cpu"
    assert kernels.philox(SimpleNamespace(ndarray=CupyArray), **settings) == "cuda"
    monkeypatch.setattr(kernels, "cuda_wanted", lambda: False)
    with pytest.raises(AttributeError, match="arange"):  # the reference asks for it
        kernels.philox(SimpleNamespace(ndarray=CupyArray), **settings)


def test_a_walk_is_chosen_by_all_weights_and_biases(monkeypatch, numba_cuda_is_there):
    class Walk:
        def __init__(self, network, *, n, width):
            self.place = "reference"

    monkeypatch.setattr(raster_reference, "Walk", Walk)
    for module, place in (("_raster_cpu", "cpu"), ("_raster_cuda", "cuda")):
        kind = lambda *_, place=place, **settings: SimpleNamespace(place=place)
        monkeypatch.setattr(kernels, module, SimpleNamespace(Walk=kind))
    on_cpu, on_gpu = np.zeros(2, "float32"), CupyArray(2)
    for weight, bias, place in (
        (on_cpu, on_cpu, "cpu"),
        (on_gpu, on_gpu, "cuda"),
        (on_gpu, on_cpu, "reference"),
        (on_gpu, CupyArray(2, "float64"), "reference"),
        (CupyArrayWithoutAddress(), CupyArrayWithoutAddress(), "reference"),
    ):
        network = Network((), ((Layer("image", "parameters", weight, bias, ((0, -1),)),),))
        assert kernels.raster_walk(network, n=1, width=1).place == place


def test_cuda_kernels_need_numba_cuda_and_leave_to_be_compiled(monkeypatch):
    wanted = kernels.cuda_wanted.__wrapped__
    monkeypatch.setattr(kernels, "_cuda", SimpleNamespace(compile_one=lambda: None))
    for compiled, installed in ((True, True), (True, False), (False, True)):
        monkeypatch.setattr(kernels, "_COMPILED", compiled)
        spec = SimpleNamespace() if installed else None
        monkeypatch.setattr(importlib.util, "find_spec", {"numba_cuda": spec}.get)
        assert wanted() == (compiled and installed)
    monkeypatch.setattr(kernels, "cuda_wanted", lambda: False)
    assert choice(CupyArray(2)) == "reference"


# ------------------------------------------------------------------------------------------- launching


@pytest.fixture
def launches(monkeypatch):
    """The launches of elu, with a CuPy whose current stream is number 5, and whose new arrays lie at address 1000."""
    cupy = ModuleType("cupy")
    cupy.empty = lambda shape, dtype: CupyArray(*shape, dtype, address=1000)
    cupy.cuda = SimpleNamespace(get_current_stream=lambda: SimpleNamespace(ptr=5))
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setattr(cuda.cuda, "external_stream", lambda handle: f"stream {handle}")
    cuda._stream.cache_clear()
    recorded = []

    class Compiled:
        def __getitem__(self, configuration):
            return lambda *arguments: recorded.append((configuration, arguments))

    monkeypatch.setitem(vars(cuda.KERNELS["elu"]), "_compiled", Compiled())
    yield recorded
    cuda._stream.cache_clear()


def test_a_launch_gets_addresses_size_and_settings_on_the_current_stream(launches):
    y = cuda.elu(CupyArray(1000, address=2000), alpha=0.7)
    assert (y.shape, y.dtype) == ((1000,), np.float32)
    cuda.elu(CupyArray(100_001, address=3000), alpha=0.5)
    assert launches == [
        ((128, 256, "stream 5"), (1000, 2000, 1000, (0.7,))),
        ((391, 256, "stream 5"), (1000, 3000, 100_001, (0.5,))),  # 391 blocks of 256 are 100,096 threads
    ]
    assert len(launches[0][1]) == len(cuda.KERNELS["elu"].signature.args)


def test_an_empty_array_launches_nothing(launches):
    assert cuda.elu(CupyArray(0), alpha=0.7).size == 0
    assert launches == []


def test_numbas_default_stream_is_cupys():
    assert cuda._stream(0) == 0
