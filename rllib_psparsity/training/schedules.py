"""Schedules by iteration."""

from __future__ import annotations

from rllib_psparsity.config.schema import TemperatureConfig

ITERATION = "iteration"
"""Key of the number of the update, among the time steps that RLlib tells a learner."""


def temperature(config: TemperatureConfig, iteration: int) -> float:
    """Temperature after `iteration` iterations: geometric down to the floor, which never raises it."""
    return max(config.initial * config.factor**iteration, min(config.floor, config.initial))
