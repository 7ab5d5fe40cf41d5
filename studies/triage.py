"""The rows of the triage document, and what answers each of them: a test, arms of studies, or a command.

The arms say themselves, in their study's YAML, which rows they answer; here is which of an arm's figures a row shows.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Item:
    """A row; `tests` are ``file::name``, `figures` names of `figures.run_figures`, `command` what a reader can run, and
    `sweep` the name of a sweep by Ray Tune."""

    number: int
    asks: str
    tests: tuple[str, ...] = ()
    figures: tuple[str, ...] = ()
    command: str = ""
    sweep: str = ""

    @property
    def name(self) -> str:
        return f"T{self.number}"


_LOSS = "tests/training/test_loss.py::"
_ALGORITHM = "tests/training/test_algorithm.py::"
_DIAGNOSE = "tests/reporting/test_diagnose.py::"

ITEMS = (
    Item(
        1,
        "entropy under no_grad has no gradient",
        (
            _LOSS + "test_entropies_have_a_gradient_and_detached_ones_have_exactly_none",
            _ALGORITHM + "test_a_detached_entropy_changes_no_update",
        ),
    ),
    Item(2, "entropy with a gradient does not collapse", (), ("entropy_softmax_min", "entropy_edge_last", "gain")),
    Item(
        3,
        "policy entropy falls from 8.83 to 0.004; must stay above 1.0",
        ("tests/policy/test_actions.py::test_entropy_over_edges_equals_plain_python",),
        ("entropy_softmax_min", "entropy_edge_last"),
    ),
    Item(4, "explained variance of 5 to 7 %; must exceed 20 %", (), ("explained_variance",)),
    Item(5, "standard deviation of the advantages 0.52 to 0.55", (), ("advantage_std",)),
    Item(
        6,
        "gradient norm always at the clip of 1.0; sweep of the clip",
        (_ALGORITHM + "test_share_of_clipped_updates",),
        ("clipped", "grad_norm", "gain"),
        sweep="gradient_clip",
    ),
    Item(
        7,
        "the policy head's gradient collapses",
        (),
        ("edge_head_first", "edge_head_last", "parts_median", "parts_worst", "parts_worst_epoch"),
    ),
    Item(
        8,
        "entropy coefficient 0.01, 0.05, 0.1",
        (),
        ("entropy_softmax_min", "entropy_edge_last", "gain"),
        sweep="entropy",
    ),
    Item(
        9,
        "temperature anneals too fast",
        (_ALGORITHM + "test_temperature_follows_its_schedule_in_learner_and_runner",),
        ("entropy_edge_last", "gain"),
    ),
    Item(10, "maximum-entropy formulation", (), ("entropy_edge_last", "gain")),
    Item(11, "learned value as the baseline", (), ("explained_variance", "gain")),
    Item(
        12,
        "several rollouts per problem",
        ("tests/training/test_connectors.py::test_recipes_are_compared_with_those_of_the_same_problem",),
        ("advantage_std", "gain"),
    ),
    Item(
        13,
        "generalised advantage estimation",
        ("tests/training/test_advantages.py::test_one_node_a_level_is_textbook_gae",),
        ("explained_variance", "gain"),
    ),
    Item(
        14,
        "PPO with the clipped objective; REINFORCE and A2C beside it",
        (_LOSS + "test_a_ratio_beyond_the_clip_has_no_gradient",),
        ("gain",),
    ),
    Item(15, "learning rates 1e-4, 5e-4, 1e-3, 5e-3", (), ("gain",), sweep="learning_rate"),
    Item(16, "gradients of 4 to 8 problems per update", (), ("gain",)),
    Item(17, "momentum of the baseline 0.9, 0.95, 0.99", (), ("gain",)),
    Item(18, "reward normalisation", (), ("gain",)),
    Item(
        19,
        "reward shaping with intermediate feedback",
        ("tests/environment/test_sparsify.py::test_rewards_add_up_to_the_quality_with_shaping_and_without",),
        ("explained_variance", "gain"),
    ),
    Item(
        20,
        "curriculum from easy to hard",
        ("tests/problems/test_curriculum.py::test_promotion_by_improvement",),
        ("gain",),
    ),
    Item(21, "other and larger backbones", (), ("gain",), sweep="backbone"),
    Item(
        22,
        "variation A, 128x128: 0.4404 -> 0.4245, -3.6 %",
        (),
        ("first", "last", "gain", "seconds"),
        "psparsity train --variation A",
    ),
    Item(
        23,
        "variation B, 32x32: 1.0643 -> 1.0545, -0.9 %",
        (),
        ("first", "last", "gain", "seconds"),
        "psparsity train --variation B",
    ),
    Item(
        24,
        "criteria: reward +20, +50, +100 %; entropy > 1; explained variance > 20 %",
        (_DIAGNOSE + "test_reward_criteria", _DIAGNOSE + "test_explained_variance_of_the_last_tenth"),
        (),
        "psparsity diagnose RUN",
    ),
    Item(
        25,
        "a line per epoch, full diagnostics every 10",
        ("tests/reporting/test_live.py::test_diagnostics_every_ten_iterations_in_both_modes",),
    ),
    Item(
        26,
        "run_case_study.py --config study_1_anisotropic.yaml --variation A",
        ("tests/config/test_studies.py::test_the_triage_study_is_that_of_the_document",),
        (),
        "psparsity train --config studies/triage.yaml --variation A",
    ),
)
