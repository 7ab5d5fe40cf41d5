"""Schedules by iteration."""

from __future__ import annotations

from rllib_psparsity.config.schema import TemperatureConfig

ITERATION = "iteration"
"""Key of the number of the update, among the time steps that RLlib tells a learner."""


def temperature(config: TemperatureConfig, iteration: int) -> float:
    """Temperature after `iteration` iterations: geometric down to the floor, which never raises it."""
    return max(config.initial * config.factor**iteration, min(config.floor, config.initial))


def faded(iterations: int | None, iteration: int) -> float:
    """What is left in iteration `iteration`, from 1, of what falls linearly to nothing in `iterations`; all if None."""
    return 1.0 if iterations is None else max(0.0, 1.0 - (iteration - 1) / iterations)
