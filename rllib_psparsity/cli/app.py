"""The commands of `psparsity`. A new one is a file beside this one and a line below."""

from __future__ import annotations

from cyclopts import App

from rllib_psparsity import __version__
from rllib_psparsity.cli.diagnose import diagnose
from rllib_psparsity.cli.evaluate import evaluate
from rllib_psparsity.cli.export import export
from rllib_psparsity.cli.info import info
from rllib_psparsity.cli.resume import resume
from rllib_psparsity.cli.solve import solve
from rllib_psparsity.cli.train import train
from rllib_psparsity.cli.tune import tune

app = App(
    name="psparsity",
    version=__version__,
    version_flags=["--version"],
    help="Train, inspect, export and use policies that decide the sparsity of algebraic multigrid, level by level.",
)

# The files of the commands import what is heavy inside their functions: `psparsity --help` is instant.
for command in (train, resume, tune, evaluate, solve, export, diagnose, info):
    app.command(command)
