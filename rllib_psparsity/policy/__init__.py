"""The policy: level graphs in, decisions out. Torch for training, numpy and numba for inference; no ray."""
