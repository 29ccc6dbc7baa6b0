"""The block diagram of a game: what goes in, who calls whom, who learns; and the game is afterwards what it was."""

import copy
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

import minigen as mg
from minigen import nn, ops, plots
from minigen.engine import no_grad
from minigen.losses import ADVERSARIAL, adversarial
from minigen.models import GAN, ImagePool, Judge, Turn, dcgan, mlp_gan
from minigen.plots.style import BLUE, GREEN, GREY
from minigen.random import Generator

X = Generator(1).normal((6, 2))
Y = Generator(2).normal((6, 2))


def diagram(game, batch=X, **settings):
    return plots.game_diagram(game, batch, rng=Generator(3), **settings)


def read(figure):
    """Return for each turn its arrows, (from, to, whether the gradient flows back), sorted; then the boxes, (title, rows, colour)."""
    figure.draw_without_rendering()
    (axes,) = figure.axes
    boxes = [patch for patch in axes.patches if isinstance(patch, FancyBboxPatch)]
    frames = [box.get_bbox() for box in boxes]
    words = [
        [text.get_text() for text in axes.texts if frame.y0 < text.get_position()[1] < frame.y1 and
         frame.x0 < text.get_position()[0] < frame.x1] for frame in frames
    ]  # fmt: skip
    borders = [line.get_ydata()[0] for line in axes.lines]
    turn_of = [sum(frame.y0 > border for border in borders) for frame in frames]
    arrows, contents = ([[] for _ in range(len(borders) + 1)] for _ in range(2))
    for arrow in (patch for patch in axes.patches if isinstance(patch, FancyArrowPatch)):
        points = arrow.get_path().vertices
        start, tip = points[0], points[points[:, 0].argmax()]
        (source,) = [i for i, f in enumerate(frames) if abs(f.x1 - start[0]) < 3 and f.y0 < start[1] < f.y1]
        (target,) = [i for i, f in enumerate(frames) if abs(f.x0 - tip[0]) < 5 and f.y0 < tip[1] < f.y1]
        arrows[turn_of[source]].append((words[source][0], words[target][0], arrow.get_linewidth() > 2))
    for turn, box, (title, *rows) in zip(turn_of, boxes, words, strict=True):
        contents[turn].append((title, tuple(rows), to_hex(box.get_edgecolor())))
    return [sorted(turn) for turn in arrows], [sorted(turn) for turn in contents]


def arrows_of(game, batch=X):
    return read(diagram(game, batch))[0]


def labels(figure):
    """Return what stands beside the turns."""
    (axes,) = figure.axes
    least = min(text.get_position()[0] for text in axes.texts)
    return [text.get_text() for text in axes.texts if text.get_position()[0] == least]


def net(inputs, outputs, rng=None, activation=nn.ReLU):
    rng = rng or Generator(0)
    return nn.Sequential(nn.Linear(inputs, 8, rng=rng), activation(), nn.Linear(8, outputs, rng=rng))


DISCRIMINATOR = [
    ("discriminator", "loss", True), ("discriminator", "loss", True), ("generator", "discriminator", False),
    ("x", "discriminator", False), ("z", "generator", False),
]  # fmt: skip
GENERATOR = [("discriminator", "loss", True), ("generator", "discriminator", True), ("z", "generator", False)]
PENALTY = [
    ("between", "discriminator", False), ("discriminator", "slope", True), ("generator", "between", False),
    ("slope", "loss", True), ("x", "between", False),
]  # fmt: skip


@pytest.mark.parametrize("loss", ADVERSARIAL)
def test_a_gan_of_each_loss(loss):
    gan = mlp_gan(features=2, latent=3, width=8, loss=loss, rng=Generator(0))
    penalty = PENALTY if adversarial(loss).penalty else []
    arrows, boxes = read(diagram(gan))
    assert arrows == [sorted(DISCRIMINATOR + penalty), GENERATOR]
    assert boxes[1] == [
        ("discriminator", ("(6, 1)",), to_hex(GREY)), ("generator", ("(6, 2)",), to_hex(GREEN)),
        ("loss", ("generator",), "#000000"), ("z", ("(6, 3)",), "#000000"),
    ]  # fmt: skip
    assert {colour for title, _, colour in boxes[0] if title == "discriminator"} == {to_hex(BLUE)}
    assert {colour for title, _, colour in boxes[0] if title == "generator"} == {to_hex(GREY)}


def test_labels_say_who_plays_how_often_and_on_which_batch():
    rules = replace(adversarial("wasserstein"), r1=1.0, r1_every=16)
    figure = diagram(mlp_gan(features=2, latent=3, width=8, critic_steps=5, loss=rules, rng=Generator(0)), title="$x")
    assert labels(figure) == [
        "1  discriminator", "5 times", "each on a new batch", "weights clipped to ±0.01",
        "2  discriminator", "in every 16th round", "on the same batch", "3  generator", "on the same batch",
    ]  # fmt: skip
    assert "$x" in [text.get_text() for text in figure.axes[0].texts]
    game = Plain(lambda game, batch, rng: game.maker(batch), maker=net(2, 1))
    (turn,) = game.turns()
    game.turns = lambda: [replace(turn, every=n) for n in (2, 3, 11, 21, 112)]
    assert labels(diagram(game))[1::3] == [f"in every {n} round" for n in ("2nd", "3rd", "11th", "21st", "112th")]


@pytest.mark.parametrize(
    "network",
    [nn.Linear(2, 1, rng=Generator(0)), net(2, 1), net(2, 1, activation=nn.Tanh)],
    ids=["linear", "relu", "tanh"],
)
@pytest.mark.parametrize("every", [1, 16])
def test_r1_is_a_slope_at_real_examples(every, network):
    rules = replace(adversarial("nonsaturating"), r1=1.0, r1_every=every)
    gan = GAN(net(3, 2), Judge(network, loss=rules), latent=3)
    r1 = [("discriminator", "slope", True), ("slope", "loss", True), ("x", "discriminator", False)]
    expected = [DISCRIMINATOR, r1, GENERATOR] if every > 1 else [sorted(DISCRIMINATOR + r1), GENERATOR]
    assert arrows_of(gan) == expected


def test_a_condition_enters_both_networks():
    rng = Generator(0)
    gan = dcgan(size=(8, 8, 1), latent=4, width=4, classes=3, rng=rng)
    batch = (rng.uniform((6, 8, 8, 1)), np.arange(6) % 3)
    told = [("y", "discriminator", False), ("y", "generator", False)]
    assert arrows_of(gan, batch) == [
        sorted(DISCRIMINATOR + told + [("y", "discriminator", False)]), sorted(GENERATOR + told),
    ]  # fmt: skip
    assert ("y", ("(6,)",), "#000000") in read(diagram(gan, batch))[1][0]


@pytest.mark.parametrize("filled", [0, 4, 9])
def test_a_pool_stands_between_generator_and_discriminator(filled):
    pool, rng = ImagePool(9, (2,)), Generator(0)
    if filled:
        pool.exchange(rng.normal((filled, 2)), rng=rng)
    gan = GAN(net(3, 2), Judge(net(2, 1), pool=pool), latent=3)
    pooled = [("generator", "pool", False), ("pool", "discriminator", False)]
    expected = [arrow for arrow in DISCRIMINATOR if arrow != ("generator", "discriminator", False)] + pooled
    for _ in range(3):
        assert arrows_of(gan) == [sorted(expected), GENERATOR]
        assert pool.count.data == filled


class Translators:
    """A game of four players, as in CycleGAN; not a module."""

    def __init__(self):
        rng = Generator(0)
        self.makers = {"to_x": net(2, 2, rng), "to_y": net(2, 2, rng)}
        self.judges = [Judge(net(2, 1, rng), loss="least-squares", pool=ImagePool(10, (2,))) for _ in "xy"]

    def turns(self):
        of_x, of_y = self.judges
        return [
            Turn("judge of x", of_x, lambda batch, rng: self.judge(of_x, "to_x", *batch, rng), draws=True),
            Turn("judge of y", of_y, lambda batch, rng: self.judge(of_y, "to_y", *batch[::-1], rng)),
            Turn("to x", self.makers["to_x"], lambda batch, rng: self.make(of_x, "to_x", "to_y", batch[1])),
            Turn("to y", self.makers["to_y"], lambda batch, rng: self.make(of_y, "to_y", "to_x", batch[0])),
        ]

    def judge(self, judge, maker, real, given, rng):
        with no_grad():
            made = self.makers[maker](given)
        return judge.loss(real, made, rng=rng)

    def make(self, judge, maker, back, given):
        made = self.makers[maker](given)
        verdict, cycle = judge.verdict(made), ops.mean(abs(self.makers[back](made) - given))
        return verdict + 10.0 * cycle, {"verdict": verdict.detach(), "cycle": cycle.detach()}


def test_a_game_of_four_players_is_drawn_too():
    game = Translators()
    arrows, boxes = read(diagram(game, (X, Y)))
    assert arrows[0] == [
        ("judges.0", "loss", True), ("judges.0", "loss", True), ("makers.to_x", "pool", False),
        ("pool", "judges.0", False), ("x", "judges.0", False), ("y", "makers.to_x", False),
    ]  # fmt: skip
    assert arrows[3] == [
        ("judges.1", "loss", True), ("makers.to_x", "loss", True), ("makers.to_y", "judges.1", True),
        ("makers.to_y", "makers.to_x", True), ("x", "loss", False), ("x", "makers.to_y", False),
    ]  # fmt: skip
    coloured = [{title for title, _, colour in turn if colour in (to_hex(BLUE), to_hex(GREEN))} for turn in boxes]
    assert coloured == [{"judges.0"}, {"judges.1"}, {"makers.to_x"}, {"makers.to_y"}]
    assert {rows for title, rows, _ in boxes[3] if title == "loss"} == {("verdict", "cycle")}
    assert all(judge.pool.count.data == 0 for judge in game.judges)


class Plain:
    """A game of one turn."""

    def __init__(self, loss, **networks):
        self.__dict__.update(networks)
        self.loss, self.learns = loss, next(iter(networks.values()))

    def turns(self):
        return [Turn("player", self.learns, lambda batch, rng: (ops.mean(self.loss(self, batch, rng)), {}), draws=True)]


def test_noise_that_the_loss_compares_and_what_is_joined_before_a_call():
    def loss(game, batch, rng):
        z, code = rng.normal((6, 1)), rng.bernoulli(0.5, (6, 1))
        made = game.maker(ops.concatenate([mg.tensor(z), code], axis=1))
        seen = game.reader(ops.concatenate([made, batch["image"] * ops.mean(made)], axis=1))
        return (seen - code) ** 2

    assert arrows_of(Plain(loss, maker=net(2, 2), reader=net(4, 1)), {"image": X, "unused": Y}) == [[
        ("computed", "maker", False), ("image", "reader", False), ("maker", "reader", True), ("reader", "loss", True),
        ("z", "loss", False),
    ]]  # fmt: skip


def test_a_detached_output_a_view_and_a_copy_are_known_for_what_they_are():
    def loss(game, batch, rng):
        made = game.maker(rng.normal((6, 2)))
        game.other(3.0 * Y)  # which neither the loss nor another call needs
        return game.other(made.detach()) + game.other(batch.copy()) + game.other(batch[::-1])

    assert arrows_of(Plain(loss, maker=net(2, 2), other=net(2, 1))) == [[
        ("maker", "other", False), ("other", "loss", False), ("other", "loss", False), ("other", "loss", False),
        ("x", "other", False), ("x", "other", False), ("z", "maker", False),
    ]]  # fmt: skip


def test_networks_inside_others_and_games_inside_games_are_found_by_name():
    gan = mlp_gan(features=2, latent=3, width=8, rng=Generator(0))

    class Doubled(nn.Module):
        def __init__(self, *parts):
            self.parts = parts

        def forward(self, x):
            return 2.0 * self.parts[1](self.parts[0](x))

    class Inside:
        def __init__(self):
            self.gan, self.encoder, self.decoder = gan, net(2, 2), net(2, 2)
            self.both = Doubled(self.encoder, self.decoder)

        def turns(self):
            together = lambda batch, rng: (ops.mean((self.both(batch) - batch) ** 2), {})
            return [*gan.turns(), Turn("autoencoder", self.both, together)]

    arrows, boxes = read(diagram(Inside()))
    assert ("gan.generator", "gan.discriminator", True) in arrows[1]
    assert arrows[2] == [
        ("decoder", "loss", True), ("encoder", "decoder", True), ("x", "encoder", False), ("x", "loss", False),
    ]  # fmt: skip
    assert [colour for title, _, colour in boxes[2] if title in ("encoder", "decoder")] == [to_hex(GREEN)] * 2


def test_what_a_player_learns_and_the_game_does_not_have_has_the_players_name():
    network = net(2, 1)

    class Loose:
        def turns(self):
            return [Turn("critic", network, lambda batch, rng: (ops.mean(network(batch)), {}), draws=True)]

    assert arrows_of(Loose()) == [[("critic", "loss", True), ("x", "critic", False)]]


def everything(gan, rng):
    """Return copies of all that a diagram might have changed."""
    modules = gan.named_modules()
    return {
        "arrays": {name: array.copy() for name, array in gan.state().items()},
        "versions": [parameter.version for parameter in gan.parameters()],
        "gradients": [None if p.grad is None else p.grad.data.copy() for p in gan.parameters()],
        "modes": {name: module.training for name, module in modules.items()},
        "generators": [rng.state(), *(module.rng.state() for module in modules.values() if "rng" in vars(module))],
    }


class Noise(nn.Module):
    """Adds noise in either mode."""

    def __init__(self):
        self.rng = Generator(5)

    def forward(self, x):
        return x + self.rng.normal(x.shape)


@pytest.mark.parametrize("norm", [nn.BatchNorm, nn.SpectralNorm, nn.Dropout, Noise])
def test_the_game_is_afterwards_bitwise_as_it_was(norm):
    rng = Generator(0)
    layer = nn.Linear(2, 8, rng=rng)
    first = {
        nn.BatchNorm: lambda: nn.Sequential(layer, nn.BatchNorm(8)),
        nn.SpectralNorm: lambda: nn.SpectralNorm(layer, rng=rng),
        nn.Dropout: lambda: nn.Sequential(layer, nn.Dropout(p=0.5, rng=Generator(5))),
        Noise: lambda: nn.Sequential(layer, Noise()),
    }[norm]()
    generator = nn.Sequential(nn.Linear(3, 2, rng=rng), nn.BatchNorm(2))
    judge = Judge(nn.Sequential(first, nn.Linear(8, 1, rng=rng)), pool=ImagePool(8, (2,)))
    gan = GAN(generator, judge, latent=3)
    gan.discriminator_loss(X, rng=rng)[0].backward()
    gan.generator.eval()
    before = everything(gan, rng)
    plots.game_diagram(gan, X, rng=rng)
    np.testing.assert_equal(everything(gan, rng), before)
    assert nn.module.in_this_thread.observers == []


def test_networks_run_in_evaluation_mode():
    modes = []

    def loss(game, batch, rng):
        modes.append(game.maker.training)
        return game.maker(batch)

    diagram(Plain(loss, maker=net(2, 1)))
    assert modes == [False]


def test_a_loss_that_fails_leaves_no_trace():
    def fails(game, batch, rng):
        game.maker(rng.normal((6, 2)))
        raise ArithmeticError("no loss")

    game = Plain(fails, maker=nn.Sequential(nn.BatchNorm(2)))
    with pytest.raises(ArithmeticError, match="no loss"):
        diagram(game)
    assert nn.module.in_this_thread.observers == []
    assert game.maker.training


def test_games_that_cannot_be_drawn_are_refused_in_words():
    with pytest.raises(TypeError, match=r"game_diagram: a Sequential has no turns\(\); expected a game, such as a GAN"):
        diagram(net(2, 1))
    game = Translators()
    game.turns = list
    with pytest.raises(ValueError, match=r"the turns\(\) of a Translators are none"):
        diagram(game)
    game = Plain(lambda game, batch, rng: game.maker.layers[0](batch), maker=net(2, 1))
    with pytest.raises(
        ValueError, match=r"the turn of player calls none of the game's networks, maker; a diagram shows calls"
    ):
        diagram(game)


def test_words_fit_into_their_boxes_and_no_boxes_overlap():
    gan = mlp_gan(features=2, latent=3, width=8, loss="wasserstein-gp", rng=Generator(0))
    for figure in (diagram(Translators(), (X, Y), title="Four"), diagram(gan)):
        figure.draw_without_rendering()
        (axes,) = figure.axes
        frames = [patch.get_window_extent() for patch in axes.patches if isinstance(patch, FancyBboxPatch)]
        for i, a in enumerate(frames):
            assert not any(a.overlaps(b) for b in frames[:i])
        losses = [text.get_window_extent() for text in axes.texts if text.get_text() == "loss"]
        assert len({round(words.x0, 6) for words in losses}) == 1  # one below the other
        for text in axes.texts:
            words = text.get_window_extent()
            assert figure.bbox.x0 < words.x0 < words.x1 < figure.bbox.x1
            for frame in frames:
                if frame.overlaps(words):
                    assert frame.x0 < words.x0 < words.x1 < frame.x1
                    assert frame.y0 < words.y0 < words.y1 < frame.y1
        legend = axes.get_legend().get_window_extent()
        assert legend.x1 < figure.bbox.x1
        assert not any(frame.overlaps(legend) for frame in frames)


def test_on_every_device(device):
    gan = mlp_gan(features=2, latent=3, width=8, loss="wasserstein-gp", rng=Generator(0))
    gan.discriminator.pool = ImagePool(9, (2,))
    gan = copy.deepcopy(gan).to(device)
    figure = plots.game_diagram(gan, mg.tensor(X, device=device), rng=Generator(3, device=device))
    assert {("generator", "pool", False), ("x", "between", False), ("pool", "between", False)} <= set(
        read(figure)[0][0]
    )
