"""Teach a network to write, character by character, and see how well it guesses what comes next.

A language model gives every next character a probability, given all before it. It is trained by maximum likelihood on a text, 100 kB of
Shakespeare if none is given, and then draws texts of its own:

    p(x) = prod_t p(x_t | x_1 ... x_{t-1})            loss = -E[log p(x_t | x_1 ... x_{t-1})], in nats per character
    recurrent      p(x_t | ...) from a state h_t = cell(x_{t-1}, h_{t-1})          LSTM, GRU or RNN
    transformer    p(x_t | ...) from masked attention to all characters before     Vaswani et al. 2017
    temperature T  x_t ~ softmax(logits / T)                                       T < 1: likely characters grow likelier

It is tested on the last tenth of the text, which it has not read: in bits per character, or as the perplexity, the number of equally likely
characters that would be as hard to guess. Beside it stand counts of one, two and three characters (Shannon 1951).

    python examples/language_model.py                                   # an LSTM of 256 features
    python examples/language_model.py --model gru --scheduled-sampling --out runs/language-student     # trained on its own slips, too
    python examples/language_model.py --model transformer --out runs/language-transformer
    python examples/language_model.py --text genome.txt --out runs/language-genome                     # any text in UTF-8
    python examples/language_model.py --evaluate runs/language_model --prompt "MENENIUS:" --temperature 0.7 --top-k 10
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np

import minigen as mg
from minigen import lessons, metrics, plots
from minigen.backend import Array, to_device
from minigen.data import Batches, TextStreams, load_shakespeare, passage_of, read_text, text_windows
from minigen.lessons import Count, Positive, Range, Share, optional
from minigen.models import NGram, RecurrentLanguageModel, TransformerLanguageModel, TruncatedBackpropagation
from minigen.optim import Adam, cosine
from minigen.random import Generator
from minigen.training import drawing, fit_likelihood, last_drawn, write_atomically

MODELS = {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN", "transformer": "Transformer"}
BASELINES = {"unigrams": 1, "bigrams": 2, "trigrams": 3}
TEMPERATURES = (0.5, 0.8, 1.0, 1.3)  # at which samples are drawn
SHOWN = 480  # characters of the passage whose surprises are drawn
TEACHER = 0.75  # scheduled sampling: the share of true characters that is left at the end


@dataclass(frozen=True, kw_only=True)
class Options(lessons.SamplingOptions):
    length: Count = 400  # characters of a sample
    temperature: Annotated[float | None, Range(0, is_open=True), *optional(float, "T")] = None
    """of the samples, in place of several; below 1 likely characters grow likelier, above 1 unlikely ones"""
    top_k: Annotated[int | None, Range(1), *optional(int, "K")] = None  # draw from the K likeliest characters
    prompt: Annotated[str | None, *optional(str, "TEXT")] = None  # text that the samples continue


@dataclass(frozen=True, kw_only=True)
class Settings(lessons.TrainingSettings):
    text: Annotated[str | None, *optional(str, "FILE")] = None  # what to learn, in UTF-8, in place of Shakespeare
    model: Literal[*MODELS] = "lstm"  # the network
    scheduled_sampling: bool = False
    """let a recurrent network read more and more of its own draws in training, a quarter in the end; it costs likelihood"""
    features: Count = 256  # units of a layer
    dropout: Share = 0.3  # of its outputs, in training
    texts: Count = 32  # read side by side in a step: streams, or the transformer's windows from anywhere
    piece: Count = 64  # characters of each: the reach of backpropagation, or the transformer's window
    steps: Count = 1000  # steps of Adam
    learning_rate: Positive = 4e-3  # Adam's at the start; it falls to 0 along half a cosine
    run: Options = Options()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scheduled_sampling and self.model == "transformer":
            raise ValueError("--scheduled-sampling is for recurrent networks: lstm, gru, rnn")


class Lesson(lessons.TrainingLesson[Settings]):
    evaluation_seed = 20131220

    def __init__(self, s: Settings) -> None:
        super().__init__(s)
        self.text = read_text(s.text) if s.text else load_shakespeare()
        self.training, self.test = self.text.split()
        self.title, characters = f"{MODELS[s.model]}, {self.text.name}", len(self.text.vocabulary)
        self.check()
        texts = max(1, min(s.texts, len(self.training) // s.piece))  # a short text has fewer
        sizes = {"features": s.features, "dropout": s.dropout, "rng": self.rng}
        if s.model == "transformer":
            self.model = self.taught = TransformerLanguageModel(characters, window=s.piece, heads=4, blocks=3, **sizes)
            self.batches = Batches(text_windows(self.training, length=s.piece), batch_size=texts, rng=self.order)
        else:
            self.model = RecurrentLanguageModel(characters, cell=s.model, **sizes)
            self.taught = TruncatedBackpropagation(self.model, streams=texts)  # what the loop trains
            self.batches = TextStreams(self.training, streams=texts, length=s.piece, rng=self.order)
        self.taught.to(self.device)
        self.optimizer = Adam(self.model, learning_rate=cosine(s.learning_rate, steps=s.steps))
        parts = {"model": self.taught, "optimizer": self.optimizer, "batches": self.batches}
        self.run = self.new_run(self.title, rows=25, monitor=lambda: {"test": self.nats(self.model)}, parts=parts)

    def train(self) -> None:
        """Read the text piece by piece, and predict each next character."""
        steps = self.settings.steps
        anneal = {"teacher": lambda step: 1 - (1 - TEACHER) * step / steps} if self.settings.scheduled_sampling else {}
        fit_likelihood(self.taught, self.pieces(), self.optimizer, self.run, rng=self.rng, anneal=anneal)

    def pieces(self) -> Iterator[Any]:
        """Yield what the loss takes: texts, (texts, piece), of streams with a flag for their beginning."""
        for batch in self.batches:
            if isinstance(batch, tuple):
                yield mg.tensor(batch[0], device=self.device), batch[1]
            else:
                yield mg.tensor(batch, device=self.device)

    # ------------------------------------------------------------------------------- what is measured, drawn and told

    def check(self) -> None:
        """Refuse a text that is too short, and a prompt that it cannot have."""
        s = self.settings
        if len(self.training) < s.piece:
            raise ValueError(
                f"{self.text.name} is too short: of its {len(self.text.characters)} characters {len(self.training)} are for training, and "
                f"the {s.model} reads pieces of {s.piece}"
            )
        if s.run.prompt == "":
            raise ValueError("--prompt is empty; leave it out to begin from nothing")
        self.prompt = self.text.encode(s.run.prompt or "")  # (P,)

    def configuration(self) -> dict[str, Any]:
        return super().configuration() | {"text_sha256": self.text.digest()}

    def nats(self, model: mg.nn.Module) -> float:
        """Return -log p of a held-out character, the mean."""
        return metrics.nats_per_character(model, self.test, device=self.device)

    def measure(self) -> dict[str, Any]:
        nats, characters, baselines = self.nats(self.model), len(self.text.vocabulary), {}
        for name, n in BASELINES.items():
            if not NGram.fits(characters, n):
                continue
            counted = self.nats(NGram(self.training, characters=characters, n=n).to(self.device))
            baselines[name] = {"bits_per_character": counted / math.log(2), "perplexity": math.exp(counted)}
        return {
            "text_sha256": self.text.digest(),
            "bits_per_character": nats / math.log(2),
            "perplexity": math.exp(nats),
            "baselines": baselines,
            "vocabulary": self.text.vocabulary,
            "training_characters": len(self.training),
            "test_characters": len(self.test),
            "parameters": self.model.count_parameters(),
        }

    def keep(self) -> None:
        self.write_samples(1)

    def write_samples(self, n: int) -> None:
        """Draw n texts at one temperature after the other, write and print them, unfinished if Ctrl-C ends the drawing."""
        options, drawn = self.settings.run, []
        among = f", among the {options.top_k} likeliest characters" if options.top_k else ""
        for temperature in [options.temperature] if options.temperature else TEMPERATURES:
            done, texts, stopped = last_drawn(self.drawn(n, temperature), np.zeros((0, 0)))
            head = f"----- temperature {temperature:g}{among}"
            drawn += [f"{head}\n{self.text.decode(text)}\n" for text in to_device(texts[:, :done], "cpu")]
            if stopped:
                break
        write_atomically(self.out / "samples.txt", "\n".join(drawn).encode())
        print("\n".join(drawn))
        if stopped or options.sample:
            print(f"written to {self.out}/: samples.txt")
        if stopped:
            raise stopped

    def drawn(self, n: int, temperature: float) -> Iterator[tuple[int, Array]]:
        """Draw texts that begin with the prompt; yield after each character how many are done, and the texts, (N, P + length)."""
        options, start = self.settings.run, len(self.prompt)
        texts = np.zeros((n, start + options.length), np.int64)
        texts[:, :start] = self.prompt
        known = np.arange(texts.shape[1]) < start
        model = self.model.eval().tempered(temperature=temperature, top_k=options.top_k)
        rng = Generator(self.evaluation_seed + self.settings.seed, device=self.device)
        return drawing(model, texts, known, rng=rng)

    def pictures(self, figures: dict[str, Any]) -> Iterator[tuple[str, lessons.Picture]]:
        history, content = self.run.history, self.text.decode(self.test)
        training, test = (np.array(history.column(name)) / math.log(2) for name in ("nats_per_character", "test"))
        baselines = {name: found["bits_per_character"] for name, found in figures["baselines"].items()}
        curves = {"training": training, "test": test, "baselines": baselines, "title": self.title}
        yield "training", plots.language_curves(history.column("step"), **curves)
        passage = passage_of(content, length=SHOWN)
        bits = metrics.surprise(self.model, self.test, device=self.device)[passage] / math.log(2)
        title = f"{self.title}: how much each character of a text that it has not read surprises it"
        yield "surprise", plots.surprise(content[passage], bits, title=title)
        read = mg.tensor(self.test[None, : passage.start + SHOWN], device=self.device)
        with mg.no_grad():
            last = mg.tensor(self.model.eval().predict(read)[:, -1]).to("cpu").numpy()  # (1, K), logits of the last one
        by_temperature = {t: self.model.tempered(temperature=t).conditional for t in (1.0, 0.5, 2.0)}
        guesses = {f"temperature {t:g}": guess.probabilities(last)[0] for t, guess in by_temperature.items()}
        title = f"{self.title}: what may follow “…{' '.join(content[: read.shape[1] - 1][-24:].split())}”"
        yield "temperatures", plots.temperatures(self.text.vocabulary, guesses, title=title)

    def tables(self, figures: dict[str, Any]) -> Iterator[tuple[str, lessons.Rows]]:
        s, line = self.settings, "{bits_per_character:.3f}, {perplexity:.2f}"
        rows = [("held-out text: bits per character, perplexity", line.format(**figures))]
        rows += [(f"  {name}", line.format(**found)) for name, found in figures["baselines"].items()]
        rows += [
            ("characters: training, held out", f"{figures['training_characters']:,}, {figures['test_characters']:,}"),
            ("vocabulary", str(len(figures["vocabulary"]))),
            ("parameters", f"{figures['parameters']:,}"),
        ]
        yield f"{MODELS[s.model]}, {s.steps} steps, seed {s.seed}", rows


def defaults(model: Literal[*MODELS] = "lstm") -> Settings:
    """Return the settings for a network."""
    if model == "rnn":
        return Settings(model=model, dropout=0.2, learning_rate=2e-3)
    if model == "transformer":
        return Settings(model=model, features=128, dropout=0.1, learning_rate=3e-3)
    return Settings(model=model)


if __name__ == "__main__":
    lessons.teach(Lesson, defaults, __doc__)
