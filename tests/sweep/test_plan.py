"""Which trials can be placed on which nodes."""

from __future__ import annotations

import pytest

from rllib_psparsity.errors import InputError
from rllib_psparsity.sweep.plan import bundles, refuse_unplaceable
from tests.environment.tiny import tiny_config


def test_a_trial_needs_its_driver_runners_and_learners() -> None:
    assert bundles(tiny_config()) == [{"CPU": 1.0}]
    assert bundles(tiny_config("env_runners.count=2")) == [{"CPU": 1.0}] * 3
    assert bundles(tiny_config("learner.gpus=1")) == [{"CPU": 1.0, "GPU": 1.0}]
    remote = bundles(tiny_config("learner.count=2", "learner.gpus=0.5"))
    assert remote == [{"CPU": 1.0}, {"CPU": 1.0, "GPU": 0.5}, {"CPU": 1.0, "GPU": 0.5}]


@pytest.mark.parametrize(
    ("settings", "nodes", "fits"),
    [
        (["env_runners.count=1"], [{"CPU": 2.0}], True),
        (["env_runners.count=2"], [{"CPU": 2.0}], False),
        (["env_runners.count=2"], [{"CPU": 1.0}] * 3, True),
        (["env_runners.count=2"], [{"CPU": 1.5}] * 2, False),
        (["learner.gpus=1"], [{"CPU": 8.0}], False),
        (["learner.gpus=1"], [{"CPU": 8.0}, {"CPU": 0.5, "GPU": 1.0}], False),
        (["learner.gpus=1", "env_runners.count=1"], [{"CPU": 1.0, "GPU": 1.0}, {"CPU": 1.0}], True),
    ],
)
def test_what_can_never_be_placed_is_refused(settings: list[str], nodes: list[dict[str, float]], fits: bool) -> None:
    needed = bundles(tiny_config(*settings))
    if fits:
        refuse_unplaceable(needed, nodes)
    else:
        with pytest.raises(InputError, match=r"a trial needs .* at once, but the .* have .*; set env_runners.count: 0"):
            refuse_unplaceable(needed, nodes)
    assert all(count >= 0 for node in nodes for count in node.values()), "the nodes are not used up"
