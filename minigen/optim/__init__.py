"""Optimizers over a flat arena, learning-rate schedules, the average of weights, and steps of two-player games."""

from minigen.optim.arena import Arena
from minigen.optim.ema import EMA
from minigen.optim.games import alternating_step, extragradient_step, simultaneous_step
from minigen.optim.optimizers import SGD, Adam, AdamW, Optimizer, RMSProp
from minigen.optim.schedules import Schedule, constant, cosine, linear_warmup, step_decay

__all__ = [
    "EMA", "SGD", "Adam", "AdamW", "Arena", "Optimizer", "RMSProp", "Schedule", "alternating_step", "constant", "cosine",
    "extragradient_step", "linear_warmup", "simultaneous_step", "step_decay",
]  # fmt: skip
