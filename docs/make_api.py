"""Write docs/api.md from signatures and docstrings: `python docs/make_api.py`. A test holds that it is current."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import rllib_psparsity

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
        + "\n# Extend\n\nSee [extending.md](extending.md).\n\n"
        + "\n".join(_entry(name, module) for name, module in EXTENDING.items())
    )


def _entry(name: str, module: str) -> str:
    thing = getattr(importlib.import_module(module), name)
    parts = [f"## {name}\n", f"`from {module} import {name}`\n", *_call(name, thing), _markdown(thing)]
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
    """A numpydoc docstring: titles of sections in bold, their entries as list items, code in Markdown's quotes."""
    found = re.sub(r"``", "`", inspect.getdoc(thing) or "").splitlines()
    lines, in_section = [], False
    for line, after in zip(found, [*found[1:], ""], strict=True):
        if re.fullmatch(r"-{3,}", after):
            lines += [f"**{line}**", ""]
        elif re.fullmatch(r"-{3,}", line):
            in_section = True
        elif not line:
            in_section = False
            lines.append(line)
        elif in_section and not line.startswith(" "):
            name, colon, rest = line.partition(" : ")
            lines.append(f"- `{name}`{colon and ': '}{rest}")
        else:
            lines.append(f"  {line.strip()}" if in_section else line)
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    (Path(__file__).parent / "api.md").write_text(reference(), encoding="utf-8")
