"""A problem family, a reward and a backbone for rllib_psparsity; docs/extending.md explains them."""
