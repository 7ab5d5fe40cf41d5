"""Policies beside the classical portfolio, on the same problems and right-hand sides."""
