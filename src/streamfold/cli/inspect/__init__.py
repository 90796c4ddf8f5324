"""The terminal program over a log."""

__all__ = ()
