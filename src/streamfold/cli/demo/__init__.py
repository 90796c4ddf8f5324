"""`streamfold demo`: what the client and the relay do when something breaks, shown and checked on this machine."""

from streamfold.cli.demo.command import demo

__all__ = ["demo"]
