"""The figures of docs/figures.md: what each is about, where its value is read from, what it is compared with, and the aim it was given.

Values are never typed: each is looked up in the files of benchmarks/results/. What is typed is what others have published, what is known
exactly, and the aims.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from results import Results, Source

Look = Callable[[Results], Source]


class Figure(NamedTuple):
    """One row of a table.

    Attributes:
        what: it is, with its unit.
        look: finds its value.
        command: gives it; {} in it stands for several values.
        reference: a figure of others, or an exact one; None where there is none.
        source: of the reference.
        at_most: the aim, where less is better.
        at_least: the aim, where more is better.
        digits: behind the point.
    """

    what: str
    look: Look
    command: str
    reference: float | None = None
    source: str = ""
    at_most: float | None = None
    at_least: float | None = None
    digits: int = 2


class Section(NamedTuple):
    """A table with its heading and what a reader should know before it."""

    title: str
    text: str
    figures: list[Figure]


# ------------------------------------------------------------------------------------------------- where values are read from


def trained(command: str, path: str, *, sign: float = 1.0) -> Look:
    """Look up a figure in the metrics.json of a run, by the command that made it and a path in it."""

    def look(results: Results) -> Source:
        row = results.training(command)
        return Source(sign * entry(row["metrics"], path), row["machine"])

    return look


def over_seeds(command: str, path: str, how: Callable[[list[float]], Any]) -> Look:
    """Look up one figure of all seeds of a command, and sum them up."""

    def look(results: Results) -> Source:
        rows = results.trainings_of_all_seeds(command)
        return Source(float(how([entry(row["metrics"], path) for row in rows])), rows[0]["machine"])

    return look


def entry(metrics: Any, path: str) -> float:
    """Return what stands at a path of names with slashes between them; a last name "mean" is the mean of a list."""
    for name in path.split("/"):
        metrics = np.mean(metrics) if name == "mean" else metrics[name]
    return float(metrics)


def timed(file: str, column: str, **which: Any) -> Look:
    """Look up a column of the one row of a file that has these entries."""

    def look(results: Results) -> Source:
        (row,) = results.rows(file, **which)
        return Source(float(row[column]), results.machine(file))

    return look


def mean_of(file: str, column: str, **which: Any) -> Look:
    """Look up the geometric mean of a column of all rows that have these entries."""

    def look(results: Results) -> Source:
        values = [row[column] for row in results.rows(file, **which)]
        return Source(float(np.exp(np.mean(np.log(values)))), results.machine(file))

    return look


def largest(file: str, column: str) -> Look:
    """Look up the largest entry of a column."""

    def look(results: Results) -> Source:
        return Source(float(max(row[column] for row in results.rows(file))), results.machine(file))

    return look


# ------------------------------------------------------------------------------------------------------------ the tables

GAN = "python examples/gan_1d.py"
DYNAMICS = "python examples/gan_dynamics.py --seeds 5"
PCA = "python examples/pca_vs_autoencoder.py --data mnist"
CVAE = "python examples/cvae.py --data mnist"
MADE = "python examples/made.py --data mnist --binarization static --ordering random --steps 9000"
BELIEF_NET = "python examples/made.py --model belief-net --data mnist"
PIXELCNN = "python examples/pixelcnn.py --data mnist --no-classes --model plain --features 32"
LANGUAGE = "python examples/language_model.py"
LIN = "Lin et al. 2018"
BURDA = "Burda et al. 2016, 3,280 passes"
SOHN = "Sohn et al. 2015"

GANS = [
    Figure("GAN on two Gaussians: W1 of 50,000 samples, median of seeds 0 to 4",
           over_seeds(GAN, "wasserstein1", np.median), f"{GAN} --seed {{}}", 0.010, "an exact sampler", at_most=0.10, digits=3),
    Figure("the same, worst of seeds 0 to 4", over_seeds(GAN, "wasserstein1", max), f"{GAN} --seed {{}}", 0.010, "an exact sampler",
           at_most=0.20, digits=3),
    *(
        Figure(f"the same, {loss} loss", trained(f"{GAN} --loss {loss}", "wasserstein1"), f"{GAN} --loss {loss}", 0.010,
               "an exact sampler", at_most=0.25, digits=3)
        for loss in ("wasserstein", "wasserstein-gp", "reverse-kl")
    ),
    Figure("GAN on Old Faithful: W1 in minutes", trained(f"{GAN} --target faithful", "wasserstein1"), f"{GAN} --target faithful",
           digits=3),
    *(
        Figure(f"bilinear game: growth of the distance in a step, {way}", trained(DYNAMICS, f"bilinear/{way}/growth"), DYNAMICS, exact,
               "exact", digits=6)
        for way, exact in (("simultaneous", 1.0198039), ("alternating", 1.0), ("extragradient", 0.9806121))
    ),
    *(
        Figure(f"modes covered on the {data}, mean of 5 seeds: {name}", trained(DYNAMICS, f"coverage/{data}/{method}/modes/mean"),
               DYNAMICS, reference, LIN if reference else "", at_least=aim, digits=1)
        for data, method, name, reference, aim in (
            ("ring", "gan", "GAN", 6.3, None), ("ring", "pacgan2", "PacGAN2", 7.9, None), ("ring", "wgan-gp", "WGAN-GP", None, 7.5),
            ("grid", "gan", "GAN", 17.3, None), ("grid", "pacgan2", "PacGAN2", 23.8, None), ("grid", "wgan-gp", "WGAN-GP", None, 23.0),
        )
    ),
]  # fmt: skip

DCGAN, CONDITIONAL = "python examples/dcgan.py", "python examples/conditional_gan.py"
CONDITIONAL_MNIST = f"{CONDITIONAL} --data mnist --steps 8000"
FACES = f"{DCGAN} --data faces --steps 3000"
IMAGE_GANS = [
    *(
        Figure(f"{name}: Fréchet distance{of}", trained(command, f"frechet{key}"), command)
        for name, command in (
            ("digits, DCGAN", DCGAN), ("digits, conditional", CONDITIONAL), ("MNIST, DCGAN", f"{DCGAN} --data mnist"),
            ("MNIST, conditional", CONDITIONAL_MNIST),
        )
        for of, key in (("", ""), (", real images against each other", "_real"))
    ),
    *(
        Figure(f"{name}: real images read correctly, taught by {by}", trained(command, f"{key}_accuracy"), command, digits=4)
        for name, command in (("digits", CONDITIONAL), ("MNIST", CONDITIONAL_MNIST))
        for by, key in (("generated ones (GAN-train)", "gan_train"), ("real ones", "real"))
    ),
    *(
        Figure(f"MNIST: test images of the class of the nearest of as many {which} images",
               trained(CONDITIONAL_MNIST, f"neighbour_accuracy{key}"), CONDITIONAL_MNIST, digits=4)
        for which, key in (("generated", ""), ("real", "_real"))
    ),
    Figure("digits: AUROC of the distance to the nearest training image, samples against test images", trained(DCGAN, "copying_auroc"),
           DCGAN, 0.5, "nothing copied", digits=3),
    Figure("the same, learnt from 50 images", trained(f"{DCGAN} --memorize 50", "copying_auroc"), f"{DCGAN} --memorize 50", 0.5,
           "nothing copied", digits=3),
    *(
        Figure(f"faces: sums of means of {of} z whose glasses and smile are right", trained(FACES, f"arithmetic_right_of_{of}"), FACES,
               at_least=aim)
        for of, aim in ((3, None), (50, 0.8))
    ),
    Figure("the same, among all generated faces", trained(FACES, "arithmetic_chance"), FACES),
]  # fmt: skip

FOUNDATIONS = [
    Figure("Gaussian by maximum likelihood: largest difference to the closed form",
           trained("python examples/gaussian_mle.py", "largest_difference"), "python examples/gaussian_mle.py", 0.0, "exact", digits=7),
    *(
        Figure(f"standard deviation of a gradient estimate, {name.replace('_', ' ')}",
               trained("python examples/reparameterization.py", f"{name}/standard_deviation"),
               "python examples/reparameterization.py", exact, "exact", digits=2)
        for name, exact in (("score_function", 5.477), ("reparameterized", 2.0))
    ),
    Figure("held-out digits read correctly, worst of seeds 0 to 4", over_seeds("python examples/digits_conv.py", "accuracy", min),
           "python examples/digits_conv.py --seed {}", at_least=0.97, digits=4),
    Figure("MNIST's test set read correctly", trained("python examples/digits_conv.py --data mnist", "accuracy"),
           "python examples/digits_conv.py --data mnist", at_least=0.985, digits=4),
]  # fmt: skip

LATENTS = [
    Figure("MNIST, squared error of 30 numbers an image: PCA", trained(PCA, "test_error/pca"), PCA, 13.87, "Hinton & Salakhutdinov 2006",
           at_most=13.88),
    Figure("the same, linear autoencoder", trained(PCA, "test_error/linear"), PCA, 13.866, "PCA's optimum, exact", at_most=14.0),
    Figure("the same, deep autoencoder 784-1000-500-250-30", trained(PCA, "test_error/deep"), PCA, 3.00, "Hinton & Salakhutdinov 2006",
           at_most=4.0),
    Figure("MNIST, dynamic bits: -log p(x) by L_5000, VAE 784-200-200-50, 300 passes",
           trained("python examples/vae.py --data mnist", "log_likelihood", sign=-1), "python examples/vae.py --data mnist", 86.76, BURDA,
           at_most=88.5),
    Figure("the same, importance-weighted, k = 5", trained("python examples/vae.py --data mnist --k 5", "log_likelihood", sign=-1),
           "python examples/vae.py --data mnist --k 5", 85.54, BURDA, at_most=87.3),
    Figure("MNIST, three quadrants from one: nats a conditional VAE gains over independent pixels, by the bound",
           trained(CVAE, "gap_bound"), CVAE, 28.6, SOHN, at_least=25.0, digits=1),
    Figure("the same, by 100 draws from q", trained(CVAE, "gap_importance"), CVAE, 28.6, SOHN, at_least=25.0, digits=1),
    Figure("the same, by 100 draws from the prior", trained(CVAE, "gap_prediction"), CVAE, 28.6, SOHN, at_least=25.0, digits=1),
    *(
        Figure(f"held-out digits: {gap.replace('_', ' ')} of a VAE, nats",
               trained("python examples/vae_amortization.py", f"inference/encoder, held-out images/{gap}"),
               "python examples/vae_amortization.py")
        for gap in ("approximation_gap", "amortization_gap")
    ),
]  # fmt: skip

AUTOREGRESSIVE = [
    Figure("MNIST, dynamic bits: exact -log p(x), belief net, 50 passes", trained(BELIEF_NET, "test_log_likelihood", sign=-1), BELIEF_NET,
           96.58, "an independent run of 50 passes", at_most=96.8),
    Figure("MNIST, static bits: MADE of 500 units, one random order; the best of several settings, by the test images",
           trained(MADE, "test_log_likelihood", sign=-1), MADE, 94.5, "Germain et al. 2015, validation", at_most=95.0),
    Figure("MNIST, dynamic bits: PixelCNN of 20,000 weights", trained(f"{PIXELCNN} --steps 5600", "test_log_likelihood", sign=-1),
           f"{PIXELCNN} --steps 5600", 81.45, "an independent run of 457 passes", at_most=96.58),
    Figure("the same, 37,000 weights, 23 passes", trained(f"{PIXELCNN} --layers 10 --steps 22000", "test_log_likelihood", sign=-1),
           f"{PIXELCNN} --layers 10 --steps 22000", 81.45, "an independent run of 457 passes", at_most=96.58),
    *(
        Figure(f"Shakespeare, bits per held-out character: {name}", trained(f"{LANGUAGE}{options}", "bits_per_character"),
               f"{LANGUAGE}{options}")
        for name, options in (
            ("LSTM", ""), ("GRU", " --model gru"), ("RNN", " --model rnn"), ("transformer", " --model transformer"),
            ("LSTM, scheduled sampling", " --scheduled-sampling"), ("GRU, scheduled sampling", " --model gru --scheduled-sampling"),
            ("RNN, scheduled sampling", " --model rnn --scheduled-sampling"),
        )
    ),
    Figure("the same, counts of three characters", trained(LANGUAGE, "baselines/trigrams/bits_per_character"), LANGUAGE),
]  # fmt: skip

STEPS = [
    Figure(f"{name}: time relative to PyTorch's best setting", timed("steps-cpu", "ratio", name=row), "python benchmarks/steps.py",
           at_most=aim)
    for name, row, aim in (
        ("GAN in one dimension", "gan_1d", 0.4), ("WGAN-GP in one dimension", "wgan_gp", 0.5), ("ConvNet classifier", "classifier", 1.0),
        ("VAE with convolutions", "vae", 1.0), ("VAE of fully connected layers", "vae_mlp", 0.7),
        ("diffusion U-Net with attention", "unet", 1.0), ("PixelCNN", "pixelcnn", 0.8), ("gated PixelCNN", "gated_pixelcnn", 0.8),
        ("Row LSTM", "row_lstm", 0.8), ("Diagonal BiLSTM", "diagonal_bilstm", 0.8), ("LSTM language model", "lstm", 1.0),
        ("transformer language model", "transformer", 1.0),
    )
] + [
    Figure("all of them, geometric mean of time", mean_of("steps-cpu", "ratio"), "python benchmarks/steps.py", at_most=0.8),
    Figure("all of them, geometric mean of peak memory", mean_of("steps-cpu", "peak_ratio"), "python benchmarks/steps.py", at_most=1.1),
] + [
    Figure(f"{name}: time relative to PyTorch's best setting", timed("gan-steps-cpu", "ratio", name=row),
           "python benchmarks/steps.py --models dcgan wgan_gp_images conditional", at_most=aim)
    for name, row, aim in (
        ("DCGAN, 32 x 32", "dcgan", 0.9), ("WGAN-GP on images, 32 x 32", "wgan_gp_images", 0.8),
        ("conditional DCGAN, 64 x 64, half the width", "conditional", None),
    )
]  # fmt: skip

SAMPLING = [
    Figure(f"{name}: drawing 16 examples, in forward passes of that batch", timed("sampling-cpu", "passes", model=row, batch=16),
           "python benchmarks/sampling.py", float(sites), "without a cache", at_most=15.0, digits=1)
    for name, row, sites in (
        ("PixelCNN, 784 pixels", "pixelcnn", 784), ("gated PixelCNN", "gated_pixelcnn", 784), ("Row LSTM", "row_lstm", 784),
        ("Diagonal BiLSTM", "diagonal_bilstm", 784), ("MADE", "made", 784), ("LSTM, 128 characters", "lstm", 128),
        ("transformer, 128 characters", "transformer", 128),
    )
] + [
    Figure("L_5000 of 10,000 images, at the measured speed: minutes", timed("log-likelihood-cpu", "minutes"),
           "python benchmarks/log_likelihood.py", at_most=15.0, digits=1),
    Figure("the same: share of the peak of a matrix product", timed("log-likelihood-cpu", "peak_share"),
           "python benchmarks/log_likelihood.py"),
]  # fmt: skip


def operation(what: str, kernel: str, passes: tuple[str, ...], aim: float) -> list[Figure]:
    """Return the figures of the compiled kernels of one name, one for each pass."""
    return [
        Figure(f"{what}, {which}", mean_of("kernels-cpu", "ratio", kernel=kernel, implementation="numba", **{"pass": which}),
               "python benchmarks/kernels.py", at_most=aim)
        for which in passes
    ]  # fmt: skip


GRADIENTS = ("forward", "input gradient", "weight gradient")
OPERATIONS = [
    *operation("plain convolutions, eleven layers", "convolution", GRADIENTS, 1.0),
    *operation("masked convolutions, six layers", "masked convolution", GRADIENTS, 0.6),
    *operation("transposed convolutions, seven layers", "transposed convolution", GRADIENTS, 1.0),
    *operation("attention", "attention", ("forward", "backward"), 1.0),
    *operation("causal attention", "causal attention", ("forward", "backward"), 1.0),
    *(row for name in ("LSTM", "GRU", "RNN") for row in operation(name, name, ("forward", "backward"), 1.0)),
    *(
        row
        for name in ("batch norm", "group norm", "layer norm", "softmax")
        for row in operation(name, name, ("forward", "backward"), 0.8)
    ),
    *(
        row
        for name in ("silu", "gelu", "sigmoid", "tanh", "softplus")
        for row in operation(f"{name} of 3 million numbers", name, ("forward", "input gradient"), 0.8)
    ),
]

ENGINE = [
    *(
        Figure(f"{name} on 16 numbers, forward and backward", timed("overhead-cpu", "ratio", name=f"{name}, forward and backward"),
               "python benchmarks/overhead.py", at_most=0.5)
        for name in ("add", "multiply", "exp", "tanh", "matmul")
    ),
    Figure("a chain of 200 operations, forward and backward",
           timed("overhead-cpu", "ratio", name="chain of 200, forward and backward"), "python benchmarks/overhead.py", at_most=0.5),
    Figure("a penalty on a gradient, double backward",
           timed("overhead-cpu", "ratio", name="penalty on a gradient, double backward"), "python benchmarks/overhead.py", at_most=0.5),
    Figure("`import minigen` beyond `import numpy`, milliseconds",
           timed("overhead-cpu", "minigen_ms", name="import minigen, beyond numpy"), "python benchmarks/overhead.py", at_most=150.0,
           digits=0),
    *(
        Figure(f"share of a {step} step spent in {part}, one thread", timed("breakdown-cpu", "share", name=f"{row}: {part}"),
               "python benchmarks/breakdown.py")
        for step, row in (("GAN", "gan_1d"), ("WGAN-GP", "wgan_gp"))
        for part in ("BLAS", "kernels", "NumPy", "Python")
    ),
    Figure("CUDA kernels, compute capability 9.0: most registers", largest("cuda-resources-sm90", "registers"),
           "python benchmarks/cuda_resources.py", digits=0),
    Figure("the same: most spilled bytes", largest("cuda-resources-sm90", "spilled bytes"), "python benchmarks/cuda_resources.py",
           at_most=0.0, digits=0),
]  # fmt: skip

SECTIONS = [
    Section("Foundations", "", FOUNDATIONS),
    Section("Adversarial networks", "", GANS),
    Section("Adversarial networks on images", "A Fréchet distance belongs to the network whose features it compares, here a small one that "
            "the program trains on the same images, and to the number of images; so real images stand beside generated ones. No "
            "likelihood of a GAN can be measured.", IMAGE_GANS),
    Section("Autoencoders and latent variables", "Errors are squared differences of pixels in [0, 1], summed over an image. "
            "Log-likelihoods are in nats per image.", LATENTS),
    Section("Autoregressive models", "", AUTOREGRESSIVE),
    Section("Training steps against PyTorch", "Below 1, minigen is faster. PyTorch has the best of its settings.", STEPS),
    Section("Drawing and evaluating", "", SAMPLING),
    Section("Operations against PyTorch", "Geometric means over the layers of models, relative to PyTorch; below 1, minigen is faster.",
            OPERATIONS),
    Section("The engine's own cost", "Ratios are times relative to PyTorch.", ENGINE),
]  # fmt: skip
