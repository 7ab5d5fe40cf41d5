"""Which methods an evaluation measures, by the names that `psparsity evaluate --methods` takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from time import process_time

from rllib_psparsity.deploy.artifact import LoadedPolicy
from rllib_psparsity.errors import InputError
from rllib_psparsity.evaluation.arms import guarded_method, policy_methods, relaxation_method
from rllib_psparsity.evaluation.external_arm import ExternalArm
from rllib_psparsity.evaluation.external_methods import external_methods
from rllib_psparsity.evaluation.method import PORTFOLIO_NAMES, Measurable, Method, classical_methods
from rllib_psparsity.evaluation.selector import read_selector_data, selector_methods
from rllib_psparsity.problems.ranges import nearest

LEARNED, UNGUARDED, PRIOR, UNTRAINED = "learned", "unguarded", "prior", "untrained"
DEFAULT, PORTFOLIO, RELAXATION, EXTERNAL, SELECTOR = "default", "portfolio", "relaxation", "external", "selector"
GROUPS = {
    LEARNED: "learned_solver as a user calls it, with its guard and its tries",
    UNGUARDED: "the policy alone: one try, no guard",
    PRIOR: "the textbook prior that its training started from, alone",
    UNTRAINED: "its network before training, on top of the prior",
    DEFAULT: "PyAMG's default",
    PORTFOLIO: "the 27 classical configurations, of which the virtual best is made",
    RELAXATION: "conjugate gradients with Gauss-Seidel alone, to tell where multigrid is not needed",
    EXTERNAL: "hypre BoomerAMG and PETSc GAMG, where petsc4py is installed",
    SELECTOR: "trees that choose among the 27, grown from the data of --selector",
}
"""Name for --methods -> what it is. A name of one configuration of the portfolio is valid too."""

UNTRAINED_SEED = 0


def check_names(names: Sequence[str], selector: Path | None) -> None:
    """Refuse unknown names, the selector without its data, and data that nobody asked for."""
    valid = {**GROUPS, **dict.fromkeys(PORTFOLIO_NAMES)}
    for name in names:
        if name not in valid:
            raise InputError(
                f"there is no method {name!r}, expected one of {', '.join(GROUPS)} or a member of the portfolio; "
                f"{nearest(name, valid)}"
            )
    if SELECTOR in names and selector is None:
        raise InputError("the method selector needs its data; give --selector FILE, made by benchmarks.selector")
    if selector is not None and names and SELECTOR not in names:
        raise InputError(f"--selector {selector} is given, but --methods does not name selector; add it")


def choose_methods(names: Sequence[str], policy: LoadedPolicy, selector: Path | None) -> tuple[Measurable, ...]:
    """The methods in the order of `GROUPS`, single members of the portfolio at the end.

    Without names: all groups, the selector where its data are given and the external ones where they are installed.
    `InputError` as `check_names`, and where external ones are asked for but not installed.
    """
    check_names(names, selector)
    wanted = set(names) or set(GROUPS) - ({SELECTOR} if selector is None else set())
    external, reasons = external_methods(process_time)
    if EXTERNAL in names and not external:
        raise InputError(f"the method external cannot be used: {next(iter(reasons.values()))}")
    default, *portfolio = classical_methods()
    makers: dict[str, Callable[[], Sequence[Measurable]]] = {
        SELECTOR: lambda: selector_methods(read_selector_data(selector)[0]) if selector else (),
        LEARNED: lambda: (guarded_method(policy),),
        DEFAULT: lambda: (default,),
        PORTFOLIO: lambda: portfolio,
        RELAXATION: lambda: (relaxation_method(),),
        EXTERNAL: lambda: [ExternalArm(name, method) for name, method in external.items()],
    }
    if wanted & {UNGUARDED, PRIOR, UNTRAINED}:
        arms = dict(zip((PRIOR, UNTRAINED, UNGUARDED), _arms(policy), strict=True))
        makers |= {name: lambda arm=arm: (arm,) for name, arm in arms.items()}
    chosen = [method for group in GROUPS if group in wanted for method in makers[group]()]
    held = {method.name for method in chosen}
    return (*chosen, *(method for method in portfolio if method.name in wanted and method.name not in held))


def _arms(policy: LoadedPolicy) -> tuple[Method, Method, Method]:
    from rllib_psparsity.policy.inference import inference_of
    from rllib_psparsity.policy.network import untrained_network

    untrained = inference_of(untrained_network(policy.config, UNTRAINED_SEED, policy.inference.weights()))
    return policy_methods(policy.inference, untrained, policy.menu, policy.limits)
