"""docs/: the API reference is current, and links lead somewhere."""

from __future__ import annotations

import dataclasses
import importlib.util
import inspect
import re
from pathlib import Path
from types import FunctionType

import pytest

import rllib_psparsity
from rllib_psparsity.deploy.artifact import LoadedPolicy
from rllib_psparsity.deploy.multilevel import LearnedSolver
from rllib_psparsity.deploy.setup_info import LevelInfo, SetupInfo

DOCS = Path(rllib_psparsity.__file__).parents[1] / "docs"


def make_api():
    spec = importlib.util.spec_from_file_location("make_api", DOCS / "make_api.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_api_reference_is_current_and_whole():
    page = (DOCS / "api.md").read_text()
    assert page == make_api().reference(), "write it anew: python docs/make_api.py"
    for name in rllib_psparsity.__all__:
        if not name.startswith("_"):
            section = page.split(f"## {name}\n")[1].split("\n## ")[0]
            for parameter in inspect.signature(getattr(rllib_psparsity, name)).parameters:
                assert re.search(rf"\b{parameter}\b", section)


@pytest.mark.parametrize("returned", [LearnedSolver, SetupInfo, LevelInfo, LoadedPolicy])
def test_what_the_functions_return_is_in_the_reference(returned: type):
    section = (DOCS / "api.md").read_text().split(f"## {returned.__name__}\n")[1].split("\n## ")[0]
    own = {name for name, value in vars(returned).items() if isinstance(value, (FunctionType, property))}
    named = re.findall(rf"^### {returned.__name__}\.(\w+)$", section, re.MULTILINE)
    assert set(named) == {name for name in own if not name.startswith("_")}
    attributes = set(", ".join(re.findall(r"^- `([\w, ]+)`", section, re.MULTILINE)).split(", "))
    if dataclasses.is_dataclass(returned):
        assert attributes == {field.name for field in dataclasses.fields(returned)}
    else:
        assert "update" in named and {"setup_info", "A", "B"} <= attributes


def test_sections_of_a_docstring_become_markdown():
    def documented():
        """What it does, with ``code``.

        Parameters
        ----------
        a, b : numbers
            Two of them.
        c : another

        Prose after it.

        Notes
        -----
        One paragraph of
        two lines.

        Another.

        Examples
        --------
        >>> for a in (1, 2):
        ...     a
        1

        >>> "after a blank line"
        """

    page = make_api()._markdown(documented)
    assert page.split("\n\n") == [
        "What it does, with `code`.",
        "**Parameters**",
        "- `a, b`: numbers\n  Two of them.\n- `c`: another",
        "Prose after it.",
        "**Notes**",
        "One paragraph of\ntwo lines.",
        "Another.",
        "**Examples**",
        "    >>> for a in (1, 2):\n    ...     a\n    1",
        '    >>> "after a blank line"\n',
    ]


def test_what_the_extending_guide_imports_is_in_the_reference():
    used = [
        name
        for path in (DOCS / "examples" / "extension" / "psparsity_example").glob("*.py")
        for names in re.findall(r"^from rllib_psparsity\S* import (.*)$", path.read_text(), re.MULTILINE)
        for name in names.split(", ")
    ]
    page = (DOCS / "api.md").read_text()
    assert used and all(f"## {name}\n" in page for name in used)


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_links_lead_to_files(page: Path):
    for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert "://" in link or (page.parent / link).exists(), link
