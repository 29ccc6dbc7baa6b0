"""Optimizers over a flat arena, learning-rate schedules, the average of weights, and steps of two-player games."""

from minigen.optim.arena import Arena
from minigen.optim.ema import EMA
from minigen.optim.games import (
    WAYS,
    alternating_step,
    bilinear_distances,
    bilinear_growth,
    extragradient_step,
    measured_growth,
    play_bilinear_game,
    simultaneous_step,
)
from minigen.optim.optimizers import SGD, Adam, AdamW, Optimizer, RMSProp
from minigen.optim.schedules import Schedule, constant, cosine, linear_warmup, step_decay

__all__ = [
    "EMA", "SGD", "WAYS", "Adam", "AdamW", "Arena", "Optimizer", "RMSProp", "Schedule", "alternating_step", "bilinear_distances",
    "bilinear_growth", "constant", "cosine", "extragradient_step", "linear_warmup", "measured_growth", "play_bilinear_game",
    "simultaneous_step", "step_decay",
]  # fmt: skip
