"""The example of language models: what it writes, of any alphabet; runs that are broken off, resumed, evaluated again."""

import re

import numpy as np
import pytest
from matplotlib.figure import Figure

from minigen import lessons, plots
from minigen.models import LanguageModel, TruncatedBackpropagation
from minigen.models.language_model import RecurrentStepper

from .running import (
    ended,
    entries,
    figures_in,
    files_in,
    interrupted,
    loaded,
    refusal,
    run_alone,
    run_here,
    without_time,
)


@pytest.fixture
def gene(tmp_path):
    """A text of four letters in which each depends on the one before."""
    rng, letters = np.random.default_rng(0), ["A"]
    for _ in range(299):
        letters.append(rng.choice(list("ACGT"), p=np.roll([0.7, 0.1, 0.1, 0.1], "ACGT".index(letters[-1]) + 1)))
    path = tmp_path / "gene.txt"
    path.write_text("".join(letters))
    return str(path)


def run(monkeypatch, out, gene, *options):
    short = ["--text", gene, "--steps", "6", "--length", "12", "--no-plots"]
    return run_here(monkeypatch, "language_model", out, *short, *options)


def refused(monkeypatch, out, *options):
    """Run it where it is to end before its time; return its last words."""
    return ended(monkeypatch, "language_model", *options, "--out", out)


def samples_in(out):
    """The texts in samples.txt by what stands above them."""
    parts = re.split(r"----- (.*)\n", (out / "samples.txt").read_text())[1:]
    return [(head, text.rstrip("\n")) for head, text in zip(parts[::2], parts[1::2], strict=True)]


# ------------------------------------------------------------------------------------------------------------- what it leaves


def test_a_gene_is_learned_like_any_text(gene, tmp_path, monkeypatch):
    out = tmp_path / "out"
    figures = run_here(
        monkeypatch, "language_model", out, "--text", gene, "--steps", "12", "--length", "12", "--no-plots"
    )
    assert figures["vocabulary"] == "ACGT"
    assert (figures["training_characters"], figures["test_characters"]) == (270, 30)
    assert figures["perplexity"] == pytest.approx(2 ** figures["bits_per_character"])
    assert figures["baselines"]["unigrams"]["bits_per_character"] > 1.9  # every letter is as frequent as the others
    assert figures["baselines"]["bigrams"]["bits_per_character"] < 1.8
    found = samples_in(out)
    assert [head for head, _ in found] == [f"temperature {t}" for t in ("0.5", "0.8", "1", "1.3")]
    assert all(re.fullmatch("[ACGT]{12}", text) for _, text in found)
    assert files_in(out) == {"checkpoint.safetensors", "metrics.json", "samples.txt"}


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("lstm", {"features": 256, "dropout": 0.3, "learning_rate": 4e-3}),
        ("gru", {"features": 256, "dropout": 0.3, "learning_rate": 4e-3}),
        ("rnn", {"features": 256, "dropout": 0.2, "learning_rate": 2e-3}),
        ("transformer", {"features": 128, "dropout": 0.1, "learning_rate": 3e-3}),
    ],
)
def test_each_network_has_settings_of_its_own(model, expected):
    found = lessons.read_command_line(loaded("language_model")["defaults"], ["--model", model])
    expected |= {"model": model, "texts": 32, "piece": 64, "steps": 1000}
    assert {name: getattr(found, name) for name in expected} == expected


@pytest.mark.slow
def test_the_guess_that_is_drawn_is_of_the_character_after_the_words_in_its_title(gene, tmp_path, monkeypatch):
    titles = []
    monkeypatch.setattr(plots, "temperatures", lambda *_, title: titles.append(title) or Figure())
    run_here(monkeypatch, "language_model", tmp_path / "out", "--text", gene, "--steps", "1", "--length", "3")
    with open(gene) as file:
        assert titles == [f"LSTM, gene.txt: what may follow “…{file.read()[-25:-1]}”"]


@pytest.mark.slow
def test_figures_outlive_pictures_that_fail(gene, tmp_path, monkeypatch):
    monkeypatch.setattr(plots, "language_curves", None)
    with pytest.raises(
        SystemExit, match=r"the figures are in .*metrics\.json, but this failed:\n.*pictures: TypeError"
    ):
        run_here(monkeypatch, "language_model", tmp_path / "out", "--text", gene, "--steps", "1", "--length", "3")
    assert figures_in(tmp_path / "out")["steps"] == 1


@pytest.mark.slow
@pytest.mark.parametrize("model", ["gru", "rnn", "transformer"])
def test_every_model_runs(model, gene, tmp_path, monkeypatch):
    figures = run(monkeypatch, tmp_path / "out", gene, "--model", model)
    assert 1 < figures["bits_per_character"] < 4
    (_, bold), *_ = samples_in(tmp_path / "out")
    assert re.fullmatch("[ACGT]{12}", bold)


@pytest.mark.slow
def test_the_plays_are_read_where_no_text_is_given(tmp_path, monkeypatch):
    figures = run_here(monkeypatch, "language_model", tmp_path, "--steps", "1", "--length", "3", "--no-plots")
    assert figures["training_characters"] + figures["test_characters"] == 99_843
    assert figures["baselines"]["trigrams"]["bits_per_character"] == pytest.approx(2.68, abs=0.01)


# -------------------------------------------------------------------------------------------- broken off, resumed, evaluated


@pytest.mark.slow
@pytest.mark.parametrize("options", [["--scheduled-sampling"], ["--model", "transformer"]])
def test_a_run_that_is_broken_off_and_resumed_ends_as_an_unbroken_one(options, gene, tmp_path, monkeypatch):
    expected = run(monkeypatch, tmp_path / "unbroken", gene, *options)
    broken, owner = tmp_path / "broken", LanguageModel if "transformer" in options else TruncatedBackpropagation
    short = ["--text", gene, "--steps", "6", "--length", "12", "--no-plots", *options]
    # In the fourth step the streams are at their second pass.
    words = interrupted(monkeypatch, "language_model", broken, *short, where=(owner, "loss"), after=4)
    assert re.search(r"stopped after 4 of 6 steps; .*; the same command with --resume goes on from there", words)
    assert without_time(run(monkeypatch, broken, gene, "--resume", *options)) == without_time(expected)
    one, other = (entries(tmp_path / name / "checkpoint.safetensors") for name in ("unbroken", "broken"))
    assert one == other
    assert samples_in(broken) == samples_in(tmp_path / "unbroken")


@pytest.mark.slow
def test_a_finished_run_is_evaluated_and_sampled_from_again(gene, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    expected = run(monkeypatch, out, gene, "--seed", "3")
    (out / "metrics.json").unlink()
    again = run_here(monkeypatch, "language_model", out, "--evaluate", out, "--no-plots", "--length", "12")
    assert without_time(again) == without_time(expected)
    assert again["command"].endswith("--length 12")

    before = (out / "metrics.json").read_bytes()
    run(monkeypatch, out, gene, "--sample", "3", "--prompt", "GATT", "--temperature", "0.7", "--top-k", "2")
    samples = samples_in(out)
    assert [head for head, _ in samples] == ["temperature 0.7, among the 2 likeliest characters"] * 3
    assert all(re.fullmatch("GATT[ACGT]{12}", text) for _, text in samples)
    assert len({text for _, text in samples}) > 1
    assert (out / "metrics.json").read_bytes() == before
    assert capsys.readouterr().out.endswith(f"written to {out}/: samples.txt\n")


@pytest.mark.slow
def test_sampling_can_be_broken_off_and_what_is_drawn_stays(gene, tmp_path, monkeypatch):
    out = tmp_path / "out"
    run(monkeypatch, out, gene)
    expected = samples_in(out)[0][1]
    parameters, steps = RecurrentStepper.parameters, []

    def parameters_with_ctrl_c(self, x, i):
        steps.append(i)
        if len(steps) == 8:
            raise KeyboardInterrupt
        return parameters(self, x, i)

    monkeypatch.setattr(RecurrentStepper, "parameters", parameters_with_ctrl_c)
    words = refused(monkeypatch, out, "--sample", "1", "--length", "12")
    assert words == "\nstopped after 7 of 12 steps of drawing; what was trained is kept"
    assert samples_in(out) == [("temperature 0.5", expected[:7])]


# ------------------------------------------------------------------------------------------------------------------ bad input


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--prompt", "GAUT"], r"error: Text.encode: 'U' is not in the vocabulary of gene.txt; the first is 'U', at place 2"),
        (["--prompt", ""], "error: --prompt is empty"),
        (["--text", "none.txt"], "error: read_text: there is no file none.txt"),
    ],
)  # fmt: skip
def test_mistakes_end_with_a_sentence(options, words, gene, tmp_path, monkeypatch):
    assert re.match(words, refused(monkeypatch, tmp_path / "out", "--text", gene, *options))
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_texts_that_are_empty_or_too_short_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "text.txt"
    for content, words in (
        ("", "text.txt is empty"),
        ("GATTACA" * 5, "of its 35 characters 31 are for training, .* pieces of 64"),
    ):
        path.write_text(content)
        assert re.search(words, refused(monkeypatch, tmp_path / "out", "--text", str(path)))


def test_a_transformer_has_no_scheduled_sampling(monkeypatch, capsys):
    words = refusal(capsys, monkeypatch, "language_model", "--model", "transformer", "--scheduled-sampling")
    assert "--scheduled-sampling is for recurrent networks" in words


@pytest.mark.parametrize(
    ("option", "value"), [("--temperature", "0"), ("--temperature", "-1"), ("--top-k", "0"), ("--length", "0")]
)
def test_samples_have_a_length_a_temperature_and_candidates(option, value, monkeypatch, capsys):
    assert f"{option}: " in refusal(capsys, monkeypatch, "language_model", option, value)


@pytest.mark.slow
def test_another_text_is_another_run(gene, tmp_path, monkeypatch):
    out = tmp_path / "out"
    run(monkeypatch, out, gene)
    with open(gene, "a") as file:
        file.write("GATTACA")
    assert "text_sha256" in refused(monkeypatch, out, "--text", gene, "--steps", "6")


# ------------------------------------------------------------------------------------------------------------- how well it reads


@pytest.mark.slow
def test_the_default_network_knows_more_than_trigrams(tmp_path):
    _, figures = run_alone("language_model", tmp_path, "--no-plots")
    assert figures["bits_per_character"] < figures["baselines"]["trigrams"]["bits_per_character"] - 0.1
