"""When the difficulty rises, and that its state goes on exactly."""

from __future__ import annotations

import json
import math

from rllib_psparsity.config.schema import CurriculumConfig
from rllib_psparsity.problems.curriculum import Curriculum


def curriculum(**settings):
    return Curriculum(CurriculumConfig(enabled=True, **settings))


def difficulties(course, rewards):
    out = []
    for reward in rewards:
        course.update(reward)
        out.append(round(course.difficulty, 10))
    return out


def test_disabled_is_always_hard():
    course = Curriculum(CurriculumConfig(enabled=False))
    assert course.difficulty == 1.0
    assert difficulties(course, [0.0, 100.0]) == [1.0, 1.0]


def test_promotion_by_improvement():
    course = curriculum(step=0.25, improvement=0.1, patience=100)
    assert course.difficulty == 0.0
    # 0.5 sets the mark; it takes more than 0.1 above; 0.61 becomes the next mark, then 0.72.
    assert difficulties(course, [0.5, 0.6, 0.61, 0.7, 0.72]) == [0.0, 0.0, 0.25, 0.25, 0.5]


def test_improvement_is_relative_above_one():
    course = curriculum(step=0.25, improvement=0.1, patience=100)
    assert difficulties(course, [-20.0, -18.1, -17.9]) == [0.0, 0.0, 0.25]


def test_a_fall_is_measured_from_the_last_promotion():
    course = curriculum(step=0.25, improvement=0.1, patience=100)
    assert difficulties(course, [0.0, -5.0, -4.0, 0.05, 0.11]) == [0.0, 0.0, 0.0, 0.0, 0.25]


def test_promotion_by_patience():
    course = curriculum(step=0.5, patience=3)
    assert difficulties(course, [-1.0] * 7) == [0.0, 0.0, 0.5, 0.5, 0.5, 1.0, 1.0]


def test_patience_sets_a_new_mark():
    course = curriculum(step=0.2, improvement=0.1, patience=3)
    assert difficulties(course, [0.0, -5.0, -5.0, -4.0, -4.0]) == [0.0, 0.0, 0.2, 0.4, 0.4]


def test_the_end_is_exactly_one():
    course = curriculum(step=0.3, patience=1)
    for _ in range(4):
        course.update(0.0)
    assert course.difficulty == 1.0
    course = curriculum(step=0.1, patience=1)
    for _ in range(10):
        course.update(0.0)
    assert course.difficulty == 1.0


def test_rewards_that_are_no_numbers_do_no_harm():
    course = curriculum(step=0.25, improvement=0.1, patience=3)
    assert difficulties(course, [math.nan, math.nan, -math.inf]) == [0.0, 0.0, 0.25]
    assert difficulties(course, [0.0, math.inf, 0.2]) == [0.25, 0.25, 0.5]


def test_state_goes_on_exactly():
    rewards = [math.sin(7 * i) * i for i in range(40)]
    whole = curriculum(step=0.07, patience=4)
    first = curriculum(step=0.07, patience=4)
    expected = [(whole.update(reward), whole.difficulty)[1] for reward in rewards]
    for reward in rewards[:13]:
        first.update(reward)
    second = curriculum(step=0.07, patience=4)
    second.set_state(json.loads(json.dumps(first.get_state())))
    assert second.difficulty == first.difficulty == expected[12]
    assert [(second.update(reward), second.difficulty)[1] for reward in rewards[13:]] == expected[13:]
    assert second.get_state() == whole.get_state()
