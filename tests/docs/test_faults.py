"""Every test and command that docs/faults.md names is there."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

from rllib_psparsity.config.schema import FaultsConfig

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "faults.md").read_text()


def test_the_tests_and_commands_exist():
    named = re.findall(r"`(tests/\S+\.py)::(\w+)`", PAGE)
    assert len(named) > 12
    for file, test in named:
        assert f"def {test}(" in (ROOT / file).read_text(), test
    commands = re.findall(r"python -m (\S+?)`", PAGE)
    assert len(commands) == 3 and all(find_spec(command) for command in commands)


def test_the_limits_are_those_of_the_configuration():
    table = dict(re.findall(r"^\| `faults\.(\w+)` \| (\d+) \|", PAGE, re.MULTILINE))
    assert {name: float(value) for name, value in table.items()} == {
        name: float(value) for name, value in FaultsConfig().model_dump().items()
    }
