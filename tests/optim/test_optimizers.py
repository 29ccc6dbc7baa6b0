"""The optimizers against their textbook formulas, written out again here in plain NumPy; state, clipping, versions."""

import json
import math

import numpy as np
import pytest
from devices import on_host
from hypothesis import given
from hypothesis import strategies as st

import minigen as mg
from minigen import nn
from minigen.backend import device_of, to_device
from minigen.nn import Parameter
from minigen.optim import SGD, Adam, AdamW, RMSProp, cosine
from minigen.random import Generator

RATE = 0.03


# ---------------------------------------------------------------------------------------------- the textbook's formulas


def textbook_sgd(w, g, memory, t, *, momentum=0.0, nesterov=False, weight_decay=0.0):
    g = g + weight_decay * w
    u = memory["u"] = momentum * memory.get("u", 0) + g
    return w - RATE * (g + momentum * u if nesterov else u)


def textbook_rmsprop(w, g, memory, t, *, decay=0.99, epsilon=1e-8, weight_decay=0.0):
    g = g + weight_decay * w
    v = memory["v"] = decay * memory.get("v", 0) + (1 - decay) * g**2
    return w - RATE * g / (v**0.5 + epsilon)


def textbook_adam(w, g, memory, t, *, beta1=0.9, beta2=0.999, epsilon=1e-8, weight_decay=0.0):
    g = g + weight_decay * w
    m = memory["m"] = beta1 * memory.get("m", 0) + (1 - beta1) * g
    v = memory["v"] = beta2 * memory.get("v", 0) + (1 - beta2) * g**2
    m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
    return w - RATE * m_hat / (v_hat**0.5 + epsilon)


def textbook_adamw(w, g, memory, t, *, weight_decay=0.01, **settings):
    return textbook_adam(w, g, memory, t, **settings) - RATE * weight_decay * w


CASES = [
    (SGD, textbook_sgd, {}),
    (SGD, textbook_sgd, {"weight_decay": 0.1}),
    (SGD, textbook_sgd, {"momentum": 0.9, "weight_decay": 0.1}),
    (SGD, textbook_sgd, {"momentum": 0.8, "nesterov": True, "weight_decay": 0.1}),
    (RMSProp, textbook_rmsprop, {}),
    (RMSProp, textbook_rmsprop, {"decay": 0.9, "epsilon": 1e-3, "weight_decay": 0.1}),
    (Adam, textbook_adam, {}),
    (Adam, textbook_adam, {"beta1": 0.5, "beta2": 0.9, "epsilon": 1e-3, "weight_decay": 0.1}),
    (AdamW, textbook_adamw, {}),
    (AdamW, textbook_adamw, {"beta1": 0.5, "beta2": 0.9, "epsilon": 1e-3, "weight_decay": 0.3}),
]
cases = pytest.mark.parametrize(
    ("optimizer", "textbook", "settings"), CASES, ids=[f"{o.__name__}-{'-'.join(s)}" for o, _, s in CASES]
)

SHAPES = {"a": (3,), "b": (2, 20), "c": (), "d": (5, 1)}


def initial_values(seed=0):
    rng = np.random.default_rng(seed)
    return {name: np.asarray(rng.normal(size=shape)) for name, shape in SHAPES.items()}


def parameters_on(device, values):
    return {name: Parameter(to_device(w.copy(), device)) for name, w in values.items()}


def learns(name, step):
    """Whether the loss of this step depends on the parameter: "a" always, others with gaps, "d" late."""
    return {"a": True, "b": step % 3 != 1, "c": step % 7 < 4, "d": step >= 40}[name]


def loss_of(parameters, step):
    """sum of 2 w^2 + cos(w + step), over those that learn: convex, so that roundings are not amplified."""
    return sum(mg.sum(2.0 * w * w + mg.cos(w + step)) for name, w in parameters.items() if learns(name, step))


def gradient_by_hand(w, step):
    return 4.0 * w - np.sin(w + step)


# -------------------------------------------------------------------------------------------------------- trajectories


@cases
def test_an_optimizer_follows_the_textbook(optimizer, textbook, settings, device):
    expected, memories, counts = initial_values(), {name: {} for name in SHAPES}, dict.fromkeys(SHAPES, 0)
    parameters = parameters_on(device, expected)
    ours = optimizer(parameters, learning_rate=RATE, **settings)
    for step in range(100):
        ours.zero_grad()
        loss_of(parameters, step).backward()
        ours.step()
        for name, w in expected.items():
            if learns(name, step):
                counts[name] += 1
                expected[name] = textbook(w, gradient_by_hand(w, step), memories[name], counts[name], **settings)
        for name, w in expected.items():
            obtained = on_host(parameters[name])
            np.testing.assert_allclose(obtained, w, rtol=1e-10, atol=1e-12, err_msg=f"{name} at {step}")
    assert ours.steps == 100
    assert ours.state()["counts"] == list(counts.values())


@cases
def test_a_parameter_without_a_gradient_is_left_alone(optimizer, textbook, settings, device):
    parameters = parameters_on(device, initial_values())
    ours = optimizer(parameters, learning_rate=RATE, **settings)
    for step in range(20):
        before = {name: (p.data.copy(), p.version) for name, p in parameters.items()}
        moments = {name: array.copy() for name, array in ours.state().items() if "." in name}
        ours.zero_grad()
        loss_of(parameters, step).backward()
        ours.step()
        for name, p in parameters.items():
            if learns(name, step):
                assert p.version == before[name][1] + 1
                assert (p.data != before[name][0]).all()
            else:
                assert p.version == before[name][1]
                np.testing.assert_array_equal(on_host(p), on_host(before[name][0]))
                for moment in ours.moments:
                    place = f"{name}.{moment}"
                    np.testing.assert_array_equal(on_host(ours.state()[place]), on_host(moments[place]))


@cases
@pytest.mark.parametrize("size", [50, 70_000])  # the larger is shared out among threads
def test_the_compiled_float32_steps_are_close_to_float64(optimizer, textbook, settings, size, device):
    rng = np.random.default_rng(1)
    start = rng.normal(size=size).astype(np.float32)
    single, double = Parameter(to_device(start, device)), Parameter(start.astype(np.float64))
    pair = [optimizer({"w": w}, learning_rate=RATE, **settings) for w in (single, double)]
    steps = 30
    for _ in range(steps):
        gradient = rng.normal(size=size).astype(np.float32)
        for w, ours in zip((single, double), pair, strict=True):
            ours.zero_grad()
            mg.sum(w * to_device(gradient.astype(w.dtype), w.device)).backward()  # the gradient is exact
            ours.step()
    # A step rounds the value (relative 2^-24) and an update, at most RATE / sqrt(1 - decay) = 10 RATE long for these gradients of size
    # 5 at most, which ten operations have rounded.
    bound = steps * 2.0**-24 * (np.abs(double.data).max() + 1 + 10 * 10 * RATE)
    assert single.dtype == np.float32
    np.testing.assert_allclose(on_host(single), double.data, rtol=0, atol=bound)


def test_the_first_steps_of_adam_and_rmsprop_do_not_depend_on_the_gradients_size():
    for optimizer, length in ((Adam, RATE), (RMSProp, RATE / math.sqrt(1 - 0.99))):
        w = Parameter(np.zeros(3))
        ours = optimizer({"w": w}, learning_rate=RATE, epsilon=1e-300)
        mg.sum(w * np.array([1e-9, -1.0, 1e9])).backward()
        ours.step()
        np.testing.assert_allclose(w.data, [-length, length, -length], rtol=1e-12)


# ------------------------------------------------------------------------------------------------------- learning rate


def test_a_schedule_gives_each_steps_rate():
    rates = [0.5, 0.25, 2.0]
    w = Parameter(np.zeros(1))
    optimizer = SGD({"w": w}, learning_rate=lambda step: rates[step])
    for step in range(3):
        assert optimizer.learning_rate == rates[step]
        optimizer.zero_grad()
        mg.sum(w).backward()
        optimizer.step()
        assert w.data == -sum(rates[: step + 1])


def test_a_step_without_gradients_counts_for_the_schedule():
    optimizer = SGD({"w": Parameter(np.zeros(1))}, learning_rate=lambda step: float(step))
    optimizer.step()
    assert (optimizer.steps, optimizer.learning_rate) == (1, 1.0)


# ------------------------------------------------------------------------------------------------------------ versions


def test_a_graph_from_before_a_step_names_the_parameter():
    net = nn.Sequential(nn.Linear(2, 3, rng=Generator(0)), nn.Linear(3, 1, rng=Generator(1)))
    optimizer = Adam(net)
    loss = mg.sum(net(np.ones((4, 2), np.float32)))
    loss.backward(retain_graph=True)
    optimizer.step()
    assert [p.version for p in net.parameters()] == [1, 1, 1, 1]
    with pytest.raises(
        RuntimeError, match=r"saved layers\.1\.weight at version 0.*now version 1.*compute the loss again"
    ):
        loss.backward()


def test_a_step_leaves_graphs_of_other_parameters_usable():
    a, b = Parameter(np.ones(2)), Parameter(np.ones(2))
    optimizer = SGD({"a": a, "b": b}, learning_rate=0.1)
    loss = mg.sum(a * a)
    mg.sum(b * b).backward()
    optimizer.step()  # b alone has a gradient
    loss.backward()
    np.testing.assert_array_equal(a.grad.data, 2.0)


def test_zero_grad_forgets_all_gradients():
    parameters = {name: Parameter(w) for name, w in initial_values().items()}
    optimizer = SGD(parameters, learning_rate=0.1)
    loss_of(parameters, 0).backward()
    assert parameters["a"].grad is not None
    optimizer.zero_grad()
    assert all(p.grad is None for p in parameters.values())
    before = {name: p.data.copy() for name, p in parameters.items()}
    optimizer.step()
    for name, p in parameters.items():
        np.testing.assert_array_equal(p.data, before[name])


# --------------------------------------------------------------------------------------------------------------- state


def take_steps(parameters, optimizer, steps):
    for step in steps:
        optimizer.zero_grad()
        loss_of(parameters, step).backward()
        optimizer.step()


@cases
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_restored_state_continues_bitwise(optimizer, textbook, settings, dtype, device):
    def make(seed):
        parameters = parameters_on(device, {name: w.astype(dtype) for name, w in initial_values(seed).items()})
        return parameters, optimizer(parameters, learning_rate=cosine(RATE, steps=80), **settings)

    parameters, ours = make(seed=0)
    take_steps(parameters, ours, range(45))
    values = {name: p.data.copy() for name, p in parameters.items()}
    state = {name: value.copy() if hasattr(value, "shape") else value for name, value in ours.state().items()}
    state = {**state, **json.loads(json.dumps({name: v for name, v in state.items() if not hasattr(v, "shape")}))}
    take_steps(parameters, ours, range(45, 60))

    others, restored = make(seed=1)
    take_steps(others, restored, range(3))
    for name, p in others.items():
        p.assign(values[name])
    restored.load_state(state)
    take_steps(others, restored, range(45, 60))
    for name, p in others.items():
        assert on_host(p).tobytes() == on_host(parameters[name]).tobytes()
    assert restored.steps == 60
    assert restored.counts == ours.counts
    for name, moment in restored.moments.items():
        assert on_host(moment).tobytes() == on_host(ours.moments[name]).tobytes()


def test_the_state_names_moments_under_their_parameters():
    optimizer = Adam(nn.Sequential(nn.Linear(2, 3, rng=Generator(0))))
    state = optimizer.state()
    assert list(state) == [
        "layers.0.weight.first_moment", "layers.0.bias.first_moment",
        "layers.0.weight.second_moment", "layers.0.bias.second_moment", "steps", "counts",
    ]  # fmt: skip
    assert state["layers.0.weight.second_moment"].shape == (2, 3)


def test_load_state_lists_all_differences_and_changes_nothing():
    parameters = {name: Parameter(w) for name, w in initial_values().items()}
    optimizer = Adam(parameters, learning_rate=RATE)
    take_steps(parameters, optimizer, range(3))
    before = {name: moment.copy() for name, moment in optimizer.moments.items()}
    state = {name: value + 1 if hasattr(value, "shape") else value for name, value in optimizer.state().items()}
    del state["a.first_moment"], state["steps"]
    state["e.first_moment"] = np.zeros(2)
    state["b.second_moment"] = np.zeros((20, 2))
    with pytest.raises(ValueError, match=r"^Adam: the state does not fit \(4 differences\)") as raised:
        optimizer.load_state(state)
    for difference in (
        "missing a.first_moment",
        "missing steps",
        "unexpected e.first_moment",
        "b.second_moment is (20, 2) float64, expected (2, 20) float64",
    ):
        assert difference in str(raised.value)
    assert optimizer.steps == 3
    for name, moment in optimizer.moments.items():
        np.testing.assert_array_equal(moment, before[name])


# ------------------------------------------------------------------------------------------------------------ clipping


def with_gradients(gradients, dtype=np.float64, device="cpu"):
    """Return an optimizer whose parameters have these gradients, None for none; each parameter had one before."""
    parameters = parameters_on(
        device, {f"p{i}": np.zeros(np.shape(1.0 if g is None else g), dtype) for i, g in enumerate(gradients)}
    )
    optimizer = SGD(parameters, learning_rate=1.0)
    sum(mg.sum(1e3 * p) for p in parameters.values()).backward()
    optimizer.zero_grad()
    for p, g in zip(parameters.values(), gradients, strict=True):
        if g is not None:
            mg.sum(p * to_device(np.asarray(g, dtype), device)).backward()
    return optimizer


numbers = st.floats(-1e3, 1e3, allow_subnormal=False)
vectors = st.one_of(st.none(), st.lists(numbers, min_size=1, max_size=5).map(np.array))


@given(gradients=st.lists(vectors, min_size=1, max_size=5), maximum=st.floats(0.01, 100))
def test_clipping_bounds_the_norm_and_keeps_the_direction(gradients, maximum, device):
    optimizer = with_gradients(gradients, device=device)
    before = np.concatenate([np.zeros(0), *(g for g in gradients if g is not None)])
    norm = math.hypot(*before)  # no square underflows in it, as in NumPy's norm
    np.testing.assert_allclose(on_host(optimizer.gradient_norm()), norm, rtol=1e-12)
    np.testing.assert_allclose(on_host(optimizer.clip_gradients(maximum)), norm, rtol=1e-12)
    parameters = optimizer.arena.parameters.values()
    after = np.concatenate([np.zeros(0), *(on_host(p.grad) for p in parameters if p.grad is not None)])
    if norm + 1e-6 <= maximum:
        np.testing.assert_array_equal(after, before)
    else:
        np.testing.assert_allclose(after, before * (maximum / (norm + 1e-6)), rtol=1e-12)
        np.testing.assert_allclose(np.linalg.norm(after), min(norm, maximum), rtol=1e-3, atol=1e-6)
        assert np.linalg.norm(after) <= maximum * (1 + 1e-12)
    assert [p.grad is None for p in parameters] == [g is None for g in gradients]
    assert optimizer.gradient_norm() <= maximum * (1 + 1e-12)


@pytest.mark.parametrize(("dtype", "scales"), [("float32", (1e-38, 1e25, 1e37)), ("float64", (1e-300, 1e160, 1e307))])
def test_clipping_holds_where_squares_overflow_or_vanish(dtype, scales, device):
    for scale in scales:
        optimizer = with_gradients([np.array([3.0 * scale]), None, np.array([0.0, 4.0 * scale])], dtype, device)
        norm = on_host(optimizer.clip_gradients(1.0))
        np.testing.assert_allclose(norm, 5.0 * scale, rtol=1e-6)
        grads = [on_host(p.grad) for p in optimizer.arena.parameters.values() if p.grad is not None]
        np.testing.assert_allclose(np.concatenate(grads), np.array([0.6, 0.0, 0.8]) * min(5.0 * scale, 1.0), rtol=1e-5)


def test_the_norm_stays_an_array_of_the_parameters_dtype(device):
    for dtype in (np.float32, np.float64):
        for gradients in ([None], [np.array([3.0]), np.array([4.0])]):
            optimizer = with_gradients(gradients, dtype, device)
            norm = optimizer.clip_gradients(1.0)
            assert (norm.shape, device_of(norm)) == ((), device)
            assert norm.dtype == dtype
            assert norm.item() == (0.0 if gradients == [None] else 5.0)
            for gradient in optimizer.arena.written_gradients():
                assert gradient.dtype == dtype


def test_values_are_clipped_in_place(device):
    w = Parameter(to_device(np.array([-3.0, 0.5, 2.0], np.float32), device))
    optimizer = SGD({"w": w}, learning_rate=0.1)
    optimizer.clip_values(1.0)
    np.testing.assert_array_equal(on_host(w), [-1.0, 0.5, 1.0])
    assert (w.dtype, w.version) == (np.float32, 1)


# ------------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize("optimizer", [Adam, AdamW])
@pytest.mark.parametrize("name", ["beta1", "beta2"])
@pytest.mark.parametrize("value", [1.0, -0.1, math.nan])
def test_betas_outside_the_unit_interval_are_refused(optimizer, name, value):
    w = Parameter(np.zeros(1))
    with pytest.raises(ValueError, match=rf"{optimizer.__name__}: {name} = {value} must lie in \[0, 1\)"):
        optimizer({"w": w}, **{name: value})
    assert not w.is_owned


def test_nesterov_without_momentum_is_refused():
    with pytest.raises(ValueError, match="SGD: nesterov needs a momentum above 0"):
        SGD({"w": Parameter(np.zeros(1))}, learning_rate=0.1, nesterov=True)
