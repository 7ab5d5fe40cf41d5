"""Sweeps: settings and seeds as trials of Ray Tune, each of them a run directory."""
