from __future__ import annotations

import os
import subprocess
import sys

import pytest

from rllib_psparsity.cli.options import THREADS

TRAIN = """
import os
import sys
from rllib_psparsity.cli import main
assert "numpy" not in sys.modules, "NumPy is imported before it is told how many threads to use"
assert main(["train", "--dry-run"]) == 0
print(*(os.environ[name] for name in {names!r}))
"""


@pytest.mark.parametrize("chosen", [None, "3"])
def test_training_uses_one_thread_unless_the_environment_says_otherwise(chosen: str | None) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in THREADS}
    if chosen is not None:
        environment["OMP_NUM_THREADS"] = chosen
    program = TRAIN.format(names=THREADS)
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1].split() == [chosen or "1", "1", "1"]
