"""What a command shows: events, text, a live picture, the outcome."""

__all__ = ()
