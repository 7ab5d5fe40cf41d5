from __future__ import annotations

import pytest

from rllib_psparsity.evaluation.provenance import command_line


@pytest.mark.parametrize("program", ["/somewhere/bin/psparsity", "/somewhere/rllib_psparsity/__main__.py"])
def test_the_command_is_written_as_a_user_types_it(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", [program, "train", "--variation", "A"])
    assert command_line() == "psparsity train --variation A"
