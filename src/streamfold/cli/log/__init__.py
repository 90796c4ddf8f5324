"""The commands that work on a log of responses."""

__all__ = ()
