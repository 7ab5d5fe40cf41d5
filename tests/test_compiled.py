import subprocess
import sys

import pytest

from rllib_psparsity.compiled import compiled

NO_CACHE = """
import warnings
from numba.core import caching
caching.FunctionCache._impl_class._locator_classes = []  # as where no directory can be written
from pyamg.gallery import poisson
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    from rllib_psparsity.amg.strength import strength_matrix
    from rllib_psparsity.compiled import compiled
    assert compiled()(lambda x: x + 1)(1) == 2
print([str(one.message)[:63] for one in caught if "NUMBA_CACHE_DIR" in str(one.message)])
"""


def test_kernels_compile_where_nothing_can_be_cached_and_one_warning_says_so():
    done = subprocess.run([sys.executable, "-c", NO_CACHE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "['no directory can be written for compiled kernels, so that every']"


def test_options_reach_numba():
    kernel = compiled(error_model="numpy")(lambda x: 1.0 / x)
    assert kernel(0.0) == float("inf")
    with pytest.raises(ZeroDivisionError):
        compiled()(lambda x: 1.0 / x)(0.0)
