"""The automatic weight moves towards its target, and the fixed one does not move."""

from __future__ import annotations

import math

import pytest

from rllib_psparsity.training.entropy_coefficient import EntropyCoefficient
from tests.environment.tiny import tiny_config


def of_target(target: str, rate: float = 0.5) -> EntropyCoefficient:
    return EntropyCoefficient(tiny_config(f"entropy={{target: {target}, rate: {rate}}}"))


def test_it_rises_below_the_target_and_falls_above():
    coefficient = of_target("0.4")
    assert coefficient.value == pytest.approx(0.02)
    coefficient.update(0.1)
    assert coefficient.value == pytest.approx(0.02 * math.exp(0.5 * 0.3))
    coefficient.update(0.7)
    assert coefficient.value == pytest.approx(0.02)
    coefficient.update(0.4)
    assert coefficient.value == pytest.approx(0.02)
    coefficient.update(0.6)
    assert coefficient.value == pytest.approx(0.02 * math.exp(-0.5 * 0.2))


def test_it_finds_the_weight_that_holds_the_target():
    """Of a policy of one choice between two whose rewards differ by r: its entropy follows its weight."""
    coefficient, r = of_target("0.5", rate=0.2), 1.0

    def entropy(alpha: float) -> float:
        p = 1.0 / (1.0 + math.exp(-r / alpha))  # the best policy under the weight: a softmax of reward over alpha
        return sum(-q * math.log(q) for q in (p, 1.0 - p) if q > 0)

    for _ in range(400):
        coefficient.update(entropy(coefficient.value))
    assert entropy(coefficient.value) == pytest.approx(0.5, abs=1e-3)


def test_what_is_not_finite_does_not_spoil_it():
    coefficient = of_target("0.4")
    coefficient.update(math.nan)
    assert coefficient.value == pytest.approx(0.02)


def test_without_a_target_it_is_the_configured_one_to_the_last_bit():
    coefficient = of_target("null")
    coefficient.update(0.0)
    assert coefficient.value == 0.02
    zero = EntropyCoefficient(tiny_config("training.entropy_coefficient=0"))
    zero.update(0.3)
    assert zero.value == 0.0


def test_state():
    coefficient, other = of_target("0.4"), of_target("0.4")
    coefficient.update(0.1)
    other.set_state(coefficient.get_state())
    assert other.value == coefficient.value != 0.02
