"""The command that folds a recorded stream."""

__all__ = ()
