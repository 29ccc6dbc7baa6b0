"""Training on a GPU, or on its double: no step makes the CPU wait but those that record, and the outcome is the CPU's.

A step that reads one number from the device stops the CPU until the GPU has caught up; at a small model's some 100 kernels a step that
is most of the time. So every loss, optimizer and average is run once and the reads are counted (`doubles.strict_cupy`).
"""

import copy
import itertools
import sys

import numpy as np
import pytest
from devices import on_host
from doubles import strict_cupy

import minigen as mg
from minigen import nn
from minigen.backend import device_of
from minigen.data import density_batches, target
from minigen.losses import ADVERSARIAL
from minigen.models import mlp_gan
from minigen.optim import EMA, SGD, Adam, AdamW, RMSProp
from minigen.random import Generator
from minigen.training import Run, fit_game, fit_likelihood, load_state, save_state

OPTIMIZERS = {
    "SGD": lambda model: SGD(model, learning_rate=1e-2),
    "SGD with momentum": lambda model: SGD(model, learning_rate=1e-2, momentum=0.9, nesterov=True, weight_decay=1e-3),
    "RMSProp": lambda model: RMSProp(model, learning_rate=1e-3),
    "Adam": lambda model: Adam(model, learning_rate=1e-2),
    "AdamW": lambda model: AdamW(model, learning_rate=1e-2),
}


@pytest.fixture
def double(monkeypatch):
    """The double, also where there is a GPU: only it counts."""
    monkeypatch.setitem(sys.modules, "cupy", strict_cupy.cupy)
    return "gpu"


class SilentRun(Run):
    """A run at which no step is due."""

    def is_due(self, step):
        return False


class Perceptron(nn.Module):
    """A likelihood model with every layer that has no state: the mean of a normal distribution is a network's output."""

    def __init__(self, rng):
        activations = [
            nn.ReLU(),
            nn.LeakyReLU(),
            nn.ELU(),
            nn.Tanh(),
            nn.Sigmoid(),
            nn.Softplus(),
            nn.SiLU(),
            nn.GELU(),
        ]
        activations += [nn.GELU(form="tanh"), nn.Softmax()]
        layers = [(nn.Linear(3, 3, rng=rng), activation) for activation in activations]
        self.network = nn.Sequential(*itertools.chain(*layers))

    def loss(self, batch, *, rng):
        x = mg.distributions.Normal(self.network(batch), scale=0.5).rsample(rng=rng)
        loss = -mg.mean(mg.distributions.Normal(x, scale=1.0).log_prob(batch).sum(axis=1))
        return loss, {"negative_log_likelihood": loss.detach()}


def adversarial_training(device, loss="nonsaturating", optimizer=OPTIMIZERS["Adam"], seed=0, critic_steps=1):
    gan = mlp_gan(features=1, latent=2, width=16, rng=Generator(seed), loss=loss, critic_steps=critic_steps).to(device)
    generator_optimizer = optimizer(gan.generator)
    samples = density_batches(target("mixture"), batch_size=32, rng=Generator(seed + 1))
    return {
        "model": gan,
        "batches": (mg.tensor(x, device=device) for x in samples),
        "discriminator_optimizer": optimizer(gan.discriminator),
        "generator_optimizer": generator_optimizer,
        "rng": Generator(seed + 2, device=device),
        "average": EMA(generator_optimizer),
    }


def play(training, run):
    optimizers = {player: training[f"{player}_optimizer"] for player in ("discriminator", "generator")}
    averages = {"generator": training["average"]}
    fit_game(training["model"], training["batches"], optimizers, run, rng=training["rng"], averages=averages)


def likelihood_training(device, optimizer, seed=0):
    model = Perceptron(Generator(seed)).to(device)
    made, data = optimizer(model), Generator(seed + 1, device=device)
    return {
        "model": model,
        "batches": (data.normal((16, 3)) for _ in itertools.count()),
        "optimizer": made,
        "rng": Generator(seed + 2, device=device),
        "average": EMA(made),
    }


# ------------------------------------------------------------------------------------------------------- nobody waits


@pytest.mark.parametrize("loss", ADVERSARIAL)
def test_adversarial_steps_read_nothing_from_the_device(loss, double):
    training = adversarial_training(double, loss, critic_steps=2)
    with strict_cupy.counting() as transfers:
        play(training, SilentRun(steps=3, progress=False))
    assert transfers.to_host == []
    # What goes to the device is the data: a batch for each of D's steps.
    assert len(transfers.to_device) == 6, transfers.to_device


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_likelihood_steps_read_nothing_from_the_device(name, double):
    training = likelihood_training(double, OPTIMIZERS[name])
    with strict_cupy.counting() as transfers:
        fit_likelihood(**training, run=SilentRun(steps=3, progress=False))
    assert transfers == strict_cupy.Transfers()


def test_recording_reads_one_number_for_each_figure(double):
    training = adversarial_training(double, "wasserstein-gp")
    run = Run(steps=7, every=3, progress=False)
    with strict_cupy.counting() as transfers:
        play(training, run)
    figures = [set(row) - {"step"} for row in run.history.rows]
    assert figures == 3 * [
        {"discriminator", "gradient_penalty", "generator", "discriminator_gradient", "generator_gradient"}
    ]
    assert len(transfers.to_host) == 3 * 5, transfers.to_host


def test_clipping_gradients_leaves_their_norm_on_the_device(double):
    for optimizer in OPTIMIZERS.values():
        training = likelihood_training(double, optimizer)
        training["model"].loss(next(training["batches"]), rng=training["rng"])[0].backward()
        with strict_cupy.counting() as transfers:
            norm = training["optimizer"].clip_gradients(0.1)
            training["optimizer"].step()
        assert transfers == strict_cupy.Transfers()
        assert (device_of(norm), norm.shape) == (double, ())


# ------------------------------------------------------------------------------------------------- the CPU's trajectory


def states(training):
    """All numbers that training has changed, by name, on the CPU."""
    parts = {name: part for name, part in training.items() if name not in ("batches", "rng")}
    return {
        f"{name}.{key}": on_host(value)
        for name, part in parts.items()
        for key, value in part.state().items()
        if hasattr(value, "shape")
    }


def assert_same_trajectory(here, there, bound):
    expected, obtained = states(here), states(there)
    assert expected.keys() == obtained.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(obtained[name], value, rtol=0, atol=bound * (1 + np.abs(value).max()), err_msg=name)


@pytest.mark.parametrize("loss", ADVERSARIAL)
def test_adversarial_training_ends_where_it_ends_on_the_cpu(loss, gpu_or_double):
    here, there = (adversarial_training(device, loss) for device in ("cpu", gpu_or_double))
    runs = [Run(steps=8, every=2, progress=False) for _ in range(2)]
    for training, run in zip((here, there), runs, strict=True):
        play(training, run)
    assert_same_trajectory(here, there, 1e-6)
    for ours, theirs in zip(runs[1].history.rows, runs[0].history.rows, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_likelihood_training_ends_where_it_ends_on_the_cpu(name, gpu_or_double):
    here, there = (likelihood_training(device, OPTIMIZERS[name]) for device in ("cpu", gpu_or_double))
    for training in (here, there):
        fit_likelihood(**training, run=SilentRun(steps=8, progress=False))
    assert_same_trajectory(here, there, 1e-6)


# --------------------------------------------------------------------------------------------------------- checkpoints


def kept(training):
    return {name: part for name, part in training.items() if name != "batches"}


def test_a_checkpoint_is_one_file_whatever_the_device_and_loads_on_any(tmp_path, gpu_or_double):
    there = adversarial_training(gpu_or_double)
    play(there, SilentRun(steps=3, progress=False))
    save_state(tmp_path / "there.safetensors", **kept(there))

    here = adversarial_training("cpu", seed=5)
    load_state(tmp_path / "there.safetensors", **kept(here))
    save_state(tmp_path / "here.safetensors", **kept(here))
    assert (tmp_path / "here.safetensors").read_bytes() == (tmp_path / "there.safetensors").read_bytes()

    again = adversarial_training(gpu_or_double, seed=6)
    load_state(tmp_path / "here.safetensors", **kept(again))
    for name, value in states(there).items():
        np.testing.assert_array_equal(states(again)[name], value, err_msg=name)
    assert again["rng"].state() == there["rng"].state()


def test_a_run_that_is_resumed_on_a_device_ends_bitwise_where_an_unbroken_one_does(tmp_path, gpu_or_double):
    def fit(steps, resume=False):
        training = likelihood_training(gpu_or_double, OPTIMIZERS["Adam"])
        data = Generator(1, device=gpu_or_double)
        training["batches"] = (data.normal((16, 3)) for _ in itertools.count())
        parts = {**kept(training), "data": data}
        run = Run(steps=steps, checkpoint=tmp_path / "run.safetensors", parts=parts, progress=False)
        if resume:
            run.resume()
        fit_likelihood(**training, run=run)
        return states(training)

    unbroken = fit(6)
    fit(3)
    resumed = fit(6, resume=True)
    for name, value in unbroken.items():
        assert resumed[name].tobytes() == value.tobytes(), name


def test_a_failed_load_restores_what_was_on_the_device(tmp_path, gpu_or_double):
    model = Perceptron(Generator(0)).to(gpu_or_double)
    before = copy.deepcopy(model.state())
    save_state(tmp_path / "other.safetensors", model=nn.Linear(2, 2, rng=Generator(0)))
    with pytest.raises(ValueError, match="missing model"):
        load_state(tmp_path / "other.safetensors", model=model)
    for name, value in model.state().items():
        np.testing.assert_array_equal(on_host(value), on_host(before[name]))
