"""What holds for every operation, on every device: values, gradients of both orders and in both modes, dtypes, layouts, and memory."""

from inspect import signature
from pathlib import Path

import numpy as np
import pytest
from devices import on_host

import minigen as mg
from minigen import engine, ops
from minigen.backend import array_module, module_of, to_device
from minigen.testing import gradcheck
from ops.cases import CASES, FILES, Case, package_primitives

CREATION = {"arange", "eye", "from_dlpack", "full", "linspace", "ones", "tensor", "zeros"}

over_cases = pytest.mark.parametrize("case", CASES, ids=str)
over_differentiable_cases = pytest.mark.parametrize("case", [case for case in CASES if case.differentiable], ids=str)


def leaves(arrays):
    return [mg.Tensor(array, requires_grad=True) for array in arrays]


def cotangents_of(outputs):
    rng = np.random.default_rng(1)
    return [to_device(np.asarray(rng.standard_normal(y.shape)).astype(y.dtype), y.device) for y in outputs]


def gradients(case: Case, floats, create_graph=False):
    """The gradients of every float argument for random cotangents, as Tensors; not of one that no gradient reaches."""
    x = leaves(floats)
    y = case.outputs(x)
    return [g for g in mg.grad(y, x, cotangents_of(y), create_graph=create_graph, allow_unused=True) if g is not None]


def unrecorded(case: Case, x):
    with mg.no_grad():
        return case.outputs(x)


def assert_close(obtained, expected, bound, what):
    """The largest error stays within `bound` times the largest magnitude, or times 1 where all is smaller."""
    assert obtained.shape == expected.shape, f"{what}: shape {obtained.shape}, expected {expected.shape}"
    if expected.dtype == bool:
        obtained, expected = obtained.astype(int), expected.astype(int)
    error = np.max(np.abs(obtained - expected), initial=0.0)
    scale = np.max(np.abs(expected), initial=1.0)
    assert error <= bound * scale, f"{what}: error {error:.3g}, magnitude {scale:.3g}"


# ------------------------------------------------------------------------------------------------------ the list itself


def test_every_file_of_cases_is_in_the_list():
    folder = Path(__file__).parent / "cases"
    assert {path.stem for path in folder.glob("*.py")} == {"__init__", "case", *FILES}


def test_every_primitive_has_a_case():
    assert not set(package_primitives()) - {case.name for case in CASES}


def test_every_public_operation_has_a_case():
    assert not set(ops.__all__) - CREATION - {case.name for case in CASES}


def test_every_differentiable_primitive_has_a_differentiable_case():
    flows = {case.name for case in CASES if case.differentiable}
    assert not {name for name, p in package_primitives().items() if any(p.vjps.values())} - flows


# ------------------------------------------------------------------------------------------------------ values and gradients


@over_cases
def test_values_are_those_of_numpy_and_scipy(case: Case, device):
    expected = case.expected(*case.arguments, **case.keywords)
    expected = expected if isinstance(expected, list) else [expected]
    there = case.on(device)
    for obtained, wanted in zip(there.outputs(there.floats), expected, strict=True):
        wanted = np.asarray(wanted)
        assert obtained.dtype == wanted.dtype
        assert_close(on_host(obtained), wanted, 1e-13, str(case))


@over_differentiable_cases
def test_gradients_of_order_one_and_two(case: Case, device):
    def there_and_back(*x):
        return tuple(y.to("cpu") for y in case.on(device).outputs([v.to(device) for v in x]))

    gradcheck(there_and_back, case.floats, name=str(case))


@over_differentiable_cases
def test_recorded_gradients_equal_unrecorded_ones_and_are_connected_to_all_that_they_depend_on(case: Case, device):
    case = case.on(device)
    x = leaves(case.floats)
    y = case.outputs(x)
    recorded = [g for g in mg.grad(y, x, cotangents_of(y), create_graph=True, allow_unused=True) if g is not None]
    plain = gradients(case, case.floats)
    one_text = device == "cpu" and not getattr(case.function, "joint", None)  # a joint vjp may sum in another order
    for a, b in zip(plain, recorded, strict=True):
        assert not a.requires_grad
        a, b = on_host(a), on_host(b)
        rounding = {"rtol": 1e-15, "atol": 0} if one_text else {"rtol": 1e-13, "atol": 1e-15 * np.abs(b).max(initial=0)}
        np.testing.assert_allclose(a, b, **rounding)
    for i in range(len(case.floats)):
        moved = [x + 1e-3 * (i == j) for j, x in enumerate(case.floats)]
        for g, g_moved in zip(recorded, gradients(case, moved, create_graph=True), strict=True):
            if not np.array_equal(on_host(g), on_host(g_moved)):
                assert g.requires_grad
                assert (
                    mg.grad(g, x[i], mg.ones(g.shape, device=device), retain_graph=True, allow_unused=True) is not None
                )


@pytest.mark.parametrize("case", [case for case in CASES if not case.differentiable], ids=str)
def test_where_no_gradient_flows_the_output_is_a_constant(case: Case, device):
    case = case.on(device)
    assert not any(y.requires_grad for y in case.outputs(leaves(case.floats)))


def named_by_vjps(node: mg.Node) -> set[str]:
    """The names in the signatures of the vjps that this node would run."""
    primitive = node.primitive
    vjps = [primitive.joint, primitive.fused]
    if primitive.joint is None:
        arguments = primitive.arguments + [primitive.variadic] * len(node.parents)
        vjps = [primitive.vjps[a] for a, edge in zip(arguments, node.parents, strict=False) if edge is not None]
    return {name for vjp in vjps if vjp for name in list(signature(vjp).parameters)[1:]} - {"position"}


@over_differentiable_cases
def test_nodes_hold_what_their_vjps_name_and_nothing_else(case: Case):
    outputs = case.outputs(leaves(case.floats))
    nodes = {output.node for output in outputs}
    while nodes:
        node = nodes.pop()
        assert set(node.saved) == named_by_vjps(node)
        nodes |= {edge for edge in node.parents if isinstance(edge, mg.Node)}


# ------------------------------------------------------------------------------------------------------ arrays


def array_types(case: Case, device):
    """The types of the arrays that go in and come out: never a scalar, never another device's."""
    return module_of(device).ndarray, module_of(case.keywords.get("device", device)).ndarray


@over_cases
def test_arrays_in_arrays_out_and_tensors_hold_arrays(case: Case, device):
    given, expected = array_types(case, device)
    case = case.on(device)
    for output in case.outputs(case.floats):
        assert type(output) is expected
    for output in case.outputs([mg.Tensor(x) for x in case.floats]):
        assert type(output) is mg.Tensor
        assert type(output.data) is expected
    if case.differentiable:
        for create_graph in (False, True):
            assert all(type(g.data) is given for g in gradients(case, case.floats, create_graph))


# astype changes the dtype because it is asked to; and as in NumPy, float32 to the power of an array of integers is float64.
WIDENING = {"astype", "power-integer exponents in an array"}
KEEPING_FLOAT32 = [case for case in CASES if case.differentiable and str(case) not in WIDENING]


@pytest.mark.parametrize("case", KEEPING_FLOAT32, ids=str)
def test_float32_is_not_widened(case: Case, monkeypatch, device):
    case = case.on(device)
    fitted = engine._fitted

    def watched(cotangent, node, position, parent):
        assert cotangent.dtype == np.float32, f"the vjp of {node.primitive.name} widened its cotangent"
        return fitted(cotangent, node, position, parent)

    monkeypatch.setattr(engine, "_fitted", watched)
    x = leaves([x.astype("float32") for x in case.floats])
    y = case.outputs(x)
    assert all(output.dtype == np.float32 for output in y)
    first = [g for g in mg.grad(y, x, cotangents_of(y), create_graph=True, allow_unused=True) if g is not None]
    assert all(g.dtype == np.float32 for g in first)
    connected = [g for g in first if g.requires_grad]
    if connected:
        second = mg.grad(connected, x, cotangents_of(connected), allow_unused=True)
        assert all(g is None or g.dtype == np.float32 for g in second)


def transposed(x):
    """The same values, the last axis farthest apart in memory."""
    return x.T.copy().T


def reversed_in_memory(x):
    return x[::-1].copy()[::-1] if x.ndim else x


def spread_in_memory(x):
    """Every other element of a larger array."""
    if x.ndim == 0:
        return x
    larger = array_module(x).full(tuple(2 * n for n in x.shape), np.nan, x.dtype)
    view = larger[(slice(None, None, 2),) * x.ndim]
    view[...] = x
    return view


def broadcast(x):
    """One slice, repeated without being copied."""
    return array_module(x).broadcast_to(x[:1], x.shape) if x.ndim else x


@over_differentiable_cases
def test_memory_layout_makes_no_difference(case: Case, device):
    case = case.on(device)
    for dtype in ("float32", "float64"):
        bound = 16 * np.finfo(dtype).eps  # sums may run in another order
        for layout in (transposed, reversed_in_memory, spread_in_memory, broadcast):
            strided = [layout(x.astype(dtype)) for x in case.floats]
            contiguous = [x.copy() for x in strided]
            what = f"{case}, {layout.__name__} {dtype}"
            for a, b in zip(case.outputs(strided), case.outputs(contiguous), strict=True):
                assert_close(on_host(a), on_host(b), bound, f"{what}, output")
            for a, b in zip(gradients(case, strided), gradients(case, contiguous), strict=True):
                assert_close(on_host(a), on_host(b), bound, f"{what}, gradient")


@over_cases
def test_inputs_are_never_written_to(case: Case):
    for argument in case.arguments:
        if isinstance(argument, np.ndarray):
            argument.flags.writeable = False
    try:
        x = leaves(case.floats)
        y = case.outputs(x)
        if case.differentiable:
            cotangents = cotangents_of(y)
            for cotangent in cotangents:
                cotangent.flags.writeable = False
            mg.grad(y, x, cotangents, retain_graph=True, allow_unused=True)
            mg.grad(y, x, cotangents, create_graph=True, allow_unused=True)
    finally:
        for argument in case.arguments:
            if isinstance(argument, np.ndarray):
                argument.flags.writeable = True


@over_cases
def test_an_output_that_shares_an_inputs_memory_counts_its_writes_or_refuses_them(case: Case):
    """Every view of a leaf shows how often its memory was written; what an operation computed refuses to be written."""
    x = [mg.Tensor(array) for array in case.floats]
    for output in case.outputs(x):
        for argument in x:
            if np.shares_memory(output.data, argument.data):
                assert output.storage is argument.storage
    x = [leaf * 1.0 for leaf in leaves(case.floats)]
    for output in [*case.outputs(x), *unrecorded(case, x)]:
        if any(np.shares_memory(output.data, argument.data) for argument in x):
            with pytest.raises(RuntimeError, match=r"computed"):
                output.detach().assign(output.data)
            with pytest.raises(RuntimeError, match=r"mark_written\(\): an operation computed these values"):
                output.mark_written()


# ------------------------------------------------------------------------------------------------------ float32 kernels


@over_differentiable_cases
def test_float32_is_near_float64(case: Case, device):
    """Within 32 roundings of the largest magnitude, forward and backward."""
    bound = 32 * 2.0**-24
    single = [x.astype("float32") for x in case.floats]
    exact = [x.astype("float64") for x in single]
    x, x64 = leaves([to_device(x, device) for x in single]), leaves(exact)
    y, y64 = case.on(device).outputs(x), case.outputs(x64)
    for a, b in zip(y, y64, strict=True):
        assert_close(on_host(a), b.data, bound, f"{case}, output")
    cotangents = cotangents_of(y64)
    there = [to_device(c.astype("float32"), output.device) for c, output in zip(cotangents, y, strict=True)]
    obtained = mg.grad(y, x, there, allow_unused=True)
    expected = mg.grad(y64, x64, [c.astype("float32") for c in cotangents], allow_unused=True)
    for a, b in zip(obtained, expected, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert_close(on_host(a), b.data, bound, f"{case}, gradient")
