"""The two training loops, as they stand on a lecture's slide."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from minigen.models import Game, Turn
from minigen.nn import Module
from minigen.optim import EMA, Optimizer
from minigen.optim.schedules import Schedule
from minigen.random import Generator
from minigen.training.run import Run


def fit_likelihood(
    model: Module,
    batches: Iterator[Any],
    optimizer: Optimizer,
    run: Run,
    *,
    rng: Generator,
    average: EMA | None = None,
    anneal: Mapping[str, Schedule] | None = None,
) -> None:
    """Descend on a model's loss, such as its negative log-likelihood.

        for each step:
            take a batch x
            theta <- optimizer step along the gradient of loss(x; theta)

    Args:
        model: has `loss(batch, rng=...)`, which returns a scalar and a dict of named terms.
        batches: yields what the loss takes.
        optimizer: over the model's parameters.
        run: counts the steps and records the terms.
        rng: the model's noise.
        average: is updated after every step.
        anneal: attributes of the model that change in the course of training, by name: {"beta": linear_warmup(1.0, steps=1000)}.

    Raises:
        AttributeError: the model has no attribute of that name.
        FloatingPointError: the loss or a term of it is not finite; see `Run.stop_if_diverged`.
        ValueError: the batches end before the run does.
    """
    schedules = dict(anneal or {})
    for name in schedules:
        getattr(model, name)
    for step in run:
        for name, schedule in schedules.items():
            setattr(model, name, schedule(step))
        optimizer.zero_grad()
        loss, terms = model.loss(next_batch(batches, step), rng=rng)
        run.stop_if_diverged(step, loss, terms)
        loss.backward()
        optimizer.step()
        if average:
            average.update()
        run.log(step, terms)


def next_batch(batches: Iterator[Any], step: int) -> Any:
    """Return the next of the batches, which must not end before the run does.

    Raises:
        TypeError: the batches are not an iterator.
        ValueError: there are none left.

    Example:
        >>> next_batch(iter([]), step=7)
        Traceback (most recent call last):
        ValueError: the batches ended before step 7; give an endless iterator, such as data.Batches or itertools.cycle(batches)
    """
    try:
        return next(batches)
    except StopIteration:
        raise ValueError(
            f"the batches ended before step {step}; give an endless iterator, such as data.Batches or itertools.cycle(batches)"
        ) from None
    except TypeError as error:
        if isinstance(batches, Iterator):
            raise
        raise TypeError(
            f"the batches are a {type(batches).__name__}, expected an endless iterator, such as data.Batches"
        ) from error


def fit_game(
    game: Game,
    batches: Iterator[Any],
    optimizers: Mapping[str, Optimizer],
    run: Run,
    *,
    rng: Generator,
    averages: Mapping[str, EMA] | None = None,
) -> None:
    """Let players take turns.

        for each round, for each turn that is played in it, as many times as the turn has repeats:
            take a new batch, if the turn draws one
            theta of its player <- optimizer step along the gradient of its loss

    Args:
        game: has `turns()`; see `models.game`. For a GAN this is algorithm 1 of Goodfellow et al. 2014.
        batches: yields what the losses take.
        optimizers: by the player's name, over its parameters.
        run: counts the rounds, and records the terms of the losses that were computed in a round, and the norm of each player's gradient,
            `<player>_gradient`.
        rng: draws the noise.
        averages: of players' parameters, by their names; each is updated after every round.

    Raises:
        FloatingPointError: a loss or a term of it is not finite; see `Run.stop_if_diverged`.
        ValueError: players and optimizers do not belong together, the first turn draws no batch, or the batches end before the run does.
    """
    turns, averages = game.turns(), averages or {}
    _check_players(turns, optimizers, averages)
    moves = [(turn, optimizers[turn.player], turn.network.parameters()) for turn in turns]
    for step in run:
        terms: dict[str, Any] = {}
        for turn, optimizer, parameters in moves:
            if step % turn.every:
                continue
            for _ in range(turn.repeats):
                if turn.draws:
                    batch = next_batch(batches, step)
                optimizer.zero_grad()
                loss, found = turn.loss(batch, rng=rng)
                run.stop_if_diverged(step, loss, found)
                loss.backward(inputs=parameters)  # through other players, but no gradients of their own
                optimizer.step()
                if turn.weight_bound is not None:
                    optimizer.clip_values(turn.weight_bound)
            terms |= found
        for average in averages.values():
            average.update()
        if run.is_due(step):
            norms = {f"{player}_gradient": optimizer.gradient_norm() for player, optimizer in optimizers.items()}
            run.record(step, **terms, **norms)


def _check_players(turns: Sequence[Turn], optimizers: Mapping[str, Optimizer], averages: Mapping[str, EMA]) -> None:
    players = {turn.player for turn in turns}
    if players != set(optimizers) or not players >= set(averages):
        found = f"optimizers for {_listed(optimizers)}" + (f" and averages of {_listed(averages)}" if averages else "")
        raise ValueError(
            f"fit_game: the players are {_listed(players)}, but there are {found}; each player needs an optimizer of its own"
        )
    if not turns[0].draws:
        raise ValueError(f"fit_game: the first turn, that of {turns[0].player}, has no batch; give it draws=True")
    for turn in turns:
        own = {id(parameter) for parameter in turn.network.parameters()}
        if own != {id(parameter) for parameter in optimizers[turn.player].arena.parameters.values()}:
            raise ValueError(f"fit_game: the optimizer for {turn.player} is not over the parameters of its network")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "nobody"
