"""Kernels one by one: this machine's processor, its GPU if it has one, and PyTorch, on the same work.

    convolutions     layers of real models, see `convolutions.py`: plain, masked and transposed, forward and both gradients. GFLOP/s count
                     live taps only; "peak" is their share of what a matrix product of 2048 x 2048 reaches with as many threads
    attentions       of U-Nets and of language models, causal or not, see `attentions.py`: forward, and all gradients together
    recurrences      RNN, GRU and LSTM over whole sequences, see `recurrences.py`: the same
    normalizations   batch, layer and group normalization and softmax, see `normalizations.py`: the same
    elementwise      f(x) of 3 million numbers, and the kernel that turns a cotangent into the gradient

Implementations: `reference` is the plain array code of `minigen/kernels`, `numba` and `cuda` are its compiled twins. PyTorch has the better
of its two layouts, NCHW and channels_last, and computes a masked convolution as its users do, as a dense one with a masked weight. The GPU
is timed by its own events, and copies to and from it apart. Results are new arrays each time, in both libraries.

With --scaling, one 3x3 convolution instead, forward and both gradients together, as batch, image and channels grow. On two cores the
kernels take ten minutes, --scaling two, --quick some seconds. --kernels chooses groups; a picture of all of them is long.

    python benchmarks/kernels.py [--kernels NAME ...] [--device cpu gpu] [--scaling] [--threads 2] [--quick] [--json F] [--plot F]
"""

import argparse
import importlib.util
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, NamedTuple

import attentions
import convolutions
import harness
import normalizations
import numpy as np
import recurrences
from convolutions import Layer

from minigen import kernels
from minigen.backend import to_device
from minigen.kernels import reference
from minigen.kernels.attention import reference as attention_reference
from minigen.kernels.convolution import reference as convolution_reference
from minigen.kernels.memory import kept_memory
from minigen.kernels.recurrence import reference as recurrence_reference
from minigen.kernels.threads import one_blas_thread

SIZE = 3_000_000
ELEMENTWISE = ("silu", "gelu", "sigmoid", "tanh", "softplus", "relu")
BACKWARD_OF_OUTPUT = ("sigmoid", "tanh", "relu")  # their gradients take y = f(x) in place of x
SQUARE = 2048
SCALED = Layer(convolutions.PLAIN, "3 x 3", 16, 16, 64, 64, 3, padding=1)

Row = dict[str, Any]
Works = dict[str, dict[str, harness.Work]]


class Group(NamedTuple):
    """Layers of one kind, and where their kernels are."""

    module: ModuleType  # has operands, works and torch_works
    layers: Sequence[Any]
    passes: Sequence[str]
    reference: Any  # what has the kernels in plain array code
    layouts: tuple[str, ...] = ("contiguous",)  # in PyTorch
    has_cuda: bool = False


LAYOUTS = ("NCHW", "channels_last")
CONVOLUTIONS = Group(
    convolutions, convolutions.LAYERS, convolutions.PASSES, convolution_reference, LAYOUTS, has_cuda=True
)
GROUPS = {
    "convolutions": CONVOLUTIONS,
    "attentions": Group(attentions, attentions.LAYERS, attentions.PASSES, attention_reference),
    "recurrences": Group(recurrences, recurrences.LAYERS, recurrences.PASSES, recurrence_reference),
    "normalizations": Group(
        normalizations, normalizations.PROBLEMS, normalizations.STEPS, normalizations.REFERENCE, LAYOUTS
    ),
}
NAMES = (*GROUPS, "elementwise")


def main() -> None:
    options = harness.arguments(__doc__, add=add_options)
    if options.device is None:
        options.device = ["cpu", "gpu"] if harness.gpu() else ["cpu"]
    if "gpu" in options.device and not harness.gpu():
        raise SystemExit(2)  # the reason has been said
    if "gpu" in options.device and not importlib.util.find_spec("numba_cuda"):
        raise SystemExit("The rows \"cuda\" need the package numba-cuda: pip install 'minigen[gpu]'")
    if harness.torch():
        harness.torch().set_num_threads(options.threads)
        harness.torch().backends.cudnn.allow_tf32 = False  # float32 in both libraries

    rows = []
    for device in options.device:
        peak = matmul_peak(device, options)
        rows.append(peak)
        with one_blas_thread(), kept_memory():  # as in every training loop
            rows += scaling(device, options) if options.scaling else chosen(device, peak["gflops"], options)
    report(rows, options)
    harness.write(rows, options)
    if options.plot:
        import pictures

        draw = pictures.draw_scaling if options.scaling else pictures.draw_kernels
        draw(rows, options.plot, f"{options.threads} threads, float32")


def chosen(device: str, peak: float, options: argparse.Namespace) -> list[Row]:
    """Time the kernels that were asked for."""
    rows = []
    for name in (name for name in options.kernels if name in GROUPS):
        for layer in GROUPS[name].layers:
            rows += passes(name, layer.smaller if options.quick else layer, device, peak, options)
    if "elementwise" in options.kernels:
        for name in ELEMENTWISE:
            rows += elementwise(name, device, options)
    return rows + transfers(options) if device == "gpu" else rows


def add_options(parser: argparse.ArgumentParser) -> None:
    names = ", ".join(NAMES)
    parser.add_argument("--kernels", nargs="+", choices=NAMES, default=NAMES, metavar="NAME", help=f"of {names} (all)")
    parser.add_argument(
        "--device", nargs="+", choices=("cpu", "gpu"), help="what to measure (also a GPU if there is one)"
    )
    parser.add_argument("--scaling", action="store_true", help="how cost grows with batch, image and channels")


# ------------------------------------------------------------------------------------------------------ the rows


def compare(
    labels: Row, implementations: dict[str, harness.Work], torch_layouts: dict[str, harness.Work], operations: int | None,
    peak: float | None, device: str, options: argparse.Namespace,
) -> list[Row]:  # fmt: skip
    """Time one piece of work: a row for each implementation, and one for PyTorch's best layout."""
    clock = harness.gpu_clock if device == "gpu" else harness.wall_clock
    times = harness.milliseconds(implementations | torch_layouts, options.effort, clock)
    best = min(torch_layouts, key=lambda layout: float(np.median(times[layout])), default=None)
    rows = []
    for name in [*implementations, *([best] if best else [])]:
        found = times[name]
        row = labels | {"implementation": "torch" if name == best else name, "device": device} | harness.timed(found)
        row["gflops"] = operations and harness.rounded(operations / np.median(found) / 1e6)
        row["peak_share"] = operations and peak and harness.rounded(row["gflops"] / peak)
        row |= {"torch_ms": None, "ratio": None}
        if best and name != best:
            row |= harness.against(found, times[best]) | {"torch_layout": best}
        rows.append(row)
    return rows


def compiled(device: str) -> str:
    return "cuda" if device == "gpu" else "numba"


def matmul_peak(device: str, options: argparse.Namespace) -> Row:
    """Time a product of two big matrices: what the machine can do in float32."""
    n = 256 if options.quick else SQUARE
    a, b = (to_device(array, device) for array in np.random.default_rng(0).standard_normal((2, n, n), dtype=np.float32))
    labels = {"kernel": "matmul", "pass": "forward", "shape": f"{n}x{n} @ {n}x{n}"}
    return compare(labels, {"BLAS": lambda: a @ b}, {}, 2 * n**3, None, device, options)[0]


def layer_works(group: Group, layer: Any, device: str) -> tuple[Works, Works]:
    """Return implementation -> pass -> work, and the same of PyTorch's layouts."""
    torch, module = harness.torch(), group.module
    arrays = module.operands(layer)
    there = [to_device(array, device) for array in arrays]
    ours = {"reference": module.works(layer, group.reference, there)}
    if device == "cpu" or group.has_cuda:
        ours[compiled(device)] = module.works(layer, kernels, there)
    theirs: Works = {}
    if torch and (device == "cpu" or torch.cuda.is_available()):
        place = "cpu" if device == "cpu" else "cuda"
        theirs = {layout: module.torch_works(torch, layer, arrays, layout, place) for layout in group.layouts}
    return ours, theirs


def passes(name: str, layer: Any, device: str, peak: float, options: argparse.Namespace) -> list[Row]:
    """Time the passes of a layer of a group."""
    group = GROUPS[name]
    ours, theirs = layer_works(group, layer, device)
    model = getattr(layer, "model", f"{layer.kernel}, {layer.shape}")
    rows = []
    for step in group.passes:
        labels = {"kernel": layer.kernel, "pass": step, "shape": layer.shape, "model": model, "group": name}
        labels |= {"numbers": group.module.operands(layer)[0].size}
        implementations, layouts = ({name: works[step] for name, works in found.items()} for found in (ours, theirs))
        rows += compare(labels, implementations, layouts, operations_of(layer, step), peak, device, options)
    return rows


def operations_of(layer: Any, step: str) -> int | None:
    """Return the multiplications and additions of a pass, or None where its time goes to the memory."""
    found = getattr(layer, "operations", None)
    return found[step] if isinstance(found, dict) else found


def scaling(device: str, options: argparse.Namespace) -> list[Row]:
    """Time all passes of a layer together, while one of its sizes grows."""
    rows = []
    for name, layers in convolutions.growing(SCALED, quick=options.quick).items():
        for value, layer in layers:
            ours, theirs = layer_works(CONVOLUTIONS, layer, device)
            labels = {"kernel": layer.kernel, "pass": "all", "shape": layer.shape, "grows": name, "value": value}
            implementations, layouts = (
                {name: together(works) for name, works in found.items()} for found in (ours, theirs)
            )
            rows += compare(labels, implementations, layouts, 3 * layer.operations, None, device, options)
    return rows


def together(works: dict[str, harness.Work]) -> harness.Work:
    return lambda: [work() for work in works.values()]


def elementwise(name: str, device: str, options: argparse.Namespace) -> list[Row]:
    """Time an activation and its gradient."""
    torch = harness.torch()
    size = SIZE // 100 if options.quick else SIZE
    x, g = np.random.default_rng(0).standard_normal((2, size), dtype=np.float32)
    saved = getattr(kernels, name)(x) if name in BACKWARD_OF_OUTPUT else x
    rows = []
    for step, kernel, arrays in (("forward", name, (x,)), ("input gradient", f"{name}_backward", (g, saved))):
        there = [to_device(array, device) for array in arrays]
        libraries: dict[str, ModuleType] = {"reference": reference, compiled(device): kernels}
        ours = {key: call(getattr(library, kernel), there) for key, library in libraries.items()}
        theirs = {}
        if torch and (device == "cpu" or torch.cuda.is_available()):
            tensors = [torch.from_numpy(array).to("cpu" if device == "cpu" else "cuda") for array in arrays]
            theirs = {"contiguous": call(torch_kernel(torch, kernel), tensors)}
        labels = {"kernel": name, "pass": step, "shape": str(size), "model": name, "group": "elementwise"}
        labels |= {"numbers": size}
        rows += compare(labels, ours, theirs, None, None, device, options)
    return rows


def call(function: Callable[..., Any], arrays: Sequence[Any]) -> harness.Work:
    return lambda: function(*arrays)


def torch_kernel(torch: Any, name: str) -> Callable[..., Any]:
    """Return PyTorch's function for the same work."""
    aten, functional = torch.ops.aten, torch.nn.functional
    return {
        "silu": functional.silu,
        "silu_backward": aten.silu_backward,
        "gelu": functional.gelu,
        "gelu_backward": aten.gelu_backward,
        "sigmoid": torch.sigmoid,
        "sigmoid_backward": aten.sigmoid_backward,
        "tanh": torch.tanh,
        "tanh_backward": aten.tanh_backward,
        "softplus": functional.softplus,
        "softplus_backward": lambda g, x: aten.softplus_backward(g, x, 1, 20),
        "relu": torch.relu,
        "relu_backward": lambda g, y: aten.threshold_backward(g, y, 0),
    }[name]


def transfers(options: argparse.Namespace) -> list[Row]:
    """Time the copies between the processor's memory and the GPU's; a call returns when its copy is there."""
    here = np.random.default_rng(0).standard_normal(SIZE, dtype=np.float32)
    there = to_device(here, "gpu")
    rows = []
    for step, work in (("to the GPU", lambda: to_device(here, "gpu")), ("to the CPU", lambda: to_device(there, "cpu"))):
        labels = {"kernel": "transfer", "pass": step, "shape": str(SIZE)}
        rows += compare(labels, {"cupy": work}, {}, None, None, "gpu", options)
    return rows


# ------------------------------------------------------------------------------------------------------ the tables


def report(rows: list[Row], options: argparse.Namespace) -> None:
    """Print a line for each piece of work, and the mean ratios."""
    peaks = [f"{row['gflops']:.0f} GFLOP/s on the {row['device'].upper()}" for row in rows if row["kernel"] == "matmul"]
    print(f"Peak, a matrix product: {', '.join(peaks)}; {options.threads} threads; times in ms\n")
    tables: dict[str, list[Row]] = {}
    for row in rows:
        if row.get("group") == "elementwise":
            tables.setdefault("elementwise", []).append(row | {"shape": row["kernel"]})
        elif row["kernel"] != "matmul":
            tables.setdefault(row["kernel"], []).append(row)
    for kernel, found in tables.items():
        harness.show(lines(found), kernel[:1].upper() + kernel[1:], COLUMNS)
        print()
    for kernel, found in tables.items():
        for implementation in ("numba", "cuda"):
            ratios: dict[str, list[float]] = {}
            for row in found:
                if row["implementation"] == implementation and row["ratio"]:
                    ratios.setdefault(row["pass"], []).append(row["ratio"])
            means = ", ".join(f"{step} {harness.geometric_mean(each):.2f}" for step, each in ratios.items())
            if means:
                print(f"{kernel}, {implementation}, time relative to PyTorch's, geometric means: {means}")


COLUMNS = ("shape", "pass", "device", "reference", "numba", "cuda", "cupy", "torch", "gflops", "peak", "ratio", "range")


def lines(rows: list[Row]) -> list[Row]:
    """Return a line for each shape, pass and device, with a column for each implementation; the figures are the compiled one's."""
    merged: dict[tuple[str, str, str], Row] = {}
    for row in rows:
        key = row["shape"], row["pass"], row["device"]
        line = merged.setdefault(key, dict(zip(("shape", "pass", "device"), key, strict=True)))
        line[row["implementation"]] = row["ms"]
        if row["implementation"] in ("numba", "cuda"):
            line |= {"gflops": row["gflops"], "ratio": row["ratio"]}
            line["peak"] = row["peak_share"] and f"{row['peak_share']:.0%}"
            if row["ratio"]:
                low, high = row["ratio_quartiles"]
                line["range"] = f"{low:.3g}-{high:.3g}"
    return list(merged.values())


if __name__ == "__main__":
    main()
