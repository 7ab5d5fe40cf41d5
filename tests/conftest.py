"""Settings of every test: one thread for each numerical library, and the same hypothesis examples on every machine."""

from __future__ import annotations

import os

from hypothesis import settings

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"

settings.register_profile("reproducible", derandomize=True, deadline=None)
settings.load_profile("reproducible")
