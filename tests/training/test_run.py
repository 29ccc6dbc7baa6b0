"""A run: which steps are due, what is recorded, what an interruption leaves, and a resumed run that cannot be told from an unbroken one."""

import os
import signal
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigen as mg
from minigen.data import Batches, density_batches, target
from minigen.kernels.threads import blas_is_limited
from minigen.models import Gaussian, mlp_gan
from minigen.optim import EMA, SGD, Adam, RMSProp, cosine
from minigen.random import Generator
from minigen.training import History, Run, files, fit_game, fit_likelihood, load_state, read_state, save_state

SIGNALS = [signal.SIGINT, signal.SIGTERM]


def handlers():
    return [signal.getsignal(number) for number in SIGNALS]


@pytest.fixture(autouse=True)
def handlers_are_put_back():
    before = handlers()
    yield
    assert handlers() == before


def go_through(run, body):
    for step in run:
        body(step)


def interrupt_in(step):
    """Return the body of a loop in which Ctrl-C comes during that step."""
    return lambda current: signal.raise_signal(signal.SIGINT) if current == step else None


# --------------------------------------------------------------------------------------------------- steps and history


@given(steps=st.integers(0, 40), every=st.integers(1, 50))
def test_due_are_the_multiples_and_the_last(steps, every):
    run = Run(steps=steps, every=every, progress=False)
    taken = []
    for step in run:
        taken.append(step)
        assert run.step == step
        if run.is_due(step):
            run.record(step, loss=0.5 * step)
    assert taken == list(range(steps))
    assert run.step == steps
    due = sorted({*range(0, steps, every), *range(steps)[-1:]})
    assert run.history.column("step") == due
    assert run.history.column("loss") == [0.5 * step for step in due]


def test_the_monitor_is_called_only_when_a_row_is_due():
    calls = []

    def monitor():
        calls.append(run.step)
        return {"distance": 10.0 * run.step}

    run = Run(steps=5, every=2, monitor=monitor, progress=False)
    for step in run:
        if run.is_due(step):
            run.record(step, loss=1.0)
    assert calls == [0, 2, 4]
    assert run.history.rows == [{"step": s, "loss": 1.0, "distance": 10.0 * s} for s in (0, 2, 4)]


def test_a_history_may_have_gaps():
    history = History()
    history.record(0, loss=2.0)
    history.record(5, loss=1.0, distance=0.5)
    assert history.column("distance") == [0.5]
    assert history.column("nothing") == []
    assert history.at([5, 9], "loss") == [1.0]
    copied = History()
    copied.load_state(history.state())
    copied.record(6, loss=0.0)
    assert copied.rows[:2] == history.rows
    assert len(history.rows) == 2


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_figure_that_is_not_finite_stops_the_run_by_name(value):
    run = Run(steps=9, every=1, label="GAN", progress=False)
    with pytest.raises(FloatingPointError, match=f"GAN: generator is {value} at step 3; lower the learning rate"):
        go_through(run, lambda step: run.record(step, discriminator=1.0, generator=value if step == 3 else 0.0))
    assert run.history.column("step") == [0, 1, 2]


def test_a_monitors_figure_that_is_not_finite_stops_the_run_too():
    run = Run(steps=2, every=1, monitor=lambda: {"distance": float("nan")}, progress=False)
    with pytest.raises(FloatingPointError, match="distance is nan at step 0"):
        go_through(run, lambda step: run.record(step, loss=1.0))


def test_a_diverged_run_is_not_monitored():
    # A monitor that measures a diverged model would raise an error of its own, which hides the reason.
    run = Run(steps=1, monitor=lambda: {"distance": 1 / 0}, progress=False)
    with pytest.raises(FloatingPointError, match="loss is nan at step 0"):
        go_through(run, lambda step: run.record(step, loss=float("nan")))


def test_figures_can_be_checked_without_being_recorded(tmp_path):
    run = Run(steps=2, label="VAE", checkpoint=tmp_path / "checkpoint", progress=False)
    run.check(0, {"loss": 1.0, "elbo": -1e30})
    with pytest.raises(FloatingPointError, match=r"VAE: elbo is -inf at step 0; .*around the training$"):
        run.check(0, {"loss": 1.0, "elbo": -float("inf")})
    assert run.history.rows == []


class Weight:
    """A part of a checkpoint that diverges."""

    def __init__(self):
        self.value = np.zeros(3, np.float32)

    def state(self):
        return {"w": self.value, "count": np.arange(3), "note": float("nan")}


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_state_that_is_not_finite_is_not_saved_and_the_last_good_one_is_kept(tmp_path, bad):
    path, weight = tmp_path / "checkpoint", Weight()
    run = Run(steps=9, label="VAE", checkpoint=path, parts={"model": weight}, save_seconds=0.0, progress=False)

    def diverge(step):
        weight.value = np.full(3, float(step), np.float32)
        if step == 4:
            weight.value[1] = bad

    message = rf"^VAE: model\.w is not finite after 5 steps, and is not saved\. The last good state, after 4 steps, is in {path}$"
    with pytest.raises(FloatingPointError, match=message):
        go_through(run, diverge)
    found = read_state(path)
    assert found["run.step"] == 4
    np.testing.assert_array_equal(found["model.w"], [3, 3, 3])


def test_what_the_last_step_spoils_is_not_saved_either(tmp_path):
    path, weight = tmp_path / "checkpoint", Weight()
    run = Run(steps=2, checkpoint=path, parts={"model": weight}, progress=False)
    with pytest.raises(FloatingPointError, match=r"model\.w is not finite after 2 steps, and is not saved$"):
        go_through(run, lambda step: weight.value.fill(float("nan") if step == 1 else 0.0))
    assert not path.exists()


def test_without_a_checkpoint_no_state_is_looked_at():
    weight = Weight()
    run = Run(steps=2, parts={"model": weight}, progress=False)
    go_through(run, lambda step: weight.value.fill(float("nan")))
    assert run.step == 2


def test_an_error_in_the_loop_leaves_no_handlers():
    before = handlers()

    def fail(step):
        assert handlers() != before
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        go_through(Run(steps=3, progress=False), fail)
    assert handlers() == before


def test_breaking_off_leaves_no_handlers():
    before = handlers()
    for _ in Run(steps=3, progress=False):
        break
    assert handlers() == before


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"steps": -1}, "steps is -1, expected a whole number of at least 0"),
        ({"steps": 1e3}, r"steps is 1000\.0, expected a whole number of at least 0"),
        ({"steps": 5, "every": 0}, "every is 0, expected a whole number of at least 1"),
    ],
)
def test_bad_counts_are_refused(counts, message):
    with pytest.raises(ValueError, match=f"Run: {message}"):
        Run(**counts)


def test_progress_is_shown_on_request(capsys):
    for progress in (True, False):
        run = Run(steps=2, label="Gaussian", progress=progress)
        for step in run:
            run.record(step, loss=0.25)
        shown = capsys.readouterr().err
        assert ("Gaussian: 100%" in shown and "loss=0.25" in shown) == progress


# -------------------------------------------------------------------------------------------------------- interruption


@pytest.mark.parametrize("number", SIGNALS)
def test_an_interruption_lets_the_step_end_saves_and_says_where(tmp_path, number):
    rng, ended = Generator(7), []
    path = tmp_path / "checkpoint.safetensors"
    run = Run(steps=10, every=1, checkpoint=path, parts={"rng": rng}, progress=False)

    def body(step):
        if step == 3:
            os.kill(os.getpid(), number)
        rng.normal(4)  # the rest of the step
        run.record(step, loss=1.0)
        ended.append(step)

    with pytest.raises(KeyboardInterrupt, match=rf"stopped after 4 of 10 steps; their state is in {path}"):
        go_through(run, body)
    assert ended == [0, 1, 2, 3]

    other = Generator(0)
    resumed = Run(steps=10, every=1, checkpoint=path, parts={"rng": other}, progress=False)
    resumed.resume()
    assert resumed.step == 4
    assert other.state() == rng.state()
    assert resumed.history.rows == run.history.rows
    assert list(resumed) == [4, 5, 6, 7, 8, 9]


def test_an_interruption_without_a_checkpoint():
    with pytest.raises(KeyboardInterrupt, match=r"^stopped after 1 of 10 steps$"):
        go_through(Run(steps=10, progress=False), interrupt_in(0))


def test_an_interruption_in_the_last_step_is_not_lost():
    with pytest.raises(KeyboardInterrupt, match="stopped after 2 of 2 steps"):
        go_through(Run(steps=2, progress=False), interrupt_in(1))


def test_a_second_interruption_does_not_wait():
    ended = []

    def body(step):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        ended.append(step)

    with pytest.raises(KeyboardInterrupt) as raised:
        go_through(Run(steps=10, progress=False), body)
    assert ended == []
    assert "stopped after" not in str(raised.value)


def test_a_run_works_in_another_thread(tmp_path):
    taken = []
    run = Run(steps=3, checkpoint=tmp_path / "checkpoint", progress=False)
    thread = threading.Thread(target=lambda: taken.extend(run))
    thread.start()
    thread.join()
    assert taken == [0, 1, 2]
    assert (tmp_path / "checkpoint").is_file()


def test_a_run_without_a_checkpoint_cannot_resume():
    with pytest.raises(ValueError, match="this run has no checkpoint to resume from"):
        Run(steps=1).resume()


# ----------------------------------------------------------------------------------------- what is there is never overwritten


def noisy_run(path, steps=6, rng=None, **settings):
    return Run(steps=steps, every=2, checkpoint=path, parts={"rng": rng or Generator(7)}, progress=False, **settings)


def draw_and_record(run):
    """A training whose figures depend on all noise drawn so far."""
    rng = run.parts["rng"]
    return lambda step: run.record(step, drawn=float(rng.normal(()).item())) if run.is_due(step) else rng.normal(3)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "checkpoint.safetensors"


CONFIGURATION = {"loss": "minimax", "latent": 4, "rates": (1e-3, 2e-3)}


def broken_run(path):
    run = noisy_run(path, configuration=CONFIGURATION)
    with pytest.raises(KeyboardInterrupt):
        go_through(run, interrupt_in(3))
    return run


def test_a_new_run_begins_where_nothing_is(path):
    noisy_run(path).begin()
    with pytest.raises(FileNotFoundError, match=f"there is nothing to resume: {path} does not exist"):
        noisy_run(path).begin(resume=True)


def test_a_broken_run_is_resumed_or_overwritten_but_not_by_mistake(path):
    broken_run(path)
    message = rf"{path} is of a run that was broken off after 4 of 6 steps: go on with it \(--resume\), overwrite it"
    with pytest.raises(ValueError, match=message):
        noisy_run(path, configuration=CONFIGURATION).begin()
    resumed = noisy_run(path, configuration=CONFIGURATION)
    resumed.begin(resume=True)
    assert list(resumed) == [4, 5]
    anew = noisy_run(path, configuration=CONFIGURATION)
    anew.begin(overwrite=True)
    assert list(anew) == list(range(6))


def test_a_finished_run_may_be_run_again_the_same_way_only(path):
    go_through(noisy_run(path, configuration=CONFIGURATION), lambda step: None)
    noisy_run(path, configuration=CONFIGURATION).begin()
    message = (
        r"would overwrite: loss: 'minimax' there, 'least-squares' now; steps: 6 there, 8 now. Choose another folder"
    )
    with pytest.raises(ValueError, match=message):
        noisy_run(path, steps=8, configuration=CONFIGURATION | {"loss": "least-squares"}).begin()
    noisy_run(path, steps=8, configuration=CONFIGURATION | {"loss": "least-squares"}).begin(overwrite=True)


def test_another_configuration_is_not_resumed_and_every_difference_told(path):
    broken_run(path)
    other = noisy_run(
        path, steps=3, configuration={"loss": "least-squares", "latent": 4, "rates": [1e-3, 2e-3], "device": "gpu"}
    )
    message = (
        rf"{path} is of another run: loss: 'minimax' there, 'least-squares' now; device: 'nothing' there, 'gpu' now; "
        "steps: 4 taken there, 3 asked for now; more are possible, fewer not"
    )
    with pytest.raises(ValueError, match=message):
        other.begin(resume=True)
    assert (other.step, other.parts["rng"].state()["counter"]) == (0, 0)


def test_another_file_is_no_checkpoint(path):
    save_state(path, rng=Generator(0))
    for resume in (True, False):
        with pytest.raises(ValueError, match=f"{path} is a file of minigen's, but not the checkpoint of a run"):
            noisy_run(path).begin(resume=resume)


def test_steps_may_grow(path, tmp_path):
    short = noisy_run(path, steps=5)
    go_through(short, draw_and_record(short))
    grown = noisy_run(path, steps=11, rng=Generator(50))
    grown.begin(resume=True)
    go_through(grown, draw_and_record(grown))
    unbroken = noisy_run(tmp_path / "unbroken", steps=11)
    go_through(unbroken, draw_and_record(unbroken))
    assert grown.history.rows == unbroken.history.rows
    assert grown.parts["rng"].state() == unbroken.parts["rng"].state()


def test_a_checkpoint_is_also_written_while_the_run_lasts(path):
    seen = []
    run = noisy_run(path, save_seconds=0.0)
    for step in run:
        seen.append(read_state(path)["run.step"] if path.exists() else None)
        assert run.step == step
    assert seen == [None, 1, 2, 3, 4, 5]
    rare = noisy_run(path, save_seconds=1e9)
    path.unlink()
    assert [path.exists() for _ in rare] == [False] * 6


def test_a_disk_that_is_full_for_a_while_does_not_end_the_run(path, monkeypatch, capsys):
    calls, save = [], files.write_atomically

    def sometimes(*arguments):
        calls.append(arguments)
        if len(calls) < 4:
            raise OSError(28, "No space left on device")
        save(*arguments)

    monkeypatch.setattr(files, "write_atomically", sometimes)
    run = noisy_run(path, save_seconds=0.0)
    go_through(run, lambda step: None)
    assert read_state(path)["run.step"] == 6
    assert capsys.readouterr().err.count("no checkpoint after") == 3


def test_a_run_whose_last_state_cannot_be_written_says_so(path, monkeypatch):
    def never(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "write_atomically", never)
    with pytest.raises(OSError, match="No space left"):
        go_through(noisy_run(path), lambda step: None)


def test_the_time_is_that_of_all_sessions(path):
    def body(step):
        time.sleep(0.01)
        if step == 2:
            signal.raise_signal(signal.SIGINT)

    run = noisy_run(path)
    with pytest.raises(KeyboardInterrupt):
        go_through(run, body)
    assert 0.03 <= run.seconds < 1
    resumed = noisy_run(path)
    resumed.begin(resume=True)
    assert resumed.seconds == run.seconds
    go_through(resumed, lambda step: time.sleep(0.01))
    assert resumed.seconds >= run.seconds + 0.03


def test_a_history_may_hold_curves(path):
    run = noisy_run(path)
    curves = History()
    run.parts["curves"] = curves
    go_through(run, lambda step: curves.record(step, density=[0.1 * step, 1 / 3]))
    read = History()
    load_state(path, run=noisy_run(path), rng=Generator(0), curves=read)
    assert read.rows == curves.rows


# ----------------------------------------------------------------------------------------------------- resumed, bitwise


def interrupted_at(step, batches):
    """Yield the batches; the one of that step comes with Ctrl-C."""
    for i, batch in enumerate(batches):
        if i == step:
            signal.raise_signal(signal.SIGINT)
        yield batch


class LikelihoodTraining:
    STEPS, EVERY = 23, 4

    def __init__(self, checkpoint, seed=0):
        self.rng, self.data_rng = Generator(seed), Generator(seed + 100)
        self.model = Gaussian(2)
        self.optimizer = RMSProp(self.model, learning_rate=cosine(0.05, steps=self.STEPS))
        self.average = EMA(self.optimizer, decay=0.9)
        data = Generator(3).normal((20, 2), mean=2.0)
        self.batches = Batches(data, batch_size=6, rng=self.data_rng)
        parts = {name: getattr(self, name) for name in ("rng", "data_rng", "model", "optimizer", "average", "batches")}
        self.run = Run(steps=self.STEPS, every=self.EVERY, checkpoint=checkpoint, parts=parts, progress=False)

    def fit(self, batches):
        fit_likelihood(self.model, batches, self.optimizer, self.run, rng=self.rng, average=self.average)


class AdversarialTraining:
    STEPS, EVERY = 17, 3

    def __init__(self, checkpoint, seed=0):
        self.rng, self.data_rng = Generator(seed), Generator(seed + 100)
        self.model = mlp_gan(features=1, latent=2, width=8, critic_steps=2, rng=self.rng)
        rate = cosine(1e-2, steps=self.STEPS)
        self.critic_optimizer = Adam(self.model.discriminator, learning_rate=rate)
        self.optimizer = SGD(self.model.generator, learning_rate=rate, momentum=0.9)
        self.average = EMA(self.optimizer, decay=0.9)
        self.batches = density_batches(target("mixture"), batch_size=16, rng=self.data_rng)
        names = ("rng", "data_rng", "model", "critic_optimizer", "optimizer", "average")
        parts = {name: getattr(self, name) for name in names}
        self.run = Run(steps=self.STEPS, every=self.EVERY, checkpoint=checkpoint, parts=parts, progress=False)

    def fit(self, batches):
        optimizers = {"discriminator": self.critic_optimizer, "generator": self.optimizer}
        averages = {"generator": self.average}
        fit_game(self.model, map(mg.tensor, batches), optimizers, self.run, rng=self.rng, averages=averages)


def everything(training):
    """Return the states of all parts and of the run but its time, with arrays as bytes, so that == is bitwise."""
    return {
        f"{name}.{key}": (value.tobytes(), value.shape) if hasattr(value, "shape") else value
        for name, part in {**training.run.parts, "run": training.run}.items()
        for key, value in part.state().items()
        if key != "seconds"
    }


@pytest.mark.parametrize("training", [LikelihoodTraining, AdversarialTraining])
def test_a_resumed_run_equals_an_unbroken_one(tmp_path, training):
    unbroken = training(tmp_path / "unbroken")
    unbroken.fit(unbroken.batches)
    assert unbroken.run.step == unbroken.STEPS

    path = tmp_path / "broken"
    for stop in (5, 4):  # in batches: the run is broken twice
        broken = training(path, seed=50)  # the checkpoint brings everything
        if path.exists():
            broken.run.resume()
        else:
            broken = training(path)
        with pytest.raises(KeyboardInterrupt, match="stopped after"):
            broken.fit(interrupted_at(stop, broken.batches))
        assert 0 < broken.run.step < broken.STEPS
    resumed = training(path, seed=60)
    resumed.run.resume()
    resumed.fit(resumed.batches)

    assert everything(resumed) == everything(unbroken)
    assert len(resumed.run.history.rows) == len(range(0, training.STEPS, training.EVERY)) + 1
    with resumed.average.applied(), unbroken.average.applied():
        for name, array in resumed.model.state().items():
            np.testing.assert_array_equal(array, unbroken.model.state()[name])


def test_a_checkpoint_is_written_when_the_run_ends(tmp_path):
    training = LikelihoodTraining(tmp_path / "checkpoint")
    training.fit(training.batches)
    finished = LikelihoodTraining(tmp_path / "checkpoint", seed=9)
    finished.run.resume()
    assert everything(finished) == everything(training)
    finished.fit(finished.batches)  # no step is left
    assert everything(finished) == everything(training)


def test_blas_works_on_one_thread_while_a_run_lasts():
    limited = [blas_is_limited() for _ in Run(steps=2, progress=False)]
    assert limited == [True, True]
    assert not blas_is_limited()
