"""Teach a small convolutional network to read digits, and keep it: later its features judge generated digits.

The network filters the image, halves it, filters again, and describes what is left by 64 numbers; from these a linear layer reads the digit
(LeCun et al. 1998, "Gradient-based learning applied to document recognition"). With a_0 = x and * for the convolution,

    a_l = pool(relu(norm(W_l * a_{l-1})))       pool halves the height and the width
    f(x) = relu(V a_L + c)                      the features, 64 numbers
    p(y|x) = softmax(U f(x) + b)_y              loss = -E[log p(y|x)], the labels' negative log-likelihood

The Fréchet distance of generated digits to real ones compares the features of both. It depends on the network, so the name and the SHA-256
of its file belong beside each distance.

    python examples/digits_conv.py                                              # 1,797 digits of 8 x 8 pixels, a fifth held out
    python examples/digits_conv.py --data mnist --out runs/digits_conv-mnist    # 28 x 28 pixels, downloaded if they are missing

The network is written to feature-extractor-digits.safetensors, or -mnist.safetensors, and is read by

    classifier = minigen.training.load_classifier("runs/digits_conv/feature-extractor-digits.safetensors")
    classifier.features(images)                                                 # (N, 8, 8, 1) in [0, 1] -> (N, 64)
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from minigen import lessons, plots
from minigen.data import Batches
from minigen.lessons import Count, Positive
from minigen.models import ConvClassifier
from minigen.training import fit_likelihood, save_classifier

SHOWN = 0  # the test image whose feature maps are drawn


@dataclass(frozen=True, kw_only=True)
class Settings(lessons.ImageSettings):
    data: Literal["digits", "mnist"] = "digits"  # images to read
    kernel_size: Count = 3  # height and width of the filters, in pixels
    widths: tuple[Count, ...] = (16, 32)  # filters of each convolution
    features: Count = 64  # numbers that describe an image
    batch_size: Count = 64  # images in a step
    steps: Count = 880  # steps of Adam
    learning_rate: Positive = 3e-3  # Adam's at the start; it falls to 0 along half a cosine
    run: lessons.DataOptions = lessons.DataOptions()

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.widths:
            raise ValueError("--widths: the network needs at least one convolution")


class Lesson(lessons.ImageLesson[Settings]):
    def __init__(self, s: Settings) -> None:
        super().__init__(s)
        height, width, channels = self.size
        self.model = ConvClassifier(
            size=(height, width),
            channels=channels,
            classes=len(self.training.classes),
            widths=s.widths,
            kernel_size=s.kernel_size,
            features=s.features,
            rng=self.rng,
        ).to(self.device)
        self.optimizer = self.adam(self.model)
        self.batches = Batches((self.training.unit(), self.training.labels), batch_size=s.batch_size, rng=self.order)
        parts = {"model": self.model, "optimizer": self.optimizer, "batches": self.batches}
        self.run = self.new_run(f"ConvNet, {self.training.name}", rows=100, parts=parts)

    def configuration(self) -> dict[str, Any]:
        """Return the settings and the number of images, which tells another folder's images from these."""
        return super().configuration() | {"training_images": len(self.training.images)}

    def train(self) -> None:
        """Minimise the cross-entropy of images, (batch_size, H, W, C), with their labels."""
        fit_likelihood(self.model, self.on_device(self.batches), self.optimizer, self.run, rng=self.rng)

    def measure(self) -> dict[str, Any]:
        """Count right and wrong on the test images, and save the network, whose sum is among the figures."""
        labels = self.test.labels
        self.log_p = self.model.predict(self.test.unit())  # (N, K)
        n, k = self.log_p.shape
        predicted = self.log_p.argmax(axis=1)
        confusion = np.bincount(k * labels + predicted, minlength=k * k).reshape(k, k)
        path = self.out / f"feature-extractor-{self.settings.data}.safetensors"
        save_classifier(path, self.model)
        return {
            "training_images": len(self.training.images),
            "test_images": n,
            "accuracy": float((predicted == labels).mean()),
            "errors": int((predicted != labels).sum()),
            "cross_entropy": float(-self.log_p[np.arange(n), labels].mean(dtype=np.float64)),
            "class_accuracy": [c[i] / c.sum() if c.any() else None for i, c in enumerate(confusion)],
            "confusion": confusion.tolist(),
            "parameters": self.model.count_parameters(),
            "feature_extractor": {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()},
        }

    def pictures(self, figures: dict[str, Any]) -> Iterator[tuple[str, lessons.Picture]]:
        images, name = self.test.unit(), self.test.name
        figure = plots.filters_and_maps(
            images[SHOWN, ..., 0],
            filters=self.to_cpu(self.model.blocks[0][0].weight)[..., 0, :],
            maps=self.model.feature_maps(images[SHOWN : SHOWN + 1])[0],
            title=f"{name}: the first convolution",
        )
        yield "filters", figure
        title = f"{name}: {figures['errors']} mistakes in {len(images):,} test images"
        yield "confusion", plots.confusion_matrix(figures["confusion"], classes=self.test.classes, title=title)
        figure = plots.worst_mistakes(
            images[..., 0],
            labels=self.test.labels,
            log_probabilities=self.log_p,
            classes=self.test.classes,
            title=f"{name}: the worst mistakes, and in red what they were taken for",
        )
        yield "mistakes", figure

    def tables(self, figures: dict[str, Any]) -> Iterator[tuple[str, lessons.Rows]]:
        s, shares = self.settings, figures["class_accuracy"]
        worst = min((k for k, share in enumerate(shares) if share is not None), key=shares.__getitem__)
        rows = [
            ("accuracy on the test images", f"{100 * figures['accuracy']:.2f} %"),
            ("  of the hardest digit", f"{worst}: {100 * shares[worst]:.2f} %"),
            ("mistakes", f"{figures['errors']} of {figures['test_images']:,}"),
            ("cross-entropy (nats per image)", f"{figures['cross_entropy']:.4f}"),
            ("parameters", f"{figures['parameters']:,}"),
            ("feature extractor, SHA-256", figures["feature_extractor"]["sha256"][:16]),
        ]
        yield f"ConvNet on {s.data}, {s.steps} steps, seed {s.seed}", rows


def defaults(data: Literal["digits", "mnist"] = "digits") -> Settings:
    """Return the settings for a data set: 40 times through 1,438 digits, or 3 times through 60,000 of MNIST."""
    if data == "mnist":
        return Settings(data=data, kernel_size=5, batch_size=128, steps=1404)
    return Settings(data=data)


if __name__ == "__main__":
    lessons.teach(Lesson, defaults, __doc__)
