"""One response followed to its end, and recorded."""

__all__ = ()
