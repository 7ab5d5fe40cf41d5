"""Errors that people cause and can mend."""


class InputError(ValueError):
    """Bad input, in one sentence: the value, what was expected, and how to fix it.

    The command line prints the sentence and exits with code 2, before any work starts.
    """


class RunStopped(RuntimeError):
    """A run that cannot or must not go on, in one sentence: what happened, and how to go on. The exit code is 1."""


class StorageLost(RunStopped):
    """A run whose storage has not been brought up to date so often that it goes on no more: it is here alone."""


class SetupFailure(RuntimeError):
    """A level that cannot be built from a decision (no coarse points, a prolongator that is not finite, ...).

    Inside an episode this ends the episode with a bounded penalty; it never ends a training run.
    """
