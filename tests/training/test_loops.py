"""The two loops: the order of turns, whose gradient is written where, repeatability; and the saturation experiment."""

import copy
import itertools

import numpy as np
import pytest

import minigen as mg
from minigen.data import Gaussian, density_batches, target
from minigen.losses import ADVERSARIAL
from minigen.models import Turn, mlp_gan
from minigen.models.gaussian import Gaussian as GaussianModel
from minigen.nn import Module, Parameter
from minigen.optim import EMA, SGD, Adam, linear_warmup
from minigen.random import Generator
from minigen.training import Run, fit_game, fit_likelihood, read_state, train_discriminator_alone

# ------------------------------------------------------------------------------------------------------ the order of calls


class Scalar(Module):
    def __init__(self):
        self.w = Parameter(np.ones(1))


class RecordingOptimizer(SGD):
    """Writes its player's name and what it is told to do into a log."""

    def __init__(self, player, name, log):
        super().__init__(player, learning_rate=0.1)
        self.name, self.log = name, log

    def zero_grad(self):
        self.log.append(f"{self.name}: zero_grad")
        super().zero_grad()

    def step(self):
        has_gradient = all(p.grad is not None for p in self.arena.parameters.values())
        self.log.append(f"{self.name}: step" if has_gradient else f"{self.name}: step without a gradient")
        super().step()


class RecordingAverage(EMA):
    log: list

    def update(self):
        self.log.append("average")
        super().update()


class RecordingModel(Module):
    """In place of a GAN: its losses depend on both players, and log what they were given."""

    def __init__(self, log, critic_steps=1, weight_bound=None):
        self.generator, self.discriminator, self.log = Scalar(), Scalar(), log
        self.critic_steps, self.weight_bound = critic_steps, weight_bound

    def turns(self):
        return [
            Turn(
                "discriminator",
                self.discriminator,
                lambda real, rng: self.discriminator_loss(real, rng),
                repeats=self.critic_steps,
                draws=True,
                weight_bound=self.weight_bound,
            ),
            Turn("generator", self.generator, self.generator_loss),
        ]

    def loss(self, batch, rng):
        self.log.append(f"loss of {batch}, rng {rng}")
        loss = mg.sum(self.generator.w * self.discriminator.w)
        return loss, {"likelihood": loss.detach()}

    def discriminator_loss(self, real, rng):
        self.log.append(f"D: loss of {real}, rng {rng}")
        loss = mg.sum(self.generator.w.detach() * self.discriminator.w)
        return loss, {"discriminator": loss.detach()}

    def generator_loss(self, real, rng):
        self.log.append(f"G: loss of {real}, rng {rng}")
        for p in self.discriminator.parameters():
            p.grad = None
        loss = mg.sum(self.generator.w * self.discriminator.w)
        return loss, {"generator": loss.detach()}


def optimizers_of(model, kind=SGD, learning_rate=0.1):
    return {name: kind(getattr(model, name), learning_rate=learning_rate) for name in ("discriminator", "generator")}


@pytest.mark.parametrize("k", [1, 2, 5])
def test_algorithm_1(k):
    log = []
    model = RecordingModel(log, critic_steps=k)
    d, g = RecordingOptimizer(model.discriminator, "D", log), RecordingOptimizer(model.generator, "G", log)
    average = RecordingAverage(g)
    average.log = log
    batches = ([i] * (i + 1) for i in itertools.count())  # batch i has i + 1 examples, all i
    run = Run(steps=3, every=2, progress=False)
    players = {"discriminator": d, "generator": g}
    fit_game(model, batches, players, run, rng="r", averages={"generator": average})

    expected, batch = [], itertools.count()
    for _ in range(3):
        for _ in range(k):
            i = next(batch)
            expected += ["D: zero_grad", f"D: loss of {[i] * (i + 1)}, rng r", "D: step"]
        expected += ["G: zero_grad", f"G: loss of {[i] * (i + 1)}, rng r", "G: step", "average"]
    assert log == expected
    assert run.history.column("step") == [0, 2]
    # After t rounds, with D's step first: |dG's loss / dw| = D's weight.
    assert set(run.history.rows[0]) == {
        "step",
        "discriminator",
        "generator",
        "discriminator_gradient",
        "generator_gradient",
    }
    assert run.history.rows[-1]["generator_gradient"] == abs(model.discriminator.w.item())


def test_the_likelihood_loop():
    log = []
    model = RecordingModel(log)
    optimizer = RecordingOptimizer(model, "theta", log)
    average = RecordingAverage(optimizer)
    average.log = log
    run = Run(steps=2, every=1, progress=False)
    fit_likelihood(model, iter("ab"), optimizer, run, rng="r", average=average)
    assert log == [
        line
        for batch in "ab"
        for line in ("theta: zero_grad", f"loss of {batch}, rng r", "theta: step", "average")
    ]  # fmt: skip
    # Both weights w fall from 1 to 1 - 0.1 w.
    assert run.history.column("likelihood") == [1.0, pytest.approx(0.81, rel=1e-12)]


class Weighed(Module):
    """Its loss is beta w^2 + log(batch), a term each."""

    def __init__(self):
        self.w, self.beta, self.seen = Parameter(np.ones(1)), 7.0, []

    def loss(self, batch, rng):
        self.seen.append(self.beta)
        square, other = mg.sum(self.w * self.w), mg.log(mg.tensor(np.float64(batch)))
        loss = self.beta * square + other
        return loss, {"square": square.detach(), "other": other, "loss": loss.detach()}


def test_attributes_of_the_model_are_annealed_before_each_step():
    model = Weighed()
    run = Run(steps=4, progress=False)
    optimizer = SGD(model, learning_rate=0.1)
    schedule = linear_warmup(0.5, steps=2)
    fit_likelihood(model, itertools.repeat(1.0), optimizer, run, rng=None, anneal={"beta": schedule})
    assert model.seen == [0.25, 0.5, 0.5, 0.5]
    # w falls by 0.2 beta w a step.
    assert model.w.item() == pytest.approx(0.95 * 0.9**3)


def test_a_resumed_run_goes_on_annealing_where_it_stopped(tmp_path):
    path = tmp_path / "checkpoint"
    seen = []
    for steps in (3, 5):
        model = Weighed()
        run = Run(steps=steps, checkpoint=path, parts={"model": model}, progress=False)
        if path.exists():
            run.resume()
        optimizer = SGD(model, learning_rate=0.1)
        fit_likelihood(
            model, itertools.repeat(1.0), optimizer, run, rng=None, anneal={"beta": linear_warmup(1, steps=4)}
        )
        seen += model.seen
    assert seen == [0.25, 0.5, 0.75, 1.0, 1.0]


def test_only_what_the_model_has_can_be_annealed():
    model = Weighed()
    with pytest.raises(AttributeError, match="betta"):
        fit_likelihood(
            model, iter([1.0]), SGD(model, learning_rate=0.1), Run(steps=1), rng=None, anneal={"betta": float}
        )
    assert model.seen == []


@pytest.mark.parametrize(("batch", "value"), [(0.0, "-inf"), (-1.0, "nan")])
@pytest.mark.parametrize("bad", [0, 3])
def test_a_loss_that_is_not_finite_stops_at_that_step_and_names_the_term(tmp_path, bad, batch, value):
    # Step 3 is not one at which figures are recorded.
    model, path = Weighed(), tmp_path / "checkpoint"
    optimizer = SGD(model, learning_rate=0.1)
    parts = {"model": model, "optimizer": optimizer}
    run = Run(steps=9, every=2, label="VAE", checkpoint=path, parts=parts, save_seconds=0.0, progress=False)
    batches = (batch if step == bad else 1.0 for step in itertools.count())
    with np.errstate(all="ignore"), pytest.raises(FloatingPointError) as raised:
        fit_likelihood(model, batches, optimizer, run, rng=None)
    words = str(raised.value)
    assert words.startswith(f"VAE: other is {value} at step {bad}; lower the learning rate")
    assert run.step == bad
    assert np.isfinite(model.w.data).all()
    if bad == 0:
        assert not path.exists()
        assert "last good state" not in words
    else:
        assert words.endswith(f"The last good state, after {bad} steps, is in {path}")
        assert read_state(path)["run.step"] == bad
        np.testing.assert_array_equal(read_state(path)["model.w"], model.w.data)


def test_a_loss_without_terms_is_called_the_loss():
    model = Weighed()
    model.loss = lambda batch, rng: (mg.sum(model.w * batch), {})
    with pytest.raises(FloatingPointError, match="loss is inf at step 1"):
        fit_likelihood(
            model, iter([1.0, np.inf]), SGD(model, learning_rate=0.1), Run(steps=2, progress=False), rng=None
        )


def test_the_generators_step_writes_no_gradient_to_the_discriminator():
    model = RecordingModel([])  # forgets D's gradient before G's loss
    fit_game(model, itertools.repeat([0]), optimizers_of(model), Run(steps=3, progress=False), rng=None)
    assert model.discriminator.w.grad is None
    assert model.generator.w.grad is not None


def test_the_real_generators_step_leaves_the_discriminators_gradient():
    training = adversarial_training(critic_steps=1)
    kept = {}
    gan = training["gan"]
    loss_of = gan.generator_loss

    def generator_loss(real, *, rng):
        kept.update({name: p.grad.data.copy() for name, p in gan.discriminator.named_parameters().items()})
        return loss_of(real, rng=rng)

    gan.generator_loss = generator_loss
    fit(training)
    for name, p in gan.discriminator.named_parameters().items():
        np.testing.assert_array_equal(p.grad.data, kept[name])


def test_a_bound_holds_the_critics_weights_after_each_of_its_steps_and_only_them():
    log = []
    model = RecordingModel(log, critic_steps=2, weight_bound=0.25)
    clipped = []
    loss_of = model.discriminator_loss

    def discriminator_loss(real, rng):
        clipped.append(model.discriminator.w.item())
        return loss_of(real, rng)

    model.discriminator_loss = discriminator_loss
    run = Run(steps=2, progress=False)
    fit_game(model, itertools.repeat([0]), optimizers_of(model), run, rng=None)
    # D's w falls by 0.1 G's w a step: 1 -> 0.9, clipped; 0.25 -> 0.15; G's w falls by 0.1 D's w.
    assert clipped == pytest.approx([1.0, 0.25, 0.15, 0.15 - 0.0985])
    assert model.generator.w.item() == pytest.approx(0.985 - 0.1 * (0.15 - 2 * 0.0985))


@pytest.mark.parametrize("k", [0, -1])
def test_less_than_one_critic_step_is_refused(k):
    with pytest.raises(ValueError, match=f"GAN: latent 2 and critic_steps {k} must be at least 1"):
        mlp_gan(features=1, latent=2, width=4, critic_steps=k, rng=Generator(0))


class Player(Module):
    """Its loss is the batch times its number."""

    def __init__(self, name, log):
        self.w, self.name, self.log = Parameter(np.ones(1)), name, log

    def loss(self, batch, rng):
        self.log.append((self.name, batch))
        loss = mg.sum(self.w * batch)
        return loss, {self.name: loss.detach()}


class FourPlayers:
    def __init__(self, **settings):
        self.log = []
        self.players = {name: Player(name, self.log) for name in "abcd"}
        self.settings = {"a": {"draws": True}} | settings

    def turns(self):
        return [Turn(name, player, player.loss, **self.settings.get(name, {})) for name, player in self.players.items()]

    def optimizers(self):
        return {name: SGD(player, learning_rate=0.1) for name, player in self.players.items()}


def test_any_number_of_players_take_turns_in_order():
    game = FourPlayers(b={"repeats": 2}, c={"draws": True, "repeats": 2}, d={"every": 3})
    fit_game(game, itertools.count(1.0), game.optimizers(), Run(steps=4, progress=False), rng=None)
    rounds = [
        [("a", 3 * i + 1.0), *2 * [("b", 3 * i + 1.0)], ("c", 3 * i + 2.0), ("c", 3 * i + 3.0)]
        + ([("d", 3 * i + 3.0)] if i in (0, 3) else [])
        for i in range(4)
    ]
    assert game.log == list(itertools.chain(*rounds))
    assert game.players["b"].w.item() == pytest.approx(1 - 0.1 * 2 * (1 + 4 + 7 + 10))


def test_every_player_may_have_an_average_which_follows_once_a_round():
    game = FourPlayers(b={"repeats": 3})
    optimizers = game.optimizers()
    averages = {name: EMA(optimizers[name]) for name in "bd"}
    fit_game(game, itertools.repeat(1.0), optimizers, Run(steps=5, progress=False), rng=None, averages=averages)
    assert [average.steps for average in averages.values()] == [5, 5]


def test_players_without_an_optimizer_and_others_that_do_not_belong_are_named():
    run = Run(steps=1, progress=False)
    game = FourPlayers()
    optimizers = game.optimizers()
    del optimizers["c"]
    words = (
        "the players are a, b, c, d, but there are optimizers for a, b, d; each player needs an optimizer of its own"
    )
    with pytest.raises(ValueError, match=words):
        fit_game(game, iter([]), optimizers, run, rng=None)
    game = FourPlayers()
    optimizers = game.optimizers()
    with pytest.raises(ValueError, match="optimizers for a, b, c, d and averages of e"):
        fit_game(game, iter([]), optimizers, run, rng=None, averages={"e": EMA(optimizers["a"])})
    optimizers["b"] = optimizers["a"]
    with pytest.raises(ValueError, match="the optimizer for b is not over the parameters of its network"):
        fit_game(game, iter([]), optimizers, run, rng=None)
    game = FourPlayers(a={})
    with pytest.raises(ValueError, match="the first turn, that of a, has no batch; give it draws=True"):
        fit_game(game, iter([]), game.optimizers(), run, rng=None)
    assert game.log == []


def test_a_loss_that_is_not_finite_names_the_player_and_the_step():
    game = FourPlayers(c={"draws": True})
    batches = iter([1.0, 1.0, 1.0, np.inf])
    with pytest.raises(FloatingPointError, match="c is inf at step 1"):
        fit_game(game, batches, game.optimizers(), Run(steps=3, progress=False), rng=None)
    assert all(np.isfinite(player.w.data).all() for player in game.players.values())


# -------------------------------------------------------------------------------------------------------- repeatability


def adversarial_training(seed=0, loss="nonsaturating", critic_steps=2):
    rng = Generator(seed)
    gan = mlp_gan(features=1, latent=2, width=16, rng=rng, loss=loss, critic_steps=critic_steps)
    return {
        "gan": gan,
        "batches": map(mg.tensor, density_batches(target("mixture"), batch_size=32, rng=Generator(seed + 1))),
        "optimizers": optimizers_of(gan, Adam, 1e-2),
        "run": Run(steps=12, every=4, progress=False),
        "rng": rng,
    }


def fit(training):
    fit_game(*(training[name] for name in ("gan", "batches", "optimizers", "run")), rng=training["rng"])
    weights = {name: array.tobytes() for name, array in training["gan"].state().items()}
    return weights, training["run"].history.rows


@pytest.mark.parametrize("loss", ADVERSARIAL)
def test_one_seed_gives_one_result_bitwise(loss):
    first = fit(adversarial_training(0, loss))
    assert fit(adversarial_training(0, loss)) == first
    assert fit(adversarial_training(1, loss)) != first


def test_one_seed_gives_one_likelihood_fit_bitwise():
    def result(seed):
        model = GaussianModel(2)
        data = Generator(seed)
        batches = (data.normal((8, 2)) for _ in itertools.count())
        run = Run(steps=10, every=3, progress=False)
        fit_likelihood(model, batches, Adam(model, learning_rate=0.1), run, rng=Generator(0))
        return {name: array.tobytes() for name, array in model.state().items()}, run.history.rows

    assert result(0) == result(0) != result(1)


# ------------------------------------------------------------------------------------------------- the saturation experiment


def test_saturation():
    rng = Generator(0)
    gan = mlp_gan(features=1, latent=2, width=16, rng=rng)
    before = {name: array.copy() for name, array in gan.generator.state().items()}
    versions = [p.version for p in gan.generator.parameters()]
    far = density_batches(Gaussian(mean=4.0, scale=0.5), batch_size=128, rng=Generator(1))
    run = Run(steps=60, every=5, progress=False)
    optimizer = Adam(gan.discriminator, learning_rate=1e-2)
    train_discriminator_alone(gan, map(mg.tensor, far), optimizer, run, rng=rng)

    for name, array in gan.generator.state().items():
        np.testing.assert_array_equal(array, before[name])
    assert [p.version for p in gan.generator.parameters()] == versions
    assert all(p.grad is None for p in gan.generator.parameters())

    # The gradients with respect to a logit have sizes D(G(z)) and 1 - D(G(z)); where all logits are near each other, so is the ratio of
    # the norms to D / (1 - D).
    on_fake = np.array(run.history.column("discriminator_on_fake"))
    ratio = np.array(run.history.column("minimax")) / np.array(run.history.column("nonsaturating"))
    assert 0.4 < on_fake[0] < 0.6
    assert on_fake[-1] < 0.02
    by_rising_discriminator = np.argsort(on_fake)
    assert (np.diff(ratio[by_rising_discriminator]) > 0).all()
    np.testing.assert_allclose(ratio[0], on_fake[0] / (1 - on_fake[0]), rtol=0.2)
    assert ratio[-1] < 0.05


def test_the_recorded_norms_are_those_of_the_generators_losses():
    for loss in ADVERSARIAL:
        gan = mlp_gan(features=1, latent=2, width=16, rng=Generator(0), loss=loss)
        twin = copy.deepcopy(gan)
        optimizer = SGD(gan.discriminator, learning_rate=0.0)  # stands still
        run = Run(steps=1, progress=False)
        real = np.ones((8, 1), np.float32)
        train_discriminator_alone(gan, itertools.repeat(real), optimizer, run, rng=Generator(5), losses=[loss])

        rng = Generator(5)
        twin.discriminator_loss(real, rng=rng)  # D's step drew its noise first
        value, _ = twin.generator_loss(real, rng=rng)
        value.backward(inputs=twin.generator.parameters())
        norm = np.sqrt(sum((p.grad.data.astype(np.float64) ** 2).sum() for p in twin.generator.parameters()))
        np.testing.assert_allclose(run.history.column(loss), [norm], rtol=1e-5)
