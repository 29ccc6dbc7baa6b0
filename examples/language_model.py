"""Teach a network to write, character by character, and see how well it guesses what comes next.

A language model gives every next character a probability, given all before it. It is trained by maximum likelihood on a text, 100 kB of
Shakespeare where none is given, and then draws texts of its own. How good it is, is measured on the last tenth of the text, which it has
not read: in bits per character, or as the perplexity, the number of equally likely characters that would be as hard to guess. Counts of
one, two and three characters stand beside it (Shannon 1951), which need no training at all.

    python examples/language_model.py                                  # an LSTM of 256 features
    python examples/language_model.py --model gru --scheduled-sampling --out runs/language-student     # trained on its own slips, too
    python examples/language_model.py --model transformer --out runs/language-transformer
    python examples/language_model.py --text genome.txt --out runs/language-genome                     # any text in UTF-8
    python examples/language_model.py --evaluate runs/language_model --prompt "MENENIUS:" --temperature 0.7 --top-k 10

It writes samples.txt, pictures (the training, which characters of a passage surprised the model, what temperatures do), metrics.json and
a checkpoint into the folder --out. Ctrl-C ends the training after the step under way; the same command with --resume goes on from there,
to the same result bit by bit. Ctrl-C amid --sample keeps what is drawn by then.
"""

import argparse
import hashlib
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

import minigen as mg
from minigen import plots
from minigen.backend import Array, to_device
from minigen.data import Batches, Text, TextStreams, load_shakespeare, read_text, text_windows
from minigen.models import (
    LanguageModel,
    NGram,
    RecurrentLanguageModel,
    TransformerLanguageModel,
    TruncatedBackpropagation,
)
from minigen.optim import Adam, cosine
from minigen.random import Generator
from minigen.training import (
    CHECKPOINT,
    Run,
    add_run_options,
    at_least,
    drawing,
    fit_likelihood,
    last_drawn,
    plain_errors,
    positive,
    recall,
    run_program,
    table,
    versions,
    write_atomically,
    write_metrics,
)

MODELS = {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN", "transformer": "Transformer"}
BASELINES = {"unigrams": 1, "bigrams": 2, "trigrams": 3}
TEMPERATURES = (0.5, 0.8, 1.0, 1.3)  # at which samples are drawn
SHOWN = 480  # characters of the passage whose surprises are drawn
ROWS = 25  # of the history
TEACHER = 0.75  # scheduled sampling: the share of true characters that is left at the end
EVALUATION_SEED = 20131220

# What makes a run what it is; a checkpoint keeps these, and a resumed run must have the same.
SETTINGS = ("model", "text", "text_sha256", "scheduled_sampling", "seed")


class Setting(NamedTuple):
    """How a model is built and trained."""

    features: int
    dropout: float
    texts: int  # read side by side in a step: streams, or windows from anywhere
    piece: int  # characters of each: the reach of backpropagation, or the transformer's window
    learning_rate: float  # of Adam, at first; it falls to 0 along half a cosine
    steps: int


TRAINING = {
    "lstm": Setting(features=256, dropout=0.3, texts=32, piece=64, learning_rate=4e-3, steps=1000),
    "gru": Setting(features=256, dropout=0.3, texts=32, piece=64, learning_rate=4e-3, steps=1000),
    "rnn": Setting(features=256, dropout=0.2, texts=32, piece=64, learning_rate=2e-3, steps=1000),
    "transformer": Setting(features=128, dropout=0.1, texts=32, piece=64, learning_rate=3e-3, steps=1000),
}


def main() -> None:
    arguments = parse_arguments()
    with plain_errors():
        is_trained = recall(arguments, SETTINGS)
        text = read_text(arguments.text) if arguments.text else load_shakespeare()
        arguments.text_sha256 = hashlib.sha256(text.characters.tobytes() + text.vocabulary.encode()).hexdigest()[:16]
        if arguments.prompt == "":
            raise ValueError("--prompt is empty; leave it out to begin from nothing")
        prompt = text.encode(arguments.prompt or "")
        lesson = Lesson(text, arguments)
        lesson.run.begin(resume=is_trained or arguments.resume, overwrite=arguments.overwrite)
    if not is_trained:
        lesson.learn()
    lesson.model.eval()
    if arguments.sample:
        write_samples(lesson, prompt)
        return
    figures = measure(lesson)
    write_metrics(arguments.out / "metrics.json", figures)
    write_samples(lesson, prompt)
    if not arguments.no_plots:
        draw(lesson, figures)
    report(figures, arguments)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options = parser.add_argument_group("text and model (default)")
    options.add_argument(
        "--text", type=str, metavar="FILE", help="what to learn, in UTF-8 (100 kB of Shakespeare's Coriolanus)"
    )
    options.add_argument("--model", choices=MODELS, default="lstm", help="the network (lstm)")
    options.add_argument("--steps", type=at_least(1), help="steps of Adam (1000)")
    options.add_argument(
        "--scheduled-sampling",
        action="store_true",
        help=f"in training, let a recurrent network read more and more of its own draws, {100 - 100 * TEACHER:.0f} %% in the end, at the "
        "cost of likelihood (off)",
    )
    options = parser.add_argument_group("samples (default)")
    options.add_argument("--length", type=at_least(1), default=400, help="characters of a sample (400)")
    options.add_argument(
        "--temperature",
        type=positive,
        help="below 1 the likely characters grow likelier, above 1 the unlikely ones "
        f"({', '.join(map(str, TEMPERATURES))}, one after the other)",
    )
    options.add_argument(
        "--top-k", type=at_least(1), metavar="K", help="draw from the K likeliest characters; 1: no chance (all)"
    )
    options.add_argument("--prompt", help="what the samples go on from (nothing)")
    add_run_options(parser, out="runs/language_model")
    arguments = parser.parse_args()
    if arguments.scheduled_sampling and arguments.model == "transformer":
        parser.error("--scheduled-sampling is for recurrent networks: lstm, gru, rnn")
    arguments.steps = arguments.steps or TRAINING[arguments.model].steps
    return arguments


class Lesson:
    """The text, the model, what trains it, and the run that counts its steps."""

    def __init__(self, text: Text, arguments: argparse.Namespace) -> None:
        self.text, self.arguments, self.device = text, arguments, arguments.device
        self.training, self.test = text.split()
        self.setting = setting = TRAINING[arguments.model]
        if len(self.training) < setting.piece:
            raise ValueError(
                f"{text.name} is too short: of its {len(text.characters)} characters {len(self.training)} are for training, and the "
                f"{arguments.model} reads pieces of {setting.piece}"
            )
        characters = len(text.vocabulary)
        texts = max(1, min(setting.texts, len(self.training) // setting.piece))  # a short text has fewer
        self.rng = Generator(arguments.seed, device=self.device)
        self.order = Generator(arguments.seed + 2**32)
        self.model: LanguageModel
        self.taught: LanguageModel | TruncatedBackpropagation  # what the loop trains
        self.batches: TextStreams | Batches
        if arguments.model == "transformer":
            self.model = self.taught = TransformerLanguageModel(
                characters,
                window=setting.piece,
                features=setting.features,
                heads=4,
                blocks=3,
                dropout=setting.dropout,
                rng=self.rng,
            )
            windows = text_windows(self.training, length=setting.piece)
            self.batches = Batches(windows, batch_size=texts, rng=self.order)
        else:
            self.model = RecurrentLanguageModel(
                characters, cell=arguments.model, features=setting.features, dropout=setting.dropout, rng=self.rng
            )
            self.taught = TruncatedBackpropagation(self.model, streams=texts)
            self.batches = TextStreams(self.training, streams=texts, length=setting.piece, rng=self.order)
        self.taught.to(self.device)
        self.optimizer = Adam(self.model, learning_rate=cosine(setting.learning_rate, steps=arguments.steps))
        self.run = Run(
            steps=arguments.steps,
            every=max(1, arguments.steps // ROWS),
            label=f"{MODELS[arguments.model]}, {text.name}",
            monitor=lambda: {"test": self.nats_per_character(self.model, self.test)},
            checkpoint=arguments.out / CHECKPOINT,
            parts={
                "model": self.taught,
                "optimizer": self.optimizer,
                "noise": self.rng,
                "batches": self.batches,
                "order": self.order,
            },
            configuration={name: getattr(arguments, name) for name in SETTINGS} | setting._asdict(),
        )

    def learn(self) -> None:
        """Train until the run's last step."""
        steps = self.arguments.steps
        anneal = {"teacher": lambda step: 1 - (1 - TEACHER) * step / steps} if self.arguments.scheduled_sampling else {}
        fit_likelihood(self.taught, self.on_device(), self.optimizer, self.run, rng=self.rng, anneal=anneal)

    def on_device(self) -> Iterator[Any]:
        """Yield what the loss takes."""
        for batch in self.batches:
            if isinstance(batch, tuple):
                yield mg.tensor(batch[0], device=self.device), batch[1]
            else:
                yield mg.tensor(batch, device=self.device)

    def surprise(self, model: LanguageModel, characters: np.ndarray) -> np.ndarray:
        """Return -log p of each character of a text given all before it, in nats, (T,)."""
        was_training = model.training
        with mg.no_grad():
            nats = model.eval().surprise(mg.tensor(characters[None], device=self.device))[0]
        model.train(was_training)
        return mg.tensor(nats).to("cpu").numpy()

    def nats_per_character(self, model: LanguageModel, characters: np.ndarray) -> float:
        """Return the mean of -log p over a text."""
        return float(self.surprise(model, characters).mean(dtype=np.float64))

    def drawn(self, prompt: np.ndarray, temperature: float) -> Iterator[tuple[int, Array]]:
        """Draw texts that begin with a prompt, (P,); yield after each character how many are done, and the texts, (N, P + length)."""
        arguments = self.arguments
        texts = np.zeros((arguments.sample or 1, len(prompt) + arguments.length), np.int64)
        texts[:, : len(prompt)] = prompt
        known = np.arange(texts.shape[1]) < len(prompt)
        model = self.model.tempered(temperature=temperature, top_k=arguments.top_k)
        return drawing(model, texts, known, rng=Generator(EVALUATION_SEED + arguments.seed, device=self.device))


def write_samples(lesson: Lesson, prompt: np.ndarray) -> None:
    """Draw texts at one temperature after the other, write and print them, unfinished where Ctrl-C ends the drawing."""
    arguments = lesson.arguments
    drawn: dict[float, Array] = {}
    for temperature in [arguments.temperature] if arguments.temperature else TEMPERATURES:
        done, texts, stopped = last_drawn(lesson.drawn(prompt, temperature), np.zeros((0, 0)))
        drawn[temperature] = texts[:, :done]
        if stopped:
            break
    among = f", among the {arguments.top_k} likeliest characters" if arguments.top_k else ""
    samples = "\n".join(
        f"----- temperature {temperature:g}{among}\n{lesson.text.decode(text)}\n"
        for temperature, texts in drawn.items()
        for text in to_device(texts, "cpu")
    )
    write_atomically(arguments.out / "samples.txt", samples.encode())
    print(samples)
    if arguments.sample or stopped:
        print(f"written to {arguments.out}/: samples.txt")
    if stopped:
        raise stopped


def measure(lesson: Lesson) -> dict:
    """Return the surprise at the held-out text, of the model and of counts; and the settings."""
    characters = len(lesson.text.vocabulary)
    nats = lesson.nats_per_character(lesson.model, lesson.test)
    baselines = {}
    for name, n in BASELINES.items():
        counts = NGram(lesson.training, characters=characters, n=n).to(lesson.device)
        counted = lesson.nats_per_character(counts, lesson.test)
        baselines[name] = {"bits_per_character": counted / math.log(2), "perplexity": math.exp(counted)}
    return lesson.run.configuration | {
        "steps": lesson.run.steps,
        "bits_per_character": nats / math.log(2),
        "perplexity": math.exp(nats),
        "baselines": baselines,
        "vocabulary": lesson.text.vocabulary,
        "training_characters": len(lesson.training),
        "test_characters": len(lesson.test),
        "parameters": sum(parameter.size for parameter in lesson.model.parameters()),
        "seconds": round(lesson.run.seconds, 1),
        "versions": versions(),
    }


def draw(lesson: Lesson, figures: dict) -> None:
    """Write the course of the training, the surprises of a passage, and what temperatures do to one guess."""
    arguments, text, history = lesson.arguments, lesson.text, lesson.run.history
    title = f"{MODELS[arguments.model]}, {text.name}"
    figure = plots.language_curves(
        history.column("step"),
        training=np.array(history.column("nats_per_character")) / math.log(2),
        test=np.array(history.column("test")) / math.log(2),
        baselines={name: baseline["bits_per_character"] for name, baseline in figures["baselines"].items()},
        title=title,
    )
    plots.save(figure, arguments.out / f"training.{arguments.format}")

    bits = lesson.surprise(lesson.model, lesson.test) / math.log(2)
    content = text.decode(lesson.test)
    passage = passage_amid(content)
    figure = plots.surprise(
        content[passage],
        bits[passage],
        title=f"{title}: how much each character of a text that it has not read surprises it",
    )
    plots.save(figure, arguments.out / f"surprise.{arguments.format}")

    with mg.no_grad():
        read = mg.tensor(lesson.test[None, : passage.start + SHOWN], device=lesson.device)
        last = (
            mg.tensor(lesson.model.predict(read)[:, -1]).to("cpu").numpy()
        )  # the logits of the last character, (1, K)
    guesses = {
        f"temperature {temperature:g}": lesson.model.tempered(temperature=temperature).conditional.probabilities(last)[
            0
        ]
        for temperature in (1.0, 0.5, 2.0)
    }
    before = " ".join(content[: read.shape[1] - 1][-24:].split())
    figure = plots.temperatures(text.vocabulary, guesses, title=f"{title}: what may follow “…{before}”")
    plots.save(figure, arguments.out / f"temperatures.{arguments.format}")


def passage_amid(content: str) -> slice:
    """Return where the passage is: after a blank line amid the text, if enough follows it; with whole lines, if they are short."""
    latest = max(0, len(content) - SHOWN)
    middle = min(len(content) // 2, latest)
    blank = content.find("\n\n", middle, latest)
    first = blank + 2 if blank >= 0 else middle
    end = content.rfind("\n", first + SHOWN // 2, first + SHOWN) + 1
    return slice(first, end or first + SHOWN)


def report(figures: dict, arguments: argparse.Namespace) -> None:
    rows = [
        ("bits per character, held-out text", f"{figures['bits_per_character']:.3f}"),
        ("perplexity", f"{figures['perplexity']:.2f}"),
    ]
    for name, baseline in figures["baselines"].items():
        rows.append(
            (f"  {name}: bits, perplexity", f"{baseline['bits_per_character']:.3f}, {baseline['perplexity']:.2f}")
        )
    rows += [
        ("characters: training, held out", f"{figures['training_characters']:,}, {figures['test_characters']:,}"),
        ("vocabulary", str(len(figures["vocabulary"]))),
        ("parameters", f"{figures['parameters']:,}"),
        ("seconds of training", f"{figures['seconds']:.1f}"),
    ]
    print(table(rows, f"{MODELS[arguments.model]}, {arguments.steps} steps, seed {arguments.seed}"))
    print(f"written to {arguments.out}/: " + ", ".join(sorted(path.name for path in arguments.out.iterdir())))


if __name__ == "__main__":
    run_program(main)
