"""`psparsity diagnose`."""

from __future__ import annotations

from pathlib import Path

from rllib_psparsity.cli.options import require_run_dir


def diagnose(run_dir: Path, /) -> int:
    """Judge a run by the triage criteria and draw its curves into report.html.

    Parameters
    ----------
    run_dir
        The directory of the run.
    """
    require_run_dir(run_dir)
    from rllib_psparsity.reporting.diagnose import diagnose as report

    print(report(run_dir))
    return 0
