"""The examples on hostile inputs: each is refused before the training, or leaves its figures, its pictures and its table."""

import itertools
import re
import warnings

import numpy as np
import pytest

from minigen.data import load_digits

from .running import SMALLEST, figures_in, files_in, run_here

IMAGES = [
    "conditional_gan", "cvae", "dcgan", "denoising_autoencoder", "digits_conv", "gan_losses", "made", "pca_vs_autoencoder", "pixelcnn",
    "pixelrnn", "segmentation", "transfer", "vae", "vae_amortization",
]  # fmt: skip
SMALL = {
    "conditional_gan": ["--batch-size", "20"],
    "dcgan": ["--batch-size", "20"],
    "gan_losses": ["--batch-size", "20", "--seeds", "1"],
    "cvae": ["--hidden", "20", "--batch-size", "20"],
    "denoising_autoencoder": ["--hidden", "20", "--batch-size", "20"],
    "digits_conv": ["--batch-size", "20"],
    "made": ["--hidden", "20", "--batch-size", "20"],
    "pca_vs_autoencoder": ["--code", "8", "--hidden", "20", "--batch-size", "20"],
    "pixelcnn": ["--batch-size", "20"],
    "pixelrnn": ["--batch-size", "20"],
    "segmentation": ["--batch-size", "20", "--widths", "4", "8"],
    "transfer": ["--labels", "10", "--batch-size", "20"],
    "vae": ["--hidden", "20", "--latent", "2", "--batch-size", "20"],
    "vae_amortization": ["--images", "100", "--held-out", "12", "--hidden", "20", "--batch-size", "20"],
}  # fmt: skip


def idx(array):
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes()


def image_folder(folder, kind):
    """Write the four files of a data set of MNIST's form."""
    digits = load_digits()
    images, labels = 15 * digits.images[..., 0], digits.labels  # (1797, 8, 8)
    noise, classes = np.random.default_rng(0).integers(0, 256, (160, 8, 8)), np.arange(160) % 10
    if kind in ("one class", "two classes"):
        chosen = labels < (1 if kind == "one class" else 2)
        images, labels = images[chosen], labels[chosen]
    elif kind in ("black", "white"):
        images, labels = np.full((160, 8, 8), 255 * (kind == "white")), classes
    elif kind in ("one pixel", "narrow"):
        height, width = (1, 1) if kind == "one pixel" else (3, 5)
        images, labels = noise[:, :height, :width], classes
    elif kind == "one test image":
        images, labels = images[:121], labels[:121]
    held_out = {"one test image": 1, "few test images": 3}.get(kind, 40)
    for name, array in (("train", images[held_out:160]), ("t10k", images[:held_out])):
        (folder / f"{name}-images-idx3-ubyte").write_bytes(idx(array))
    for name, array in (("train", labels[held_out:160]), ("t10k", labels[:held_out])):
        (folder / f"{name}-labels-idx1-ubyte").write_bytes(idx(array))


def survives(monkeypatch, capsys, name, out, *options):
    """Run an example, with warnings as errors: it must be refused before its training, or end well."""
    said = None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            run_here(monkeypatch, name, out, *SMALLEST[name], *options)
        except SystemExit as end:
            said = end.code
    if said is not None:
        assert said == 2 or re.match("error: (?!the figures are)", str(said)), said
        assert not out.exists()
        return
    assert figures_in(out)
    assert any(file.endswith(".png") for file in files_in(out))
    assert f"written to {out}/: " in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    ["one class", "two classes", "black", "white", "one pixel", "narrow", "few test images", "one test image"],
)
@pytest.mark.parametrize("name", IMAGES)
def test_images_that_are_hostile(name, kind, tmp_path, monkeypatch, capsys):
    image_folder(tmp_path, kind)
    options = ["--data", "mnist", "--data-dir", tmp_path, *SMALL[name]]
    survives(monkeypatch, capsys, name, tmp_path / "out", *options)


TEXTS = {
    "many characters": "".join(chr(0x4E00 + i * i % 3001) for i in range(8000)),
    "very many characters": "".join(chr(0x4E00 + i) for i in range(15_000)),
    "markup": "$x_1^2$ \\frac{a}{b} $$ {} \\ _ ^ # % & ~\n" * 100,
    "control characters": "".join(map(chr, range(1, 0x250))) * 4,
    "two characters": "ab" * 300,
    "short": "abcdefghijkl mnop" * 2,
    "blank lines": "\n\n\n\na\n\n" * 100,
    "joined characters": "👩\u200d👩\u200d👧e\u0301\u202eabc" * 50,
    "one character": "aaaa",
    "empty": "",
}


@pytest.mark.slow
@pytest.mark.parametrize("model", ["lstm", "transformer"])
@pytest.mark.parametrize(
    ("kind", "file"), list(zip(TEXTS, itertools.cycle(["$x$.txt", "_.txt", "身高.txt", "{}\\.txt"])))
)
def test_texts_that_are_hostile(kind, file, model, tmp_path, monkeypatch, capsys):
    (tmp_path / file).write_text(TEXTS[kind], encoding="utf-8")
    options = ["--text", tmp_path / file, "--model", model, "--features", "16", "--piece", "16"]
    survives(monkeypatch, capsys, "language_model", tmp_path / "out", *options)


NUMBERS = np.random.default_rng(0).normal(size=50)
COLUMNS = {
    "$\\bad{$_x^2": NUMBERS, "_height": NUMBERS, "{x} %s": NUMBERS, '"a\nb"': NUMBERS, "x" * 300: NUMBERS, "身高": NUMBERS,
    "two": [1, 2], "nearly constant": [1.0] * 200 + [1.0000001], "rare": [0] * 100 + [1], "far": 1.7e9 + NUMBERS, "huge": 1e300 * NUMBERS,
    "tiny": 1e-300 * NUMBERS, "outlier": [*NUMBERS, 1e15], "denormal": [0, 5e-324], "ends": [1.7e308, -1.7e308],
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("column", COLUMNS, ids=str.split)
def test_columns_that_are_hostile(column, tmp_path, monkeypatch, capsys):
    (tmp_path / "my.csv").write_text("\n".join([column, *map(str, COLUMNS[column])]) + "\n", encoding="utf-8")
    survives(monkeypatch, capsys, "gan_1d", tmp_path / "out", "--data", tmp_path / "my.csv", "--latent", "1")


SETTINGS = [
    ("pca_vs_autoencoder", "--code 65"), ("pca_vs_autoencoder", "--code 64"), ("pca_vs_autoencoder", "--code 1"),
    ("vae", "--latent 65"), ("vae", "--latent 1 --evaluation-k 1"), ("vae", "--latent 2 --batch-size 1"), ("cvae", "--latent 1"),
    ("denoising_autoencoder", "--code 1 --hidden 1"), ("denoising_autoencoder", "--corruption block block"),
    ("digits_conv", "--widths 1 --features 1 --kernel-size 1"), ("digits_conv", "--kernel-size 20"),
    ("gan_1d", "--batch-size 1"), ("gan_1d", "--loss wasserstein --latent 1 --width 1"), ("gaussian_mle", "--batch-size 1"),
    ("language_model", "--features 1 --piece 1 --texts 1 --length 1"), ("language_model", "--texts 100000 --piece 2 --features 4"),
    ("language_model", "--top-k 1000 --features 4"), ("language_model", "--temperature 1e-30 --features 4"),
    ("language_model", "--temperature 1e30 --features 4"), ("language_model", "--prompt é"),
    ("language_model", "--model transformer --features 3"),
    ("optimal_transport", "--triples 1 --outcomes 2"), ("reparameterization", "--repetitions 2 --scale 1e-300"),
    ("reparameterization", "--repetitions 2 --mean 1e300"), ("reparameterization", "--repetitions 2 --mean 1e3 --scale 1e-3"),
    ("reparameterization", "--repetitions 2 --mean 0 --scale 1e3"), ("pixelcnn", "--features 1 --layers 1"), ("pixelrnn", "--features 3"),
    ("segmentation", "--widths 1 2"), ("segmentation", "--batch-size 1"), ("transfer", "--labels 10 --latent 1 --hidden 1"),
    ("vae_amortization", "--latent 65"), ("vae_amortization", "--latent 1 --held-out 12 --images 100"),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("name", "options"), SETTINGS)
def test_settings_at_their_ends(name, options, tmp_path, monkeypatch, capsys):
    survives(monkeypatch, capsys, name, tmp_path / "out", *options.split())
