"""Transports: one for each HTTP library, and what they share."""

__all__ = ()
