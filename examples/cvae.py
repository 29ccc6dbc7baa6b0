"""Complete images from a visible part, or draw digits of a given class, with a conditional variational autoencoder (CVAE).

Where one to three quadrants of a digit are visible, several digits fit. A network that predicts each pixel alone answers with their blurred
mean. A CVAE has a latent z that chooses among them (Sohn, Lee & Yan 2015). Here y is the image, and c is what is known of it:

    CVAE        p(y|c) = integral p(y|c, z) p(z|c) dz
                log p(y|c) >= E_q(z|y,c)[log p(y|c, z)] - KL(q(z|y, c) || p(z|c))      the bound that is raised, equation 4
    baseline    log p(y|c) = sum_i log p(y_i|c)                                       independent pixels

The CVAE therefore gives the hidden pixels together a higher probability. How much higher, in nats per image, is what this lesson measures.
Both networks learn from the same batches; the baseline is as large as the CVAE's decoder. The gap is given for three lower bounds on the
CVAE's log p(y|c): the one it is trained on, importance sampling, and draws from the prior. Draws from the prior are too few if
the KL divergence is far above the logarithm of their number: hardly any of them fits the image.

    python examples/cvae.py                                            # 8 x 8 digits, one quadrant visible
    python examples/cvae.py --task class --out runs/cvae-class         # every class in the same styles
    python examples/cvae.py --data mnist --visible 1 --out runs/cvae-mnist-1       # the setting of Sohn et al. 2015, section 5.1
    python examples/cvae.py --evaluate runs/cvae --evaluation-k 1000   # the figures of a finished run again, more exactly
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

import minigen as mg
from minigen import lessons, metrics, plots
from minigen.data import BinaryBatches, binarize, conceal, fill_in, hidden_quadrants
from minigen.lessons import Count, Share
from minigen.models import Together, mlp_cvae, mlp_independent_pixels
from minigen.random import Generator
from minigen.training import fit_likelihood

MONITORED = 500  # test images whose bound is recorded during training
BAYES_DRAWS = 10  # of z for each class when an image is classified
COMPLETED, DRAWS, STYLES = 10, 4, 10  # in the pictures: images, completions of each; digits of each class
SHADE = 0.35  # of hidden pixels


@dataclass(frozen=True, kw_only=True)
class Options(lessons.ImageOptions):
    evaluation_k: Count = 100  # draws of z that estimate log p(y|c) of a test image; 100 as in Sohn et al. 2015


@dataclass(frozen=True, kw_only=True)
class Settings(lessons.ImageSettings):
    task: Literal["class", "quadrants"] = "quadrants"  # what is known of an image: its class, or a visible part of it
    visible: Literal[0, 1, 2, 3] = 1  # quadrants that are visible; 0 with --task class
    binarization: lessons.Binarization = "threshold"  # how grey pixels become bits
    prior: Literal["conditional", "normal"] = "conditional"  # p(z|c): learned, and dependent on c; or N(0, I)
    hidden: tuple[Count, ...] = (200, 200)  # units in the hidden layers of every network
    latent: Count = 10  # dimension of z
    samples: Count = 1  # draws of z for each image in training
    alpha: Share = 1.0  # weight of the bound in the hybrid objective; the rest goes to a term with z from the prior
    steps: Count = 2000  # steps of Adam
    run: Options = Options()

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.task == "class") == (self.visible > 0):
            raise ValueError("--visible is about quadrants: 1, 2 or 3 with --task quadrants, 0 with --task class")
        if not self.hidden:
            raise ValueError("--hidden: the networks need at least one hidden layer")


class Lesson(lessons.ImageLesson[Settings]):
    evaluation_seed = 20151207

    def __init__(self, s: Settings) -> None:
        super().__init__(s)
        self.classes = len(self.training.classes)
        self.given = f"given {s.visible} of 4 quadrants" if s.visible else "given the class"
        self.hidden = hidden_quadrants(self.size, visible=s.visible)
        numbers = math.prod(self.size) if s.visible else self.classes
        family = {"size": self.size, "condition": numbers, "hidden": s.hidden, "rng": self.rng}
        objective = {"samples": s.samples, "alpha": s.alpha}
        self.cvae = mlp_cvae(latent=s.latent, conditional_prior=s.prior == "conditional", **objective, **family)
        self.baseline = mlp_independent_pixels(**family)
        self.both = Together(cvae=self.cvae, baseline=self.baseline).to(self.device)
        self.optimizer = self.adam(self.both)
        images = (self.training.unit(), self.training.labels)
        self.batches = BinaryBatches(images, protocol=s.binarization, batch_size=s.batch_size, rng=self.order)
        self.run = self.new_run(
            f"CVAE, {self.training.name}", rows=100, monitor=self.monitor,
            parts={"model": self.both, "optimizer": self.optimizer, "batches": self.batches},
        )  # fmt: skip
        bits = binarize(self.test.unit(), protocol=s.binarization, rng=Generator(self.evaluation_seed))
        self.seen = self.conditioned(bits, self.test.labels)  # the same in every run
        self.first = [int(np.argmax(self.test.labels == k)) for k in range(self.classes)]  # a test image of each class

    def train(self) -> None:
        """Raise the CVAE's bound and the baseline's log-likelihood; their losses are added, so each learns as it would alone."""
        batches = (self.conditioned(images, labels) for images, labels in self.batches)
        fit_likelihood(self.both, batches, self.optimizer, self.run, rng=self.rng)

    def conditioned(self, images: np.ndarray, labels: np.ndarray) -> tuple[mg.Tensor, ...]:
        """Return images y, what is known of them, c, and a 1 for each hidden pixel: (N, H, W, C), (N, ...), (N, H, W, 1)."""
        c = conceal(images, self.hidden) if self.settings.visible else np.eye(self.classes, dtype=np.float32)[labels]
        hidden = np.broadcast_to(self.hidden, (len(images), *self.hidden.shape[1:]))
        return tuple(mg.tensor(part, device=self.device) for part in (images, c, hidden))

    # ------------------------------------------------------------------------------- what is measured, drawn and told

    def monitor(self) -> dict[str, float]:
        """Return the bound of some test images, and what the baseline gives them."""
        batch = tuple(part[:MONITORED] for part in self.seen)
        with mg.no_grad():
            bound = self.cvae.bound(batch, rng=self.evaluation_rng())
            baseline = self.baseline.log_prob(batch)
        elbo = mg.mean(bound.log_likelihood - bound.divergence)
        return {"test_elbo": elbo.item(), "test_baseline": mg.mean(baseline).item()}

    def measure(self) -> dict[str, Any]:
        k, cvae, monitored = self.settings.run.evaluation_k, self.cvae, self.run.history.column("test_baseline")
        figures = metrics.conditional_likelihoods(
            cvae, self.baseline, self.seen, samples=k, make_rng=self.evaluation_rng
        )
        if self.settings.task == "class":
            shares = np.bincount(self.training.labels, minlength=self.classes) / len(self.training.labels)
            draws = {"samples": BAYES_DRAWS, "make_rng": self.evaluation_rng}
            joint = metrics.class_log_joint(cvae, self.seen[0], prior=shares, **draws)
            figures["accuracy"] = metrics.accuracy(joint, self.test.labels)
        return figures | {
            "evaluation_k": k,
            "test_images": len(self.test.images),
            "hidden_pixels": int(self.hidden.sum()) * self.size[2],
            "baseline_best_monitored": max(monitored),  # above the last one if the baseline has overfitted
            "baseline_last_monitored": monitored[-1],
            "parameters": cvae.count_parameters(),
            "baseline_parameters": self.baseline.count_parameters(),
        }

    def samples(self, n: int) -> lessons.Samples:
        """Draw bits: completions of the test images in turn, or images of the classes in turn."""
        visible = self.settings.visible
        chosen = np.arange(n) % (len(self.test.images) if visible else self.classes)
        images, c = (part[[int(i if visible else self.first[i]) for i in chosen]] for part in self.seen[:2])
        drawn = self.cvae.sample(1, c, rng=self.evaluation_rng())[0]
        images = fill_in(self.to_cpu(images), self.hidden, self.to_cpu(drawn))
        arrays = {"images": images, "completed" if visible else "labels": chosen}
        picture = plots.image_grid(images[:100], title=f"{self.test.name}: samples, {self.given}")
        return lessons.Samples(arrays, picture)

    def pictures(self, figures: dict[str, Any]) -> Iterator[tuple[str, lessons.Picture]]:
        history = self.run.history
        bounds = {"CVAE, bound": history.column("test_elbo"), "independent pixels": history.column("test_baseline")}
        figure = plots.bound_curves(
            history.column("step"),
            bounds=bounds,
            levels={f"CVAE, L_{figures['evaluation_k']}": figures["importance"]},
            label="log p(y|c) of test images (nats)",
            title=f"{self.test.name}: the hidden pixels, {self.given}",
        )
        yield "training", figure
        if self.settings.visible:
            yield "completions", self.completions()
        else:
            yield "classes_by_style", self.classes_by_style()

    def completions(self) -> lessons.Picture:
        """Draw visible parts, several completions by the CVAE, the baseline's, and the originals."""
        images, c = (part[self.first[:COMPLETED]] for part in self.seen[:2])
        z = self.cvae.prior(c).sample(DRAWS, rng=self.evaluation_rng())  # (draws, N, d)
        answers = self.to_cpu(self.cvae.mean_images(mg.tensor(z), c))  # (draws, N, H, W, C)
        images, blurred = self.to_cpu(images), self.to_cpu(self.baseline.mean_images(c))
        hidden_parts = [("visible", SHADE), *((f"draw {i + 1}", answer) for i, answer in enumerate(answers))]
        hidden_parts += [("pixel by\npixel", blurred), ("original", images)]
        rows = [(label, fill_in(images, self.hidden, part)) for label, part in hidden_parts]
        return plots.image_rows(rows, title=f"{self.test.name}: completions, {self.given}")

    def classes_by_style(self) -> lessons.Picture:
        """Draw each class in the same styles: a class is a row, a style z a column; the first column is the baseline's."""
        c = self.seen[1][self.first]
        p = self.cvae.prior(c)
        # One z for all classes if the prior is N(0, I); otherwise the same noise, (styles, classes, d).
        z = p.mean + p.scale * self.evaluation_rng().normal((STYLES, 1, self.cvae.latent))
        answers = self.to_cpu(self.cvae.mean_images(z.detach(), c))  # (styles, classes, H, W, C)
        columns = np.concatenate([self.to_cpu(self.baseline.mean_images(c))[None], answers])
        rows = [(name, columns[:, k]) for k, name in enumerate(self.test.classes)]
        labels = ["mean", *(f"z{i + 1}" for i in range(STYLES))]
        return plots.image_rows(rows, columns=labels, title=f"{self.test.name}: each class in the same styles")

    def tables(self, figures: dict[str, Any]) -> Iterator[tuple[str, lessons.Rows]]:
        s, k = self.settings, figures["evaluation_k"]
        labels = {
            "elbo": "bound on log p(y|c)",
            "log_likelihood": "  log p(y|c, z)",
            "divergence": "  KL(q || p(z|c))",
            "importance": f"log p(y|c), {k} draws from q",
            "prediction": f"log p(y|c), {k} draws from the prior",
            "baseline": "log p(y|c) of independent pixels",
            "gap_bound": "gap between the bound and independent pixels",
            "gap_importance": "  by draws from q",
            "gap_prediction": "  by draws from the prior",
        }
        errors = {name: f" +- {figures[f'{name}_error']:.2f}" for name in labels if f"{name}_error" in figures}
        rows = [(label, f"{figures[name]:.2f}{errors.get(name, '')}") for name, label in labels.items()]
        lost = figures["baseline_best_monitored"] - figures["baseline_last_monitored"]
        rows.append(("lost when the independent pixels overfitted", f"{lost:.2f}"))
        if "accuracy" in figures:
            rows.append((f"class by Bayes' rule, {BAYES_DRAWS} draws", f"{100 * figures['accuracy']:.2f} %"))
        sizes = f"{figures['parameters']:,}, {figures['baseline_parameters']:,}"
        rows += [("hidden pixels", f"{figures['hidden_pixels']}"), ("parameters, of the baseline", sizes)]
        yield f"CVAE on {s.data} {self.given}, {s.binarization} bits, nats per test image", rows


def defaults(task: Literal["class", "quadrants"] = "quadrants", data: lessons.ImageSet = "digits") -> Settings:
    """Return the settings for a task and a data set."""
    chosen = {"task": task, "data": data}
    if task == "class":
        chosen |= {"visible": 0, "prior": "normal"}
    if data != "digits":
        chosen |= {"hidden": (500, 500), "latent": 50, "steps": 20_000, "batch_size": 100, "binarization": "dynamic"}
    return Settings(**chosen)


if __name__ == "__main__":
    lessons.teach(Lesson, defaults, __doc__)
