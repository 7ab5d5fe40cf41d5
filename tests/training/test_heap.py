"""Freed memory goes back to the system, in a process of its own."""

import subprocess
import sys

SCRIPT = """
import numpy as np
from rllib_psparsity.training.heap import trim_heap

def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1])

before = resident()
arrays = [np.ones(2000) for _ in range(20_000)]  # 320 MB, below the size that malloc maps apart
kept = arrays[-1]
full = resident()
del arrays
fragmented = resident()
trimmed = trim_heap()
print(trimmed, full - before, fragmented - before, resident() - before)
"""


def test_free_pages_below_a_used_one_are_given_back():
    out = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True).stdout.split()
    full, fragmented, left = (int(pages) for pages in out[1:])
    assert out[0] == "True"
    assert fragmented > 0.5 * full, "the heap shrank by itself, so this shows nothing"
    assert left < 0.1 * full
