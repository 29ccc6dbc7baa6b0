"""The optimizers against PyTorch's, over 50 steps of a small model in float64; clipping."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigen as mg
from minigen import nn
from minigen.nn import Parameter
from minigen.optim import SGD, Adam, AdamW, RMSProp, linear_warmup
from minigen.random import Generator

torch = pytest.importorskip("torch")

RATE = 0.02
CASES = {
    "sgd": (SGD, {}, torch.optim.SGD, {}),
    "momentum": (SGD, {"momentum": 0.9}, torch.optim.SGD, {"momentum": 0.9}),
    "nesterov": (
        SGD, {"momentum": 0.8, "nesterov": True}, torch.optim.SGD, {"momentum": 0.8, "nesterov": True},
    ),
    "rmsprop": (RMSProp, {}, torch.optim.RMSprop, {}),
    "rmsprop, other settings": (
        RMSProp, {"decay": 0.9, "epsilon": 1e-4}, torch.optim.RMSprop, {"alpha": 0.9, "eps": 1e-4},
    ),
    "adam": (Adam, {}, torch.optim.Adam, {}),
    "adam, other settings": (
        Adam, {"beta1": 0.5, "beta2": 0.9, "epsilon": 1e-4}, torch.optim.Adam, {"betas": (0.5, 0.9), "eps": 1e-4},
    ),
    "adamw": (AdamW, {}, torch.optim.AdamW, {}),
}  # fmt: skip


def players():
    """Return a small model here and the same there: two heads on one body, of which some steps use only one."""
    rng = Generator(0)
    ours = {
        "body": nn.Sequential(nn.Linear(3, 6, rng=rng), nn.Tanh()),
        "left": nn.Linear(6, 2, rng=rng),
        "right": nn.Linear(6, 1, rng=rng, bias=False),
    }
    theirs = torch.nn.ModuleDict(
        {
            "body": torch.nn.Sequential(torch.nn.Linear(3, 6), torch.nn.Tanh()),
            "left": torch.nn.Linear(6, 2),
            "right": torch.nn.Linear(6, 1, bias=False),
        }
    ).double()
    model = nn.Module()
    model.parts = ours
    with torch.no_grad():
        for p, q in zip(model.parameters(), theirs.parameters(), strict=True):
            p.data = p.data.astype(np.float64)
            q.copy_(torch.from_numpy(p.data.T.copy()))
    return model, theirs


def loss_of(parts, x, step):
    """Mean square distance of the heads from 1; the right head is left out at times, the left one at first."""
    h = parts["body"](x)
    heads = [name for name, used in (("left", step >= 10), ("right", step % 3 != 1)) if used]
    return sum((((parts[name](h) - 1.0) ** 2).mean() for name in heads), start=0.1 * (h**2).mean())


@pytest.mark.parametrize(("weight_decay", "clipped"), [(None, False), (0.2, False), (None, True)])
@pytest.mark.parametrize("name", CASES)
def test_trajectories(name, weight_decay, clipped):
    optimizer, settings, their_optimizer, their_settings = CASES[name]
    model, theirs = players()
    decay = {} if weight_decay is None else {"weight_decay": weight_decay}  # None: the defaults must agree
    ours = optimizer(model, learning_rate=RATE, **settings, **decay)
    other = their_optimizer(theirs.parameters(), lr=RATE, **their_settings, **decay)
    rng = np.random.default_rng(0)
    unused = 0
    for step in range(50):
        x = rng.normal(size=(8, 3))
        ours.zero_grad()
        loss_of(model.parts, mg.tensor(x), step).backward()
        other.zero_grad()
        loss_of(theirs, torch.from_numpy(x), step).backward()
        unused += sum(p.grad is None for p in model.parameters())
        if clipped:
            norm = torch.nn.utils.clip_grad_norm_(theirs.parameters(), 0.1).item()
            assert ours.clip_gradients(0.1).item() == pytest.approx(norm, rel=1e-10)
        ours.step()
        other.step()
        for p, q in zip(model.parameters(), theirs.parameters(), strict=True):
            assert (p.grad is None) == (q.grad is None)
            expected = q.detach().numpy().T
            np.testing.assert_allclose(p.data, expected, rtol=1e-10, atol=1e-10 * np.abs(expected).max())
    assert unused > 0


def test_a_schedule_follows_pytorchs():
    model, theirs = players()
    ours = SGD(model, learning_rate=linear_warmup(RATE, steps=5))
    other = torch.optim.SGD(theirs.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.LambdaLR(other, lambda step: min(1.0, (step + 1) / 5))
    for _ in range(12):
        assert ours.learning_rate == pytest.approx(other.param_groups[0]["lr"], rel=1e-14)
        ours.step()
        other.step()
        schedule.step()


gradients = st.lists(
    st.one_of(st.none(), st.lists(st.floats(-100, 100), min_size=1, max_size=4)), min_size=1, max_size=4
)


@given(gradients=gradients, maximum=st.floats(0.01, 1000))
def test_clipping(gradients, maximum):
    ours = {f"p{i}": Parameter(np.zeros(len(g or [0]))) for i, g in enumerate(gradients)}
    theirs = [torch.nn.Parameter(torch.zeros(p.size, dtype=torch.float64)) for p in ours.values()]
    optimizer = SGD(ours, learning_rate=0.1)
    for p, q, g in zip(ours.values(), theirs, gradients, strict=True):
        if g is not None:
            mg.sum(p * np.array(g)).backward()
            q.grad = torch.tensor(g, dtype=torch.float64)
    norm = torch.nn.utils.clip_grad_norm_(theirs, maximum).item()
    assert optimizer.clip_gradients(maximum).item() == pytest.approx(norm, rel=1e-12)
    for p, q in zip(ours.values(), theirs, strict=True):
        if q.grad is None:
            assert p.grad is None
        else:
            np.testing.assert_allclose(p.grad.data, q.grad.numpy(), rtol=1e-12)
