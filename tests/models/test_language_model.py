"""Language models: they are distributions, see nothing that comes later, and draw the same with caches and without."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

import minigen as mg
from minigen.data import TextStreams
from minigen.models import NGram, RecurrentLanguageModel, TransformerLanguageModel, TruncatedBackpropagation
from minigen.models.language_model import CELLS, TemperedCategorical
from minigen.optim import Adam
from minigen.random import Generator


def recurrent(characters=3, cell="lstm", **settings):
    return RecurrentLanguageModel(characters, cell=cell, features=6, rng=Generator(1), **settings)


def transformer(characters=3, window=8, **settings):
    return TransformerLanguageModel(
        characters, window=window, features=8, heads=2, blocks=2, rng=Generator(1), **settings
    )


def ngram(characters=3, n=2):
    return NGram(np.random.default_rng(0).integers(0, characters, 40) // 2 * 2 % characters, characters=characters, n=n)


MODELS = {
    "rnn": lambda: recurrent(cell="rnn"),
    "gru": lambda: recurrent(cell="gru"),
    "lstm": recurrent,
    "lstm of two layers": lambda: recurrent(layers=2),
    "transformer": transformer,
    "transformer with a window of 2": lambda: transformer(window=2),
    "transformer with a window of 1": lambda: transformer(window=1),
    "unigrams": lambda: ngram(n=1),
    "trigrams": lambda: ngram(n=3),
}
LEARNED = [name for name in MODELS if not name.endswith("grams")]


def of(name):
    """The model in float64, its conditionals far from uniform."""
    model = MODELS[name]()
    for tensor in [*model.parameters(), *model.named_buffers().values()]:
        tensor.data = tensor.data.astype("float64")
    if name in LEARNED:
        model.last.weight.data *= 3.0
    return model


def texts_of(characters, length):
    return np.array(list(itertools.product(range(characters), repeat=length)))


def log_prob(model, x):
    with mg.no_grad():
        found = model.log_prob(x)
    return found.data if isinstance(found, mg.Tensor) else found


# ---------------------------------------------------------------------------------------------------------- distributions


@pytest.mark.parametrize("name", MODELS)
def test_the_probabilities_of_all_texts_sum_to_one(name):
    model, every = of(name), texts_of(3, 3)
    assert np.exp(log_prob(model, every)).max() > 1.5 / 27  # it is not uniform
    for tempered in (model, model.tempered(temperature=0.6), model.tempered(temperature=2.5, top_k=2)):
        p = np.exp(log_prob(tempered, every))
        assert abs(p.sum() - 1) < 1e-10
    assert log_prob(model, every).dtype == np.float64


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("length", [1, 7])
def test_one_pass_gives_the_sum_of_the_steppers_conditionals(name, length):
    model, x = of(name), np.random.default_rng(2).integers(0, 3, (4, length))
    total = np.zeros(4)
    with mg.no_grad():
        stepper = model.stepper(4)
        for i in range(length):
            parameters = stepper.parameters(x, i)
            total += model.conditional.log_prob(parameters, x[:, i])
    np.testing.assert_allclose(log_prob(model, x), total, rtol=0, atol=1e-10)
    with mg.no_grad():
        surprise = mg.tensor(model.surprise(x)).data
    np.testing.assert_allclose(surprise.sum(axis=1), -total, rtol=0, atol=1e-10)


def test_samples_have_the_frequencies_of_the_enumerated_distribution():
    for name in ("lstm", "transformer with a window of 2", "trigrams"):
        model = of(name).tempered(temperature=1.3)
        drawn = Counter(map(tuple, model.sample(4000, length=3, rng=Generator(3)).tolist()))
        every = texts_of(3, 3)
        p = np.exp(log_prob(model, every))
        assert chisquare([drawn[tuple(x)] for x in every.tolist()], 4000 * p / p.sum()).pvalue > 1e-3


def test_a_uniform_model_has_the_vocabularys_size_as_its_perplexity():
    for model in (recurrent(7), transformer(7)):
        model.last.weight.data[...] = 0
        model.last.bias.data[...] = 0
        _, terms = model.loss(np.random.default_rng(0).integers(0, 7, (3, 5)))
        assert math.exp(terms["nats_per_character"].item()) == pytest.approx(7, rel=1e-6)


# --------------------------------------------------------------------------------------------------------------- causality


@pytest.mark.parametrize("name", ["rnn", "gru", "lstm", "lstm of two layers", "transformer"])
def test_logits_depend_on_what_was_read_before_and_on_nothing_else(name):
    model, length = of(name), 6
    features = model.embedding.weight.shape[1]
    embedded = mg.tensor(Generator(2).normal((1, length, features), dtype="float64"), requires_grad=True)
    model.embedding = lambda before: embedded
    logits = model.logits(np.zeros((1, length), int))
    for t in range(length):
        # The sum of softmax's inputs would do, but layers that are normalized may leave it unchanged.
        slope = mg.grad(logits[0, t, 0], embedded, retain_graph=True).data[0]
        assert (slope[t + 1 :] == 0).all()
        assert (np.abs(slope[: t + 1]).max(axis=1) > 1e-8).all()


@pytest.mark.parametrize("window", [1, 2, 3, 4, 5, 20])
def test_a_transformer_sees_the_window_that_it_says(window):
    model, length = transformer(window=window), 13
    for parameter in model.parameters():
        parameter.data = parameter.data.astype("float64")
    x = np.random.default_rng(0).integers(0, 3, (1, length))
    with mg.no_grad():
        before = model.predict(x).data[0]
        for s in range(length):
            other = x.copy()
            other[0, s] = (x[0, s] + 1) % 3
            changed = np.abs(model.predict(other).data[0] - before).max(axis=1) > 1e-9
            for t in range(length):
                fresh = window - window // 2
                first = 0 if t < window else fresh * ((t - window) // fresh + 1)
                assert changed[t] == (first <= s < t)
                assert t < window or window // 2 <= t - first <= window - 1


# ----------------------------------------------------------------------------------------------------------------- samples


@settings(max_examples=15)
@given(st.data())
def test_with_caches_the_same_texts_are_drawn_as_without(data):
    characters, n, length = (data.draw(st.integers(a, b)) for a, b in ((2, 6), (1, 4), (1, 12)))
    seed = data.draw(st.integers(0, 1000))
    if data.draw(st.booleans()):
        model = RecurrentLanguageModel(
            characters,
            cell=data.draw(st.sampled_from(sorted(CELLS))),
            features=data.draw(st.integers(1, 20)),
            layers=data.draw(st.integers(1, 3)),
            rng=Generator(seed),
        )
    else:
        heads = data.draw(st.integers(1, 3))
        model = TransformerLanguageModel(
            characters,
            window=data.draw(st.integers(1, 14)),
            features=heads * data.draw(st.integers(1, 4)),
            heads=heads,
            blocks=data.draw(st.integers(1, 2)),
            rng=Generator(seed),
        )
    model.last.weight.data *= 5.0
    plain, cached = (model.sample(n, length=length, rng=Generator(seed), cached=cached) for cached in (False, True))
    np.testing.assert_array_equal(plain, cached)
    assert plain.shape == (n, length)
    assert plain.dtype == np.int64
    assert 0 <= plain.min() <= plain.max() < characters


@pytest.mark.parametrize("name", MODELS)
def test_a_prompt_stays_and_what_follows_depends_on_it(name):
    model = of(name)
    prompt = np.array([[0, 1, 2], [2, 2, 1]])
    found = model.extend(prompt, 5, rng=Generator(1))
    assert found.shape == (2, 8)
    np.testing.assert_array_equal(found[:, :3], prompt)
    np.testing.assert_array_equal(found, model.extend(prompt, 5, rng=Generator(1), cached=False))
    # The next character has the distribution that one pass gives it.
    many = model.extend(np.repeat(prompt[:1], 2000, axis=0), 1, rng=Generator(2))[:, 3]
    with mg.no_grad():
        parameters = mg.tensor(model.predict(found[:1, :4])).data[0, 3]
    expected = np.exp(parameters - parameters.max())
    assert chisquare(np.bincount(many, minlength=3), 2000 * expected / expected.sum()).pvalue > 1e-3


def test_a_prompt_may_be_a_list():
    model, prompt = recurrent(), [[0, 1, 2], [2, 2, 1]]
    found = model.extend(prompt, 5, rng=Generator(1))
    np.testing.assert_array_equal(found, model.extend(np.array(prompt), 5, rng=Generator(1)))
    assert found.dtype == np.int64


def test_known_characters_amid_a_text_stay():
    model, x = of("gru"), np.array([[9, 9, 2, 9, 1]])
    found = model.complete(x, np.array([False, False, True, False, True]), rng=Generator(0))
    assert (found[0, 2], found[0, 4]) == (2, 1)
    assert found.max() <= 2
    np.testing.assert_array_equal(x, [[9, 9, 2, 9, 1]])


def test_dropout_is_of_training_alone():
    for model in (recurrent(layers=2, dropout=0.5), transformer(dropout=0.5)):
        x = np.array([[0, 1, 2, 0, 1]])
        with mg.no_grad():
            one, other = (model.predict(x).data for _ in range(2))
            assert np.abs(one - other).max() > 1e-3
            model.eval()
            stepper, expected = model.stepper(1), model.predict(x).data[0]
            for i in range(5):
                np.testing.assert_allclose(stepper.parameters(x, i)[0], expected[i], atol=1e-5)


@pytest.mark.parametrize("cached", [True, False])
def test_samples_are_drawn_without_dropout_whatever_the_mode(cached):
    for make in (lambda **more: recurrent(layers=2, **more), transformer):
        model, expected = make(dropout=0.5), make().eval().sample(3, length=12, rng=Generator(4))
        masks = model.dropout.rng.state()
        np.testing.assert_array_equal(model.sample(3, length=12, rng=Generator(4), cached=cached), expected)
        known = np.arange(12) < 5
        np.testing.assert_array_equal(model.complete(expected, known, rng=Generator(6), cached=cached),
                                      make().complete(expected, known, rng=Generator(6)))  # fmt: skip
        model.extend(expected[:, :2], 3, rng=Generator(5), cached=cached)
        assert model.dropout.rng.state() == masks


def test_between_two_characters_and_after_an_error_each_part_is_in_its_own_mode():
    model = transformer(dropout=0.5)
    model.blocks[0].eval()
    modes = {name: part.training for name, part in model.named_modules().items()}
    assert set(modes.values()) == {True, False}

    def found():
        return {name: part.training for name, part in model.named_modules().items()}

    steps = model.fill(np.zeros((1, 4), int), rng=Generator(0))
    assert [(t, found()) for t in itertools.islice(steps, 3)] == [(1, modes), (2, modes), (3, modes)]
    model.eval()
    next(steps)
    assert not any(found().values())

    model.train()
    steps = model.fill(np.zeros((1, 4), int), rng=Generator(0))
    next(steps)
    model.last.weight.data = model.last.weight.data[:3]
    with pytest.raises(ValueError, match=r"matmul|linear"):
        next(steps)
    assert all(found().values())


@settings(max_examples=20)
@given(st.integers(2, 8), st.floats(0.2, 5), st.integers(1, 9), st.integers(0, 999))
def test_temperature_and_top_k_make_exactly_the_distribution_that_is_said(levels, temperature, k, seed):
    logits = np.random.default_rng(seed).normal(size=(4, levels))
    conditional = TemperedCategorical(levels, temperature=temperature, top_k=k)
    for row, found in zip(np.exp(logits), conditional.probabilities(logits), strict=True):
        kept = sorted(range(levels), key=lambda i: -row[i])[:k]
        weights = np.array([row[i] ** (1 / temperature) if i in kept else 0.0 for i in range(levels)])
        np.testing.assert_allclose(found, weights / weights.sum(), rtol=1e-9, atol=1e-12)
    with np.errstate(divide="ignore"):
        expected = np.log(conditional.probabilities(logits)[:, 0])
    np.testing.assert_allclose(conditional.log_prob(logits, np.zeros(4, int)), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("temperature", [5e-324, 1e-300, 1e-39, 1e-20])
def test_towards_temperature_0_the_likeliest_alone_remain(temperature, dtype):
    logits = np.array(
        [[3.0, 9.0, 9.0, -400.0], [-700.0, -701.0, -1e9, -float("inf")], [1e-3, 0.0, -1e-3, -1e-3]], dtype
    )
    cold, likeliest = TemperedCategorical(4, temperature=temperature), TemperedCategorical(4, top_k=1)
    found = cold.probabilities(logits)
    np.testing.assert_array_equal(found, [[0, 0.5, 0.5, 0], [1, 0, 0, 0], [1, 0, 0, 0]])
    np.testing.assert_array_equal(found, likeliest.probabilities(logits))
    assert found.dtype == dtype
    for x in range(4):
        x = np.full(3, x)
        log_p, expected = cold.log_prob(logits, x), likeliest.log_prob(logits, x)
        np.testing.assert_array_equal(log_p[expected > -1], expected[expected > -1])
        assert (log_p[expected == -np.inf] < -1e6).all()
    y = mg.tensor(logits, requires_grad=True)
    assert np.isfinite(mg.grad(mg.sum(cold.log_prob(y, np.array([1, 0, 0]))), y).data).all()


def test_at_the_highest_temperatures_all_that_is_possible_is_alike():
    hot = TemperedCategorical(4, temperature=1e300, top_k=2).probabilities(np.array([[1, 2, 3, -np.inf]], "float32"))
    np.testing.assert_array_equal(hot, [[0, 0.5, 0.5, 0]])


def test_a_tempered_model_shares_the_weights_and_leaves_the_model_as_it_was():
    model = recurrent()
    bold = model.tempered(top_k=1)
    assert bold.parameters() == model.parameters()
    assert type(model.conditional) is not TemperedCategorical
    x = bold.sample(1, length=4, rng=Generator(0))
    assert log_prob(bold, x) == pytest.approx(0)
    assert log_prob(model, x) < -1


# ---------------------------------------------------------------------------------------------- truncated backpropagation


@pytest.mark.parametrize("cell", sorted(CELLS))
def test_one_piece_has_the_gradient_of_the_whole_text(cell):
    model, x = of(cell), np.random.default_rng(0).integers(0, 3, (4, 10))
    loss, _ = model.loss(x)
    expected = mg.grad(loss, model.parameters())
    found, _ = TruncatedBackpropagation(model, streams=4).loss((x, True), rng=Generator(0))
    assert found.item() == pytest.approx(loss.item(), rel=1e-12)
    for slope, wanted in zip(mg.grad(found, model.parameters()), expected, strict=True):
        np.testing.assert_allclose(slope.data, wanted.data, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["rnn", "gru", "lstm", "lstm of two layers"])
def test_pieces_with_the_state_carried_over_are_one_long_pass(name):
    model, x = of(name), np.random.default_rng(0).integers(0, 3, (4, 15))
    lesson = TruncatedBackpropagation(model, streams=4)
    for _ in range(2):  # the second time from the beginning again
        losses = [lesson.loss((x[:, t : t + 5], t == 0), rng=Generator(0))[0].item() for t in (0, 5, 10)]
        assert np.mean(losses) == pytest.approx(model.loss(x)[0].item(), rel=1e-10)
    assert len({round(loss, 6) for loss in losses}) == 3


def test_the_gradient_stays_within_a_piece():
    model, x = of("lstm"), np.random.default_rng(0).integers(0, 3, (4, 10))
    lesson = TruncatedBackpropagation(model, streams=4)
    lesson.loss((x[:, :5], True), rng=Generator(0))
    carried = tuple(part.data.copy() for part in lesson.carried)
    loss, _ = lesson.loss((x[:, 5:], False), rng=Generator(0))
    logits, _ = model(x[:, 4:-1], carried)
    expected = mg.grad(-mg.mean(model.conditional.log_prob(logits, x[:, 5:])), model.parameters())
    whole = mg.grad(mg.mean(model.surprise(x)[:, 5:]), model.parameters())
    slopes = mg.grad(loss, model.parameters())
    for slope, wanted in zip(slopes, expected, strict=True):
        np.testing.assert_allclose(slope.data, wanted.data, rtol=1e-9, atol=1e-12)
    assert max(np.abs(a.data - b.data).max() for a, b in zip(slopes, whole, strict=True)) > 1e-4


def test_before_any_piece_the_streams_stand_at_the_beginning_of_a_text():
    x = np.random.default_rng(0).integers(0, 3, (2, 6))
    losses = [TruncatedBackpropagation(recurrent(), streams=2).loss((x, begins), rng=Generator(0))[0].item()
              for begins in (False, True)]  # fmt: skip
    assert losses[0] == losses[1]


def test_the_states_are_saved():
    x = np.random.default_rng(0).integers(0, 3, (2, 12))
    one, other = (TruncatedBackpropagation(recurrent(), streams=2) for _ in range(2))
    one.loss((x[:, :6], True), rng=Generator(0))
    other.load_state(one.state())
    following = [lesson.loss((x[:, 6:], False), rng=Generator(0))[0].item() for lesson in (one, other)]
    assert following[0] == following[1]


def read_by(lesson, batch):
    """The characters that the network read, and the loss."""
    model, seen = lesson.model, []
    forward = model.forward
    model.forward = lambda before, state=None: (seen.append(before.copy()), forward(before, state))[1]
    loss, _ = lesson.loss(batch, rng=Generator(5))
    del model.forward
    return seen[0], loss.item()


def test_scheduled_sampling_reads_its_own_draws():
    model, x = recurrent(4), np.random.default_rng(0).integers(0, 4, (50, 40))
    lesson = TruncatedBackpropagation(model, streams=50)
    read, _ = read_by(lesson, (x, True))
    assert (read[:, 0] == 4).all()
    np.testing.assert_array_equal(read[:, 1:], x[:, :-1])

    model.last.bias.data[:] = [0, 0, 60, 0]  # it always draws 2
    for teacher in (0.0, 0.3, 0.8):
        lesson.teacher = teacher
        read, loss = read_by(lesson, (x, True))
        others = x[:, :-1] != 2
        assert ((read[:, 1:] == x[:, :-1]) | (read[:, 1:] == 2)).all()
        assert abs((read[:, 1:] == x[:, :-1])[others].mean() - teacher) < 0.05
        with mg.no_grad():  # the loss is that of the true text, after what was read
            expected = -model.conditional.log_prob(model.logits(read), x).data.mean()
        assert loss == pytest.approx(expected, rel=1e-5)
    following, _ = read_by(lesson, (x, False))
    np.testing.assert_array_equal(following[:, 0], x[:, -1])


def test_own_draws_are_those_of_the_states_that_own_draws_led_to():
    """With e = 0 what is read is a sample: its frequencies are those of the model's own texts."""
    model = of("gru")
    lesson = TruncatedBackpropagation(model, streams=3000, teacher=0.0)
    read, _ = read_by(lesson, (np.zeros((3000, 3), int), True))
    every = texts_of(3, 2)
    p = np.exp(log_prob(model, every))
    drawn = Counter(map(tuple, read[:, 1:].tolist()))
    assert chisquare([drawn[tuple(x)] for x in every.tolist()], 3000 * p / p.sum()).pvalue > 1e-3


# -------------------------------------------------------------------------------------------------------------- it learns


@pytest.mark.parametrize("kind", [*sorted(CELLS), "transformer"])
def test_a_periodic_text_is_learned(kind):
    text, rng = np.tile([0, 1, 0, 2], 60), Generator(0)
    if kind == "transformer":
        model = taught = TransformerLanguageModel(3, window=8, features=16, heads=2, blocks=1, rng=rng)
        batches = iter([text[t : t + 8] for t in range(4)] for _ in range(10_000))
        batches = (np.array(batch) for batch in batches)
    else:
        model = RecurrentLanguageModel(3, cell=kind, features=16, rng=rng)
        taught = TruncatedBackpropagation(model, streams=4)
        batches = TextStreams(text, streams=4, length=12, rng=Generator(1))
    optimizer = Adam(model, learning_rate=2e-2)
    for _ in range(100):
        optimizer.zero_grad()
        loss, _ = taught.loss(next(batches), rng=rng)
        loss.backward()
        optimizer.step()
    with mg.no_grad():
        surprise = model.surprise(text[None, :24]).data[0]
    assert surprise[3:].mean() < 0.05
    bold = model.tempered(top_k=1)
    np.testing.assert_array_equal(bold.extend(text[None, :5], 20, rng=rng)[0], text[:25])


# ------------------------------------------------------------------------------------------------------------------ n-grams


@settings(max_examples=15)
@given(st.lists(st.integers(0, 2), min_size=1, max_size=30), st.integers(1, 4))
def test_ngrams_are_those_counted_by_hand(text, n):
    model = NGram(np.array(text), characters=3, n=n)
    padded = [3] * (n - 1) + text

    def p(context, x):
        shorter = p(context[1:], x) if context else 1 / 3
        follow = [
            padded[i + len(context)]
            for i in range(n - 1 - len(context), len(padded) - len(context))
            if tuple(padded[i : i + len(context)]) == context
        ]
        if not follow:
            return shorter
        return (follow.count(x) + len(set(follow)) * shorter) / (len(follow) + len(set(follow)))

    for context in itertools.product(range(4), repeat=n - 1):
        row = 0
        for character in context:
            row = 4 * row + character
        found = np.exp(model.log_probabilities.data[row])
        np.testing.assert_allclose(found, [p(context, x) for x in range(3)], rtol=1e-5)


def test_longer_contexts_know_more_of_a_text_with_memory():
    text = np.tile([0, 1, 1, 0, 2], 100)
    nats = [-log_prob(NGram(text, characters=3, n=n), text[None])[0] / len(text) for n in (1, 2, 3)]
    assert nats[0] == pytest.approx(-(0.8 * math.log(0.4) + 0.2 * math.log(0.2)), abs=0.01)  # the unigrams' entropy
    assert nats[0] > nats[1] + 0.3 > nats[2] + 0.5


def test_the_loss_of_ngrams_is_their_mean_surprise():
    text = np.tile([0, 1, 1, 0, 2], 5)
    model = NGram(text, characters=3, n=2)
    loss, terms = model.loss(text.reshape(5, 5))
    assert loss.item() == pytest.approx(-log_prob(model, text.reshape(5, 5)).sum() / 25, rel=1e-6)
    assert terms["nats_per_character"].item() == loss.item()


def test_whole_numbers_of_any_kind_are_characters():
    text = np.array([0, 2, 1, 1, 0, 2])
    counted = [
        NGram(text.astype(dtype), characters=3, n=2).log_probabilities.data for dtype in ("int64", "float32", "uint8")
    ]
    np.testing.assert_array_equal(counted[1], counted[0])
    np.testing.assert_array_equal(counted[2], counted[0])
    lessons = [TruncatedBackpropagation(recurrent(), streams=2) for _ in range(2)]
    losses = [[lesson.loss((piece.reshape(2, 3), begins), rng=Generator(0))[0].item() for begins in (True, False)]
              for lesson, piece in zip(lessons, (text, text.astype("float32")), strict=True)]  # fmt: skip
    assert losses[0] == losses[1]
    assert lessons[1].read_last.dtype == np.int64


# ------------------------------------------------------------------------------------------------------------------ devices


@pytest.mark.parametrize("name", ["rnn", "gru", "lstm of two layers", "transformer with a window of 2", "trigrams"])
def test_on_a_device_texts_are_measured_and_drawn(name, device):
    model, there = MODELS[name](), MODELS[name]().to(device)
    x = np.random.default_rng(0).integers(0, 3, (2, 5))
    found = there.tempered(top_k=2).extend(mg.tensor(x, device=device).data, 4, rng=Generator(1, device=device))
    expected = model.tempered(top_k=2).extend(x, 4, rng=Generator(1))
    np.testing.assert_array_equal(mg.tensor(found).to("cpu").numpy(), expected)
    with mg.no_grad():
        on_device = mg.tensor(there.log_prob(mg.tensor(x, device=device))).to("cpu").numpy()
    np.testing.assert_allclose(on_device, log_prob(model, x), rtol=1e-5)


def test_on_a_device_streams_are_read_on(device):
    losses = []
    for place in ("cpu", device):
        lesson = TruncatedBackpropagation(recurrent(), streams=2, teacher=0.5).to(place)
        x = mg.tensor(np.random.default_rng(0).integers(0, 3, (2, 12)), device=place)
        rng = Generator(0, device=place)
        for t in (0, 6):
            loss, _ = lesson.loss((x[:, t : t + 6], t == 0), rng=rng)
            loss.backward()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


# ---------------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        (lambda model: model.tempered(temperature=0.0), "temperature = 0.0 must be above 0 and finite; .* say top_k=1"),
        (lambda model: model.tempered(temperature=-1.0), "temperature = -1.0 must be above 0"),
        (lambda model: model.tempered(top_k=0), "top_k = 0, expected a whole number of at least 1"),
        (lambda model: model.tempered(top_k=2.5), "top_k = 2.5, expected a whole number"),
        (lambda model: model.extend(np.zeros((1, 0), int), 5, rng=Generator(0)), r"the prompt \(N, P\) has shape \(1, 0\)"),
        (lambda model: model.extend(np.array([[0, 3]]), 5, rng=Generator(0)),
         "1 of 2 values are not characters of a vocabulary of 3, the first is 3; expected whole numbers from 0 to 2"),
        (lambda model: model.extend([0, 1], 5, rng=Generator(0)), r"the prompt \(N, P\) has shape \(2,\)"),
        (lambda model: model.log_prob(np.array([[0, -1]])), "are not characters of a vocabulary of 3, the first is -1"),
        (lambda model: model.log_prob(np.array([[0, 0.5, np.nan]])), r"2 of 3 values are not characters .* the first is 0\.5"),
        (lambda model: model.log_prob(np.zeros((2, 0), int)), r"shape \(2, 0\), expected texts \(N, T\) with T >= 1"),
        (lambda model: model.log_prob(np.zeros(5, int)), r"shape \(5,\), expected texts"),
        (lambda model: model.predict(np.zeros((1, 2), int), np.zeros(1, int)), "condition"),
        (lambda model: model.sample(2, length=0, rng=Generator(0)), r"x has shape \(2, 0\), expected \(N, T\) with T >= 1"),
        (lambda model: list(model.fill(np.zeros(5, int), rng=Generator(0))), r"x has shape \(5,\), expected \(N, T\)"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_in_words(mistake, words):
    for model in (recurrent(), transformer(), ngram()):
        with pytest.raises(ValueError, match=words):
            mistake(model)


def test_bad_settings_are_refused_in_words():
    with pytest.raises(ValueError, match="cell = 'LSTM', expected one of rnn, gru, lstm"):
        RecurrentLanguageModel(3, cell="LSTM", rng=Generator(0))
    with pytest.raises(ValueError, match="characters = 1 must be at least 2"):
        RecurrentLanguageModel(1, rng=Generator(0))
    with pytest.raises(ValueError, match="length = 0 at least 1"):
        TransformerLanguageModel(3, window=0, rng=Generator(0))
    with pytest.raises(ValueError, match=r"its table of 61\^7 contexts of 60 characters"):
        NGram(np.zeros(5, int), characters=60, n=8)
    with pytest.raises(ValueError, match="are not characters of a vocabulary of 3, the first is 5"):
        NGram(np.array([0, 5]), characters=3, n=2)
    with pytest.raises(ValueError, match=r"are not characters of a vocabulary of 3, the first is 0\.5"):
        NGram(np.array([0, 0.5]), characters=3, n=2)
    with pytest.raises(ValueError, match=r"teacher = 1\.5 a probability"):
        TruncatedBackpropagation(recurrent(), streams=2, teacher=1.5)
    with pytest.raises(ValueError, match=r"shape \(3, 4\), expected \(N, T\) with N = 2 streams"):
        TruncatedBackpropagation(recurrent(), streams=2).loss((np.zeros((3, 4), int), True), rng=Generator(0))
    with pytest.raises(ValueError, match=r"TruncatedBackpropagation: x has shape \(2, 0\), .* with T >= 1"):
        TruncatedBackpropagation(recurrent(), streams=2).loss((np.zeros((2, 0), int), True), rng=Generator(0))
    with pytest.raises(
        ValueError, match=r"TruncatedBackpropagation: 8 of 8 values are not characters .* the first is 3"
    ):
        TruncatedBackpropagation(recurrent(), streams=2).loss((np.full((2, 4), 3), True), rng=Generator(0))
