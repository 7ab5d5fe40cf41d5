"""`psparsity evaluate`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from rllib_psparsity.cli.options import WHOLE, use_one_thread
from rllib_psparsity.errors import InputError

if TYPE_CHECKING:
    from rllib_psparsity.evaluation.evaluate import Evaluation

Several = Parameter(consume_multiple=1, negative=())
NEEDED = {"pyarrow": "pyarrow", "matplotlib": "matplotlib", "torch": "torch", "skfem": "scikit-fem"}
FILE_WIDTH = 120
"""Columns where no terminal says how many there are: the table without a broken line."""


def evaluate(
    *,
    policy: str = "default",
    suite: str = "in_distribution",
    out: Path | None = None,
    methods: Annotated[tuple[str, ...], Several] = (),
    seeds: Annotated[tuple[int, ...], WHOLE, Several] = (0,),
    repeats: Annotated[int | None, WHOLE] = None,
    selector: Path | None = None,
    list_: Annotated[bool, Parameter(name="--list", negative=())] = False,
) -> int:
    """Compare a policy with the classical portfolio on a suite of problems.

    Parameters
    ----------
    policy
        The name or directory of a policy.
    suite
        A shipped suite (see --list), a suite in YAML, or a directory of matrix files.
    out
        Parquet file for the rows, with pictures beside it; evaluation_SUITE.parquet by default. The same call goes on
        with a file that an interrupted one left.
    methods
        Names that --list prints, or members of the portfolio; all by default.
    seeds
        Of the right-hand sides: every problem is measured once for each.
    repeats
        Rounds whose median time is taken; the suite's own number by default.
    selector
        Data of the recipe selector, made by python -m benchmarks.selector.
    list_
        Print the shipped suites and the methods, and measure nothing.
    """
    if list_:
        _print_list()
        return 0
    _require_packages()
    use_one_thread()
    evaluation = _prepared(policy, suite, out, methods, seeds, repeats, selector)
    _run(evaluation)
    return 0


def _prepared(
    policy: str,
    suite_name: str,
    out: Path | None,
    names: tuple[str, ...],
    seeds: tuple[int, ...],
    repeats: int | None,
    selector: Path | None,
) -> Evaluation:
    """All that can be wrong with the input is found here, the cheapest first."""
    if repeats is not None and repeats < 1:
        raise InputError(f"--repeats is {repeats}, expected at least 1; leave it out for the suite's own number")
    if any(seed < 0 for seed in seeds) or len(set(seeds)) < len(seeds):
        raise InputError(f"--seeds is {' '.join(map(str, seeds))}, expected numbers from 0 on, each once; mend it")
    if out is not None and (out.suffix != ".parquet" or out.is_dir()):
        raise InputError(f"--out is {out}, expected a file that ends with .parquet; name one")
    from hashlib import sha256

    from rllib_psparsity.deploy.artifact import load_policy, policy_digest
    from rllib_psparsity.evaluation.arms import recipe_methods
    from rllib_psparsity.evaluation.evaluate import Evaluation
    from rllib_psparsity.evaluation.methods import check_names, choose_methods
    from rllib_psparsity.evaluation.suite import load_suite

    check_names(names, selector)
    loaded = load_policy(policy)
    chosen = choose_methods(names, loaded, selector)
    suite = load_suite(suite_name)
    identity = {
        "policy_sha256": policy_digest(policy),
        "selector_sha256": sha256(selector.read_bytes()).hexdigest() if selector is not None else None,
    }
    file = out or Path(f"evaluation_{suite.name}.parquet")
    recipes = recipe_methods(loaded.menu, loaded.limits)
    return Evaluation(suite, chosen, seeds, repeats or suite.repeats, file, identity, recipes)


def _run(evaluation: Evaluation) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from rllib_psparsity.evaluation.report import evaluation_table, write_pictures

    console = Console()
    if not console.is_terminal:
        console = Console(width=FILE_WIDTH)
    suite = evaluation.suite
    for sentence in suite.skipped:
        console.print(sentence, soft_wrap=True, markup=False, highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task(suite.name)
            before = ""

            def show(problem: str, done: int, total: int) -> None:
                nonlocal before
                if problem != before and not console.is_terminal:
                    console.print(f"{done}/{total} {problem}", soft_wrap=True, markup=False, highlight=False)
                before = problem
                progress.update(task, completed=done, total=total, description=problem)

            evaluation.run(show)
    except KeyboardInterrupt:
        console.print(f"what was measured is in {evaluation.out}; the same command goes on from there", soft_wrap=True)
        raise
    title = f"{suite.name}, {len(suite.problems)} problems, seeds {' '.join(map(str, evaluation.seeds))}"
    console.print(evaluation_table(evaluation.rows, title))
    pictures = write_pictures(evaluation.rows, evaluation.out)
    console.print(f"rows: {evaluation.out} | pictures: {', '.join(map(str, pictures)) or 'none'}", soft_wrap=True)


def _print_list() -> None:
    from rllib_psparsity.evaluation.methods import GROUPS
    from rllib_psparsity.evaluation.suite import read_suite_file, shipped_suites

    print("suites, for --suite:")
    for name, path in shipped_suites().items():
        content = read_suite_file(path)
        print(f"  {name:<16} {sum(entry.count for entry in content.problems):>3} problems  {content.about}")
    print("methods, for --methods:")
    for name, about in GROUPS.items():
        print(f"  {name:<16} {about}")


def _require_packages() -> None:
    for module, package in NEEDED.items():
        if find_spec(module) is None:
            raise InputError(
                f"psparsity evaluate needs {package}, which is not installed; run pip install 'rllib_psparsity[train]'"
            )
