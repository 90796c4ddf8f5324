"""A script that fails made smaller, for as long as it still fails.

In      a Script, and whether a script fails
Out     a Script that fails, of which nothing more can be left out
Units   events
Errors  none
Source  docs/explanation/simulation.md
"""

from collections.abc import Callable, Iterator
from typing import Any

from msgspec.structs import fields, replace

from streamfold.sim.script import Manner, Script, Upset

__all__ = ["shrink"]

MOST_TRIES = 2000
LISTS = ("streams", "retrieves", "cancels", "deeds")
NOTHING = Upset()


def shrink(script: Script, fails: Callable[[Script], bool]) -> Script:
    """The smallest script found. fails: whether a script fails, in the way that the first one does."""
    tries = 0
    while tries < MOST_TRIES:
        for smaller in _smaller(script):
            tries += 1
            if fails(smaller):
                script = smaller
                break
        else:
            return script
    return script


def _smaller(script: Script) -> Iterator[Script]:
    """Scripts with something less, the boldest first."""
    for name in LISTS:
        if getattr(script, name):
            yield replace(script, **{name: ()})
    if script.manner != Manner():
        yield replace(script, manner=Manner())
    for name in LISTS:
        each = getattr(script, name)
        for place in reversed(range(len(each))):
            yield replace(script, **{name: each[:place] + each[place + 1 :]})
    for name in ("streams", "retrieves", "cancels"):
        for place, upset in enumerate(getattr(script, name)):
            for less in _smaller_upset(upset):
                each = getattr(script, name)
                yield replace(script, **{name: (*each[:place], less, *each[place + 1 :])})
    yield from (replace(script, manner=manner) for manner in _reset(script.manner))
    yield from _reset(script)
    if script.stream:
        yield replace(script, stream=script.stream // 2)
    if script.after:
        yield from (replace(script, after=after) for after in (script.after // 2, script.after - 1))


def _smaller_upset(upset: Upset) -> Iterator[Upset]:
    if upset != NOTHING:
        yield NOTHING
    yield from _reset(upset)
    faults = upset.faults.split(";")
    if len(faults) > 1:
        yield from (replace(upset, faults=one) for one in faults)


def _reset(value: Any) -> Iterator[Any]:
    """The value with one field at its default."""
    fresh = type(value)()
    for field in fields(value):
        name = field.name
        if name not in {*LISTS, "manner"} and getattr(value, name) != getattr(fresh, name):
            yield replace(value, **{name: getattr(fresh, name)})
