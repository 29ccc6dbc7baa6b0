"""Training: the two loops, what they share, and the files that a run leaves."""

from minigen.training.classifier import load_classifier, save_classifier
from minigen.training.drawing import DrawingStopped, drawing, last_drawn
from minigen.training.files import load_state, read_state, save_state, write_arrays, write_atomically
from minigen.training.folder import table, versions, write_metrics
from minigen.training.loops import fit_game, fit_likelihood
from minigen.training.run import History, Run, read_run, shared_steps
from minigen.training.saturation import train_discriminator_alone

__all__ = [
    "DrawingStopped", "History", "Run", "drawing", "fit_game", "fit_likelihood", "last_drawn", "load_classifier", "load_state",
    "read_run", "read_state", "save_classifier", "save_state", "shared_steps", "table", "train_discriminator_alone", "versions",
    "write_arrays", "write_atomically", "write_metrics",
]  # fmt: skip
