"""What a value decoded from JSON is, told so that a type checker believes it.

In      any value that a JSON decoder gives
Out     whether it is an object, or a list
Errors  none
Source  RFC 8259
"""

from typing import Any, TypeGuard

__all__ = ["is_list", "is_object"]


def is_object(value: Any) -> TypeGuard[dict[str, Any]]:
    """Whether a value decoded from JSON is an object."""
    return isinstance(value, dict)


def is_list(value: Any) -> TypeGuard[list[Any]]:
    """Whether a value decoded from JSON is a list."""
    return isinstance(value, list)
