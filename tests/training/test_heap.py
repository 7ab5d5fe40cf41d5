"""Memory that is not needed goes back to the system, in processes of their own."""

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


MAPPED = """
import mmap, os, sys
from rllib_psparsity.training.heap import let_go_of_object_store

def resident() -> int:
    with open("/proc/self/status") as file:
        return sum(1024 * int(line.split()[1]) for line in file if line.startswith(("RssShmem", "RssFile", "RssAnon")))

name, size = "/dev/shm/psparsity_test_" + str(os.getpid()), 64_000_000
with open(name, "w+b") as file:
    os.unlink(name)
    file.truncate(size)
    shared = mmap.mmap(file.fileno(), size)
    private = mmap.mmap(file.fileno(), size, mmap.MAP_PRIVATE)
before = resident()
shared.write(b"s" * size)
private.write(b"p" * size)
full = resident()
mapped = let_go_of_object_store(name)
left = resident()
kept = shared[:] == b"s" * size and private[:] == b"p" * size
print(let_go_of_object_store(name + "other"), mapped - size, full - before, left - before, kept)
"""


def test_pages_of_the_object_store_are_let_go_and_their_contents_kept():
    out = subprocess.run([sys.executable, "-c", MAPPED], capture_output=True, text=True, check=True).stdout.split()
    other, rounding, full, left = (int(word) for word in out[:4])
    assert other == 0 and 0 <= rounding < 4096, "only the named file's shared mapping"
    assert full > 120_000_000 and 60_000_000 < left < 70_000_000, "the private mapping stays as it is"
    assert out[4] == "True"
