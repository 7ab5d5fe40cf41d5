"""Typed configuration: defaults, then files, then the command line; unknown keys are refused."""
