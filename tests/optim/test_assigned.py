"""Values and gradients that a user assigns are what the optimizer sees: against an oracle without an arena, in random programs."""

import copy

import numpy as np
import pytest
from devices import on_host
from hypothesis import given, settings
from hypothesis import strategies as st

import minigen as mg
from minigen import nn
from minigen.backend import to_device
from minigen.nn import Parameter
from minigen.optim import EMA, SGD, Adam, AdamW, RMSProp
from minigen.random import Generator

F = np.float32
OPTIMIZERS = (SGD, RMSProp, Adam, AdamW)


def pair(device="cpu"):
    w = Parameter(to_device(np.ones(2, F), device))
    return w, SGD({"w": w}, learning_rate=0.1)


# ------------------------------------------------------------------------------------------------- examples, one by one


def test_a_gradient_may_be_replaced_between_backward_and_step(device):
    w, optimizer = pair(device)
    mg.sum(w * w).backward()
    w.grad = mg.tensor(np.clip(on_host(w.grad), -0.5, 0.5)).to(device)
    optimizer.step()
    np.testing.assert_allclose(on_host(w), [0.95, 0.95])


def test_a_gradient_may_be_assigned_without_a_backward(device):
    w, optimizer = pair(device)
    w.grad = mg.tensor([1.0, 2.0]).to(device)
    optimizer.step()
    np.testing.assert_allclose(on_host(w), [0.9, 0.8])


def test_zeros_may_be_assigned_in_place_of_zero_grad():
    w, optimizer = pair()
    for _ in range(2):
        w.grad = mg.zeros(2)
        mg.sum(w * w).backward()
        optimizer.step()
    np.testing.assert_allclose(w.data, [0.64, 0.64], rtol=1e-6)


def test_values_may_be_assigned(device):
    w, optimizer = pair(device)
    w.data = to_device(np.full(2, 3, F), device)
    mg.sum(w * w).backward()
    optimizer.step()
    np.testing.assert_allclose(on_host(w), [2.4, 2.4], rtol=1e-6)


def test_arithmetic_that_makes_a_scalar_of_a_0d_array():
    w = Parameter(np.array(2.0, F))
    optimizer = SGD({"w": w}, learning_rate=0.5)
    w.data = w.data * F(2)  # NumPy returns a scalar
    (w * w).backward()
    optimizer.step()
    assert w.data == 0.0
    assert isinstance(w.data, np.ndarray)


def test_a_graph_from_before_values_were_assigned_is_refused_once_they_are_in_place():
    w, optimizer = pair()
    loss = mg.sum(w * w)
    w.data = np.full(2, 3, F)
    optimizer.step()
    with pytest.raises(RuntimeError, match="saved w at version 0"):
        loss.backward()


# ------------------------------------------------------------------------------------------------------ random programs

shapes = {"a": (), "b": (3,), "c": (2, 5)}
RATE, DECAY = 0.25, 0.5


class Oracle:
    """SGD, clipping and an average in plain dicts of arrays; nothing is shared with anything."""

    def __init__(self, values):
        self.values = {name: value.copy() for name, value in values.items()}
        self.gradients = dict.fromkeys(values)
        self.average = {name: value.copy() for name, value in values.items()}
        self.updates = 0

    def backward(self, name, factor):
        gradient = factor * self.values[name]
        former = self.gradients[name]
        self.gradients[name] = gradient if former is None else former + gradient

    def step(self):
        for name, gradient in self.gradients.items():
            if gradient is not None:
                self.values[name] = self.values[name] - RATE * gradient

    def norm(self):
        return np.sqrt(sum((g**2).sum() for g in self.gradients.values() if g is not None))

    def clip(self, maximum):
        factor = min(1.0, maximum / (self.norm() + 1e-6))
        self.gradients = {name: None if g is None else g * factor for name, g in self.gradients.items()}

    def update(self):
        d = min(DECAY, (1 + self.updates) / (10 + self.updates))
        self.average = {name: d * a + (1 - d) * self.values[name] for name, a in self.average.items()}
        self.updates += 1


numbers = st.integers(-4, 4).map(lambda k: k / 4)
named = st.sampled_from(list(shapes))
action = st.one_of(
    st.tuples(st.sampled_from(["data", "assign", "scaled data", "transposed twice"]), named, numbers),
    st.tuples(
        st.sampled_from(["grad", "grad of grad", "grad.data", "scaled grad", "held", "backward"]), named, numbers
    ),
    st.tuples(st.sampled_from(["no grad"]), named),
    st.tuples(st.sampled_from(["zero_grad", "step", "norm", "clip", "clip_values", "update", "applied", "copied"])),
)


@settings(max_examples=200)
@given(program=st.lists(action, min_size=1, max_size=25))
def test_any_program_computes_what_it_would_without_an_arena(program):
    rng = np.random.default_rng(0)
    values = {name: np.asarray(rng.normal(size=shape)) for name, shape in shapes.items()}
    oracle = Oracle(values)
    parameters = {name: Parameter(value.copy()) for name, value in values.items()}
    optimizer = SGD(parameters, learning_rate=RATE)
    average = EMA(optimizer, decay=DECAY)
    held = []  # gradients that the program keeps, and what they were
    for what, *arguments in program:
        name = arguments[0] if arguments else ""
        w = parameters.get(name)
        number = arguments[1] if len(arguments) > 1 else 0.0
        full = np.full(shapes.get(name, ()), number)
        if what == "data":
            w.data = full.copy()
            oracle.values[name] = full
        elif what == "scaled data":
            w.data = w.data * number
            oracle.values[name] = oracle.values[name] * number
        elif what == "transposed twice":
            w.data = w.data[...].T.T
        elif what == "assign":
            w.assign(full)
            oracle.values[name] = full
        elif what == "grad":
            w.grad = mg.tensor(full.copy())
            oracle.gradients[name] = full
        elif what == "grad of grad":
            gradient = mg.grad(mg.sum(w * w), w)  # which nobody may write into
            w.grad = gradient
            oracle.gradients[name] = 2 * oracle.values[name]
        elif what == "grad.data" and w.grad is not None:
            w.grad.data = full.copy()
            oracle.gradients[name] = full
        elif what == "scaled grad" and w.grad is not None:
            w.grad = w.grad * number
            oracle.gradients[name] = oracle.gradients[name] * number
        elif what == "held" and w.grad is not None:
            held.append((w.grad, oracle.gradients[name].copy()))
            w.grad = None
            oracle.gradients[name] = None
        elif what == "backward":
            mg.sum(0.5 * number * w * w).backward()
            oracle.backward(name, number)
        elif what == "no grad":
            w.grad = None
            oracle.gradients[name] = None
        elif what == "zero_grad":
            optimizer.zero_grad()
            oracle.gradients = dict.fromkeys(shapes)
        elif what == "step":
            optimizer.step()
            oracle.step()
        elif what == "norm":
            np.testing.assert_allclose(optimizer.gradient_norm(), oracle.norm(), rtol=1e-12, atol=1e-12)
        elif what == "clip":
            np.testing.assert_allclose(optimizer.clip_gradients(0.5), oracle.norm(), rtol=1e-12, atol=1e-12)
            oracle.clip(0.5)
        elif what == "clip_values":
            optimizer.clip_values(0.75)
            oracle.values = {n: np.clip(v, -0.75, 0.75) for n, v in oracle.values.items()}
        elif what == "update":
            average.update()
            oracle.update()
        elif what == "applied":
            with average.applied():
                for n, p in parameters.items():
                    np.testing.assert_allclose(p.data, oracle.average[n], rtol=1e-10, atol=1e-10)
        elif what == "copied":
            parameters, optimizer, average = copy.deepcopy((parameters, optimizer, average))
            oracle.gradients = dict.fromkeys(shapes)
        for n, p in parameters.items():
            np.testing.assert_allclose(p.data, oracle.values[n], rtol=1e-10, atol=1e-10, err_msg=what)
            assert (p.grad is None) == (oracle.gradients[n] is None)
            if p.grad is not None:
                np.testing.assert_allclose(p.grad.data, oracle.gradients[n], rtol=1e-10, atol=1e-10, err_msg=what)
    for gradient, expected in held:
        np.testing.assert_allclose(gradient.data, expected, rtol=1e-10, atol=1e-10)
    for n, p in parameters.items():
        np.testing.assert_array_equal(optimizer.arena.views(optimizer.arena.values)[n], p.data)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_takes_what_was_assigned_for_what_it_had_computed(optimizer):
    def trained(assigns):
        w = Parameter(np.array([1.0, -2.0, 3.0], F))
        ours = optimizer({"w": w}, learning_rate=0.1, weight_decay=0.1)
        for _ in range(5):
            ours.zero_grad()
            mg.sum(w**3).backward()
            if assigns:
                w.grad, w.data = mg.tensor(w.grad.data.copy()), w.data.copy()
            ours.clip_gradients(2.0)
            ours.step()
        return w.data.tobytes()

    assert trained(assigns=True) == trained(assigns=False)


# --------------------------------------------------------------------------------------------------- memory and aliases


def test_a_gradient_that_is_assigned_to_two_parameters_stays_two():
    a, b = Parameter(np.ones(2, F)), Parameter(np.ones(2, F))
    optimizer = SGD({"a": a, "b": b}, learning_rate=0.1)
    shared = mg.grad(mg.sum(a + b), [a, b])  # one array, maybe
    for owned in (True, False):
        a.grad, b.grad = shared
        mg.sum(2.0 * a).backward()
        np.testing.assert_array_equal(a.grad.data, [3, 3])
        np.testing.assert_array_equal(b.grad.data, [1, 1])
        np.testing.assert_array_equal(shared[0].data, [1, 1])
        if owned:
            optimizer.step()
            np.testing.assert_allclose(a.data, [0.7, 0.7])
            np.testing.assert_allclose(b.data, [0.9, 0.9])
            del optimizer


def test_one_tensor_as_the_gradient_of_two_parameters():
    a, b = Parameter(np.ones(2, F)), Parameter(np.ones(2, F))
    optimizer = SGD({"a": a, "b": b}, learning_rate=1.0)
    a.grad = b.grad = gradient = mg.tensor([1.0, 2.0])
    optimizer.step()
    gradient.assign(np.array([10.0, 10.0], F))  # it is still the gradient of both
    optimizer.step()
    np.testing.assert_array_equal(a.data, [-10, -11])
    np.testing.assert_array_equal(b.data, [-10, -11])


def test_a_tensor_that_requires_grad_is_no_gradient_itself():
    w, optimizer = pair()
    v = Parameter(np.array([1.0, 2.0], F))
    w.grad = v
    optimizer.step()
    mg.sum(w).backward()
    np.testing.assert_array_equal(v.data, [1, 2])
    w.grad = v * 2.0
    assert not w.grad.requires_grad
    np.testing.assert_array_equal(w.grad.data, [2, 4])


def test_gradients_that_are_held_keep_their_values():
    w, optimizer = pair()
    kept = []
    for factor in (1.0, 2.0, 3.0):
        optimizer.zero_grad()
        mg.sum(factor * w).backward()
        kept.append(w.grad)
    assert [gradient.data[0] for gradient in kept] == [1, 2, 3]
    assert np.shares_memory(w.grad.data, optimizer.arena.gradients)


def test_two_parameters_cannot_be_tied_by_their_memory():
    a, b = Parameter(np.ones((2, 2), F)), Parameter(np.ones((2, 2), F))
    optimizer = SGD({"a": a, "b": b}, learning_rate=0.1)
    b.data = a.data.T
    with pytest.raises(
        ValueError, match=r"b\.data was set to the memory of a; to start from the same values, write b\.assign"
    ):
        optimizer.step()
    b.data = a.data.T.copy()
    optimizer.step()


# ------------------------------------------------------------------------------------------------------------- sentences

NO_GRADIENTS = {
    "a float": (0.0, TypeError, r"w\.grad: cannot be a value of type float; a gradient is a Tensor of .* shape \(2,\)"),
    "an array": (np.zeros(2, F), TypeError, "type ndarray; .* such as mg.tensor"),
    "another shape": (mg.zeros(3), ValueError, r"has shape \(3,\), but the parameter has \(2,\)"),
    "another dtype": (mg.tensor(np.zeros(2)), ValueError, r"is float64, but the parameter is float32; .*astype\('float32'\)"),
}  # fmt: skip


@pytest.mark.parametrize("case", NO_GRADIENTS)
@pytest.mark.parametrize("owned", [True, False])
def test_what_is_no_gradient_is_refused_where_it_is_assigned(case, owned):
    gradient, error, message = NO_GRADIENTS[case]
    w = Parameter(np.ones(2, F), name="w")
    optimizer = SGD({"w": w}, learning_rate=0.1) if owned else None
    mg.sum(w * w).backward()
    with pytest.raises(error, match=message):
        w.grad = gradient
    np.testing.assert_array_equal(w.grad.data, [2, 2])  # as it was
    if optimizer:
        optimizer.step()


@pytest.mark.parametrize("misfit", [np.zeros(3, F), np.zeros(2), 0.0, [0.0, 0.0], mg.zeros(2), None])
@pytest.mark.parametrize("place", ["values", "gradient"])
@pytest.mark.parametrize(
    "use", ["step", "gradient_norm", "clip_gradients", "clip_values", "update", "applied", "new EMA"]
)
def test_an_array_that_does_not_fit_is_refused_at_the_next_use(misfit, place, use):
    w, optimizer = pair()
    average = EMA(optimizer)
    mg.sum(w).backward()
    if place == "values":
        w.data = misfit
    else:
        w.grad.data = misfit
    uses = {
        "clip_gradients": lambda: optimizer.clip_gradients(1.0),
        "clip_values": lambda: optimizer.clip_values(1.0),
        "update": average.update,
        "applied": lambda: average.applied().__enter__(),
        "new EMA": lambda: EMA(optimizer),
    }
    with pytest.raises(ValueError, match=r"optimizer: .* assigned to w\.(grad\.)?data (has shape|is)"):
        uses.get(use, lambda: getattr(optimizer, use)())()


def test_a_gradient_on_another_device_is_refused(device):
    if device == "cpu":
        pytest.skip("there is one device")
    w, _ = pair(device)
    with pytest.raises(ValueError, match=f"is on cpu, but the parameter is on {device}"):
        w.grad = mg.zeros(2)


# ------------------------------------------------------------------------------------------------- inside of applied()


def trained():
    net = nn.Linear(2, 2, rng=Generator(0))
    optimizer = Adam(net, learning_rate=0.1)
    average = EMA(optimizer)
    mg.sum(net(np.ones((3, 2), F)) ** 2).backward()
    optimizer.step()
    average.update()
    return net, optimizer, average


ARGUMENTS = {
    "optimizer.clip_gradients": lambda net, optimizer, average: (1.0,),
    "optimizer.clip_values": lambda net, optimizer, average: (0.01,),
    "optimizer.load_state": lambda net, optimizer, average: ({k: np.copy(v) for k, v in optimizer.state().items()},),
    "average.load_state": lambda net, optimizer, average: ({k: np.copy(v) for k, v in average.state().items()},),
    "net.load_state": lambda net, optimizer, average: ({k: v + 1 for k, v in net.state().items()},),
    "net.to": lambda net, optimizer, average: ("cpu",),
    "net.forward": lambda net, optimizer, average: (np.ones((1, 2), F),),
    "weight.assign": lambda net, optimizer, average: (np.zeros((2, 2), F),),
    "weight.write_grad_into": lambda net, optimizer, average: (None,),
}
REFUSED = {
    "optimizer.step", "optimizer.clip_values", "optimizer.state", "optimizer.load_state", "average.update", "average.state",
    "average.load_state", "net.load_state", "net.to", "weight.assign",
}  # fmt: skip
"""What is refused inside the block. All else must leave the model's own parameters, and the average, as they were."""


def methods():
    parts = dict(zip(("net", "optimizer", "average"), trained(), strict=True))
    for part, its in parts.items():
        for name in dir(type(its)):
            if not name.startswith("_") and callable(getattr(type(its), name)) and name != "MOMENTS":
                yield f"{part}.{name}"
    yield from ("weight.assign", "weight.mark_written", "weight.detach", "weight.write_grad_into", "weight.check_own")


@pytest.mark.parametrize("method", list(methods()))
def test_inside_the_block_every_method_is_right_or_refused(method):
    net, optimizer, average = trained()
    part, name = method.split(".")
    bound = getattr({"net": net, "optimizer": optimizer, "average": average, "weight": net.weight}[part], name)
    arguments = ARGUMENTS.get(method, lambda *_: ("here",) if name == "check_own" else ())(net, optimizer, average)
    own, mean = net.weight.data.copy(), average.average.copy()
    counts = list(optimizer.counts), optimizer.steps, average.steps
    with average.applied():
        inside = net.weight.data.copy()
        if method in REFUSED or name == "check_own":
            with pytest.raises(RuntimeError, match=r"average\.applied\(\)|an optimizer holds"):
                bound(*arguments)
        else:
            bound(*arguments)
        np.testing.assert_array_equal(net.weight.data, inside)
    assert (inside != own).any()
    np.testing.assert_array_equal(net.weight.data, own)
    np.testing.assert_array_equal(average.average, mean)
    assert counts == (optimizer.counts, optimizer.steps, average.steps)


def test_blocks_of_one_average_may_be_nested_and_overlap():
    net, _, average = trained()
    own, mean = net.weight.data.copy(), average.arena.views(average.average)["weight"].copy()
    first, second = average.applied(), average.applied()
    with first, first:
        np.testing.assert_array_equal(net.weight.data, mean)
        second.__enter__()
    np.testing.assert_array_equal(net.weight.data, mean)  # as threads that evaluate at the same time would
    second.__exit__(None, None, None)
    np.testing.assert_array_equal(net.weight.data, own)


def test_blocks_of_two_averages_are_refused():
    net, optimizer, average = trained()
    other = EMA(optimizer)
    own = net.weight.data.copy()
    with average.applied(), pytest.raises(RuntimeError, match="another average of the same optimizer"), other.applied():
        pass
    np.testing.assert_array_equal(net.weight.data, own)
    with other.applied():
        np.testing.assert_array_equal(net.weight.data, own)  # where it began
    with average.applied(), pytest.raises(RuntimeError, match=r"^EMA: inside"):
        EMA(optimizer)


def overwritten_by_item(net):
    net.weight.data[0] = 7


def overwritten_by_assignment(net):
    net.weight.data = np.zeros((2, 2), F)


def overwritten_by_a_misfit(net):
    net.weight.data = np.zeros(3)


@pytest.mark.parametrize("write", [overwritten_by_item, overwritten_by_assignment, overwritten_by_a_misfit])
def test_writing_past_the_methods_is_found_when_the_block_ends(write):
    net, optimizer, average = trained()
    own, mean = net.weight.data.copy(), average.average.copy()
    with pytest.raises(RuntimeError, match="parameters were overwritten inside the block"), average.applied():
        write(net)
    np.testing.assert_array_equal(net.weight.data, own)
    np.testing.assert_array_equal(average.average, mean)
    optimizer.step()

    @average.applied()
    def failing():
        write(net)
        raise KeyError

    with pytest.raises(KeyError):  # the first error is the one that is reported
        failing()


def test_as_a_decorator_the_average_holds_while_a_generator_runs():
    net, optimizer, average = trained()
    own = net.weight.data.copy()

    @average.applied()
    def weights():
        for _ in range(2):
            yield net.weight.data.copy()

    for found in weights():
        assert (found != own).any()
        np.testing.assert_array_equal(net.weight.data, own)
        optimizer.step()  # no block is open here
        own = net.weight.data.copy()
