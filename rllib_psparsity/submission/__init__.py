"""Runs on a cluster that is reached through Ray's job server; `psparsity submit` is made of it."""
