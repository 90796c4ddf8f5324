"""The `streamfold` command."""

from streamfold.cli.entry import main

__all__ = ["main"]
