"""A weighted mix of problem families, drawn by counter: any problem can be made anywhere, without state."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rllib_psparsity.errors import InputError
from rllib_psparsity.problems.families import Family, family_names, find_family
from rllib_psparsity.problems.files import load_matrix, matrix_files
from rllib_psparsity.problems.problem import Problem
from rllib_psparsity.problems.ranges import Range, checked_ranges, checked_size, draw, draw_size, nearest
from rllib_psparsity.problems.renumbering import renumbered

if TYPE_CHECKING:
    from rllib_psparsity.config.schema import FamilyConfig, ProblemsConfig

TRAINING, HELDOUT = 0, 1
ORDER = 0
"""Key, below that of the problem, of the stream that its nodes are renumbered by."""
FILE_PREFIX = "file:"


class ProblemDistribution:
    """Training and held-out problems of a mix.

    Problem i of a split comes from ``SeedSequence(seed, spawn_key=(split, i))``, so the streams of training and
    held-out problems never meet, and the same seed gives the same matrix on every machine. Where the mix names files
    (``family: file:PATH``), both splits draw from the same ones. All that can be wrong with the mix is found on
    construction; files are read then, and kept.

    Parameters
    ----------
    config : ProblemsConfig
    seed : int, not negative

    Raises
    ------
    InputError
        Unknown family or parameter, an impossible range, or a file that is no matrix.
    """

    def __init__(self, config: ProblemsConfig, seed: int) -> None:
        self._seed = seed
        self._training_problems = config.training_problems
        self._renumbered = config.renumbered
        self._members = [family_member(family) for family in config.families]
        weights = np.array([family.weight for family in config.families])
        self._bounds = np.cumsum(weights / weights.sum())[:-1]

    def training(self, index: int, difficulty: float = 1.0) -> Problem:
        """Training problem `index`; with a fixed set of M problems, number index mod M.

        `difficulty` from 0 to 1 shrinks sizes and parameter ranges towards their easy ends; the same index at another
        difficulty is the same kind of problem, made easier or harder.
        """
        if self._training_problems is not None:
            index %= self._training_problems
        return self._problem(TRAINING, index, difficulty)

    def heldout(self, index: int) -> Problem:
        """Held-out problem `index`, from the whole of every range."""
        return self._problem(HELDOUT, index, 1.0)

    def _problem(self, split: int, index: int, difficulty: float) -> Problem:
        rng = np.random.default_rng(np.random.SeedSequence(self._seed, spawn_key=(split, index)))
        member = self._members[int(np.searchsorted(self._bounds, rng.random(), side="right"))]
        problem = member.draw(rng, difficulty)
        if isinstance(member, FamilyMember):
            order = np.random.default_rng(np.random.SeedSequence(self._seed, spawn_key=(split, index, ORDER)))
            if order.random() < self._renumbered:
                problem = renumbered(problem, order.permutation(problem.num_unknowns // problem.block_size))
        return dataclasses.replace(problem, name=f"{problem.name}/{('training', 'heldout')[split]}-{index}")


@dataclass(frozen=True, slots=True)
class FamilyMember:
    """A family with the ranges its numbers are drawn from."""

    family: Family
    size: tuple[int, int]
    ranges: dict[str, Range]

    def draw(self, rng: np.random.Generator, difficulty: float) -> Problem:
        size = draw_size(rng, self.size, difficulty)
        declared = self.family.parameters
        numbers = {name: draw(rng, declared[name], values, difficulty) for name, values in self.ranges.items()}
        return self.family.make(rng, size, **numbers)


@dataclass(frozen=True, slots=True)
class FileMember:
    """Matrices from files, each as likely as the others."""

    problems: tuple[Problem, ...]

    def draw(self, rng: np.random.Generator, difficulty: float) -> Problem:
        return self.problems[int(rng.integers(len(self.problems)))]


def family_member(config: FamilyConfig) -> FamilyMember | FileMember:
    """What draws the problems of one entry of a mix; raises as `ProblemDistribution`."""
    if config.family.startswith(FILE_PREFIX):
        files = matrix_files(config.family.removeprefix(FILE_PREFIX))
        return FileMember(tuple(load_matrix(file) for file in files))
    family = find_family(config.family)
    if family is None:
        raise InputError(
            f"there is no problem family {config.family!r}, expected a family or {FILE_PREFIX}PATH; "
            f"{nearest(config.family, family_names())}"
        )
    size = checked_size(family.name, config.size)
    return FamilyMember(family, size, checked_ranges(family, config.parameters))
