"""Sentences for async objects in plain `with` and `for`, and for blocking ones in `async with` and `async for`."""

from typing import TYPE_CHECKING, ClassVar, NoReturn

from streamfold.errors import UsageError

# Python's own TypeError names a missing dunder method, which does not help. Type checkers do not see these methods, so they
# report the misuse themselves; a method that returns NoReturn would only make the code after it unreachable.


class AsyncOnly:
    """Refuses `await`, `with` and `for`. usage: What to write instead."""

    usage: ClassVar[str]

    if not TYPE_CHECKING:

        def _refuse(self) -> NoReturn:
            raise UsageError(f"{self.usage}, or streamfold.client.blocking for code without async")

        __await__ = __enter__ = __exit__ = __iter__ = _refuse


class BlockingOnly:
    """Refuses `await`, `async with` and `async for`. usage: What to write instead."""

    usage: ClassVar[str]

    if not TYPE_CHECKING:

        def _refuse(self) -> NoReturn:
            raise UsageError(f"{self.usage}, or streamfold.client for code with async")

        __await__ = __aenter__ = __aexit__ = __aiter__ = _refuse
