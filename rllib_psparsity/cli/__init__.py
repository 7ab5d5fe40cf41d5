"""The command `psparsity`: one file a command, and exit codes that scripts can rely on."""

from __future__ import annotations

import os
import select
import sys
import traceback
from collections.abc import Sequence
from errno import ENAMETOOLONG

DONE, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    0 done; 1 failed while working, with a traceback unless the reason is known or nobody reads the output any more; 2
    bad input, with one sentence; 130 interrupted.
    """
    from cyclopts import CycloptsError

    from rllib_psparsity.cli.app import app
    from rllib_psparsity.errors import InputError, RunStopped

    tokens = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = app(tokens, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
    except (InputError, CycloptsError) as error:
        print(f"psparsity: {' '.join(str(error).split())}", file=sys.stderr)
        return BAD_INPUT
    except RunStopped as error:
        print(f"psparsity: {' '.join(str(error).split())}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("psparsity: interrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        if isinstance(error, OSError) and error.errno == ENAMETOOLONG:
            name = str(error.filename)
            print(
                f"psparsity: the path {name[:40]}... has {len(name)} characters, more than the file system allows; "
                "shorten it",
                file=sys.stderr,
            )
            return BAD_INPUT
        if not (isinstance(error, BrokenPipeError) and _reader_has_left()):
            traceback.print_exc()
        return FAILED
    return code or DONE


def _reader_has_left() -> bool:
    """Whether nobody reads our output any more, as after `| head`. What is buffered then goes nowhere, or it would fail
    once more when Python exits."""
    output = select.poll()
    output.register(sys.stdout.fileno(), 0)
    left = any(event & select.POLLERR for _, event in output.poll(0))
    if left:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return left
