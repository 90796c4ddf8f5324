"""How bytes travel: one Transport per HTTP library, and what they share."""

__all__ = ()
