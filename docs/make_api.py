"""Write docs/api.md from signatures and docstrings: `python docs/make_api.py`. A test holds that it is current."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import rllib_psparsity

RETURNED = {
    "LearnedSolver": "rllib_psparsity.deploy",
    "SetupInfo": "rllib_psparsity.deploy",
    "LevelInfo": "rllib_psparsity.deploy.setup_info",
    "LoadedPolicy": "rllib_psparsity.deploy",
}
"""What the functions return, by the module that it is imported from for type annotations: nobody makes one by hand."""

EXTENDING = {
    "Problem": "rllib_psparsity.problems.problem",
    "Family": "rllib_psparsity.problems.families",
    "Parameter": "rllib_psparsity.problems.families",
    "scalar_problem": "rllib_psparsity.problems.families.family",
    "symmetric_csr": "rllib_psparsity.problems.families.family",
    "Reward": "rllib_psparsity.environment.rewards",
    "Quality": "rllib_psparsity.environment.credit",
    "energies": "rllib_psparsity.environment.rewards.energy",
    "Hierarchy": "rllib_psparsity.amg.hierarchy",
    "BlockVCycle": "rllib_psparsity.amg.cycle",
    "Encoder": "rllib_psparsity.policy.encoder",
    "GraphBatch": "rllib_psparsity.policy.batch",
    "node_inputs": "rllib_psparsity.policy.sparse",
}
"""What docs/extending.md builds on, by the module that it is imported from."""

HEAD = """# API reference

Made from the docstrings by `python docs/make_api.py`. N nodes, E undirected edges, G graphs in a batch, F features,
K test vectors, L levels, R recipes.

"""


def reference() -> str:
    """The whole page."""
    public = [(name, "rllib_psparsity") for name in rllib_psparsity.__all__ if not name.startswith("_")]
    return (
        HEAD
        + "# Use\n\n"
        + "\n".join(_entry(name, module) for name, module in public)
        + "\n# What these return\n\n"
        + "\n".join(_entry(name, module, made=False) for name, module in RETURNED.items())
        + "\n# Extend\n\nSee [extending.md](extending.md).\n\n"
        + "\n".join(_entry(name, module) for name, module in EXTENDING.items())
    )


def _entry(name: str, module: str, made: bool = True) -> str:
    """A function, or a class with the methods and properties of its own; `made`: whether its users call it."""
    thing = getattr(importlib.import_module(module), name)
    call = _call(name, thing) if made else []
    parts = [f"## {name}\n", f"`from {module} import {name}`\n", *call, _markdown(thing)]
    members = vars(thing).items() if inspect.isclass(thing) else ()
    for member, value in members:
        called = getattr(value, "__func__", value)
        if not member.startswith("_") and (inspect.isfunction(called) or isinstance(value, property)) and value.__doc__:
            parts += [f"### {name}.{member}\n", *_call(member, called), _markdown(value)]
    return "\n".join(parts)


def _call(name: str, thing: Any) -> list[str]:
    """How it is called, with defaults and without types: the docstring says these in words."""
    if isinstance(thing, property):
        return []
    signature = inspect.signature(thing)
    kept = [p.replace(annotation=p.empty) for p in signature.parameters.values() if p.name not in ("self", "cls")]
    if [p.name for p in kept] == ["args", "kwargs"]:  # of a base class: says nothing
        return []
    return [f"    {name}{signature.replace(parameters=kept, return_annotation=signature.empty)}\n"]


def _markdown(thing: Any) -> str:
    """A numpydoc docstring: titles of sections in bold, entries as list items, examples as a block of code."""
    found = re.sub(r"``", "`", inspect.getdoc(thing) or "").splitlines()
    lines, section = [], ""
    for line, after in zip(found, [*found[1:], ""], strict=True):
        if re.fullmatch(r"-{3,}", after):
            lines += [f"**{line}**", ""]
            section = line
        elif not re.fullmatch(r"-{3,}", line):
            if not line and section != "Examples":  # prose may follow the entries
                section = ""
            lines.append(_line(line, section))
    return "\n".join([*lines, ""])


def _line(line: str, section: str) -> str:
    """A line of a docstring in Markdown, by the section that it is in, if any."""
    if not line or section in ("", "Notes"):
        return line
    if section == "Examples":
        return f"    {line}"
    if line.startswith(" "):
        return f"  {line.strip()}"
    name, colon, rest = line.partition(" : ")
    return f"- `{name}`{colon and ': '}{rest}"


if __name__ == "__main__":
    (Path(__file__).parent / "api.md").write_text(reference(), encoding="utf-8")
