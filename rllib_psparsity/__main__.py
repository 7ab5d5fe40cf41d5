"""`python -m rllib_psparsity` is `psparsity`."""

from rllib_psparsity.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
