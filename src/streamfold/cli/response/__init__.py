"""The commands that talk to a gateway: create, follow, cancel, batch."""

__all__ = ()
