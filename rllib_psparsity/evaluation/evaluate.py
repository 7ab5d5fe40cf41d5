"""Methods on the problems of a suite, saved as they are measured: an interrupted one goes on by the same call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rllib_psparsity.errors import InputError
from rllib_psparsity.evaluation.comparison import measure_rounds, median_rows
from rllib_psparsity.evaluation.method import Measurable
from rllib_psparsity.evaluation.provenance import command_line, commit
from rllib_psparsity.evaluation.rows import Row, read_rows, write_rows
from rllib_psparsity.evaluation.suite import Suite
from rllib_psparsity.evaluation.warm_up import kind_of, load_kernels_of_large_levels, warm_up_problem

SETTINGS, CALLS = "settings", "calls"

Progress = Callable[[str, int, int], None]
"""Called with the name of the problem, the rounds done and those to do, over the whole evaluation."""


class Evaluation:
    """Rows of a suite, a row a problem, method and seed, and the file that they are saved to.

    Parameters
    ----------
    suite, methods, seeds, repeats : what is measured; a seed decides the right-hand side
    out : Parquet file; rows that it holds from an earlier call are kept and not measured again
    identity : what else decides the figures, such as the hash of the policy, by name
    warm_up : run once beside `methods` before the first problem of a kind, and not measured

    Raises
    ------
    InputError
        `out` is no evaluation's file, or one of other settings.

    The file's metadata: ``settings``, and ``calls``, the command and commit of every call that measured rows.
    """

    def __init__(
        self,
        suite: Suite,
        methods: Sequence[Measurable],
        seeds: Sequence[int],
        repeats: int,
        out: Path,
        identity: Mapping[str, Any],
        warm_up: Sequence[Measurable] = (),
    ) -> None:
        self.suite, self.methods, self.seeds, self.repeats, self.out = suite, methods, seeds, repeats, out
        self._warm_up = [*methods, *warm_up]
        self.settings = {
            "suite": suite.name,
            "suite_sha256": suite.digest,
            "methods": [method.name for method in methods],
            "seeds": list(seeds),
            "repeats": repeats,
            **identity,
        }
        self.rows: list[Row] = []
        self._calls: list[dict[str, str]] = []
        if out.exists():
            self._read()

    def _read(self) -> None:
        rows, metadata = read_rows(self.out)
        found = metadata.get(SETTINGS)
        if not isinstance(found, dict):
            raise InputError(f"{self.out} is no file of psparsity evaluate, and is not overwritten; name another --out")
        for key, value in self.settings.items():
            if found.get(key) != value:
                was, now = (_short(held) for held in (found.get(key), value))
                raise InputError(
                    f"{self.out} was measured with other settings ({key} {was}, now {now}); name another --out"
                )
        # A row of fewer rounds is of an interrupted case.
        self.rows = [row for row in rows if row["repeats"] >= self.repeats]
        self._calls = metadata[CALLS]

    def run(self, progress: Progress | None = None) -> None:
        """Measure what is missing; saves after every problem, and what there is when interrupted."""
        held = {(row["problem"], row["seed"], row["method"]) for row in self.rows}
        keys = [(problem, seed) for problem in self.suite.problems for seed in self.seeds]
        total, done = self.repeats * len(keys) * len(self.methods), self.repeats * len(held)
        kinds: set[tuple[int, int]] = set()
        for entry, seed in keys:
            methods = [method for method in self.methods if (entry.name, seed, method.name) not in held]
            if not methods:
                continue
            if not kinds:
                self._calls.append({"command": command_line(), "commit": commit()})
            problem = entry.make()
            if kind_of(problem) not in kinds:
                kinds.add(kind_of(problem))
                _load_code(self._warm_up, *kind_of(problem))
            applicable = [method for method in methods if method.applies_to(problem)]
            after = done + self.repeats * len(methods)
            rounds: list[Row] = []
            try:
                for row in measure_rounds(problem, applicable, seed, self.repeats):
                    rounds.append(row)
                    if progress is not None:
                        progress(entry.name, done + len(rounds), total)
            finally:
                if rounds:
                    self.rows += median_rows(rounds, applicable)
                    write_rows(self.out, self.rows, {SETTINGS: self.settings, CALLS: self._calls})
            done = after


def _load_code(methods: Sequence[Measurable], block: int, num_candidates: int) -> None:
    load_kernels_of_large_levels()
    problem = warm_up_problem(block, num_candidates)
    list(measure_rounds(problem, [method for method in methods if method.applies_to(problem)], 0, 1))


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else text[:37] + "..."
