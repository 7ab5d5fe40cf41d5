"""Settings of every test: one thread for each numerical library, the same hypothesis examples on every machine, and
Ctrl-C for the processes that tests start."""

from __future__ import annotations

import os
import signal

from hypothesis import settings

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"

# A shell that runs the suite in the background has it ignore SIGINT, and every process of a test would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("reproducible", derandomize=True, deadline=None)
settings.load_profile("reproducible")
