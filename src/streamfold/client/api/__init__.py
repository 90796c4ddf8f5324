"""Every call of the API: requests, answers, pages, batches."""

__all__ = ()
