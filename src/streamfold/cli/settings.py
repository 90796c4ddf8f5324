"""Where the gateway is and who asks: from flags, the environment and a file, in this order.

In      Flags; the environment; a TOML file in the user's own configuration folder, or the one of `--config`
Out     Settings; one line of warning where a key lies in a file that others can read
Errors  Failure that names the flag, the variable or the file, and never the key
Source  docs/reference/cli.md
"""

import os
import stat
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from attrs import field, frozen
from cyclopts import Group, Parameter

from streamfold.cli.failure import USAGE, Failure, say

__all__ = ["NAMES", "Flags", "Settings", "config_folder", "read_settings"]

NAMES = ("base_url", "api_key", "on_behalf_of", "dialect", "http")
FILE_NAME = "config.toml"
DIALECTS = ("mka1", "openai", "open_responses")
CARRIERS = ("httpx", "direct")
MIN_HIDDEN = 6  # characters: a shorter key is none that is worth hiding, and would be found in every other word
HIDDEN = "[key]"

GATEWAY = Group("Gateway (flag, else environment, else config file)", sort_key=9)


@Parameter(name="*")
@frozen(kw_only=True)
class Flags:
    """The settings as flags; None where the flag was not given."""

    base_url: Annotated[
        str | None, Parameter(help="As https://host; its own path counts. STREAMFOLD_BASE_URL.", group=GATEWAY)
    ] = None
    api_key: Annotated[str | None, Parameter(help="Better in STREAMFOLD_API_KEY: others see flags.", group=GATEWAY)] = (
        field(default=None, repr=False)
    )
    on_behalf_of: Annotated[str | None, Parameter(help="The end user. STREAMFOLD_ON_BEHALF_OF.", group=GATEWAY)] = None
    dialect: Annotated[
        str | None,
        Parameter(help="mka1 (the default), openai or open_responses. STREAMFOLD_DIALECT.", group=GATEWAY),
    ] = None
    http: Annotated[str | None, Parameter(help="httpx (the default) or direct. STREAMFOLD_HTTP.", group=GATEWAY)] = None
    config: Annotated[
        Path | None,
        Parameter(help="The config file; else config.toml in the user's folder. STREAMFOLD_CONFIG.", group=GATEWAY),
    ] = None


@frozen(kw_only=True)
class Settings:
    """All that a Gateway is made of.

    origins: where each came from, as the user spelled it. again: the flags that give the same once more, the key's
    left out.
    """

    base_url: str
    api_key: str = field(repr=False)
    on_behalf_of: str | None = None
    dialect: str = DIALECTS[0]
    http: str | None = None
    origins: Mapping[str, str] = field(factory=dict[str, str])
    again: tuple[str, ...] = ()

    def hide(self, text: str) -> str:
        """A gateway's words without the key, should it repeat that."""
        return text.replace(self.api_key, HIDDEN) if len(self.api_key) >= MIN_HIDDEN else text


def read_settings(flags: Flags | None, *, environ: Mapping[str, str] = os.environ) -> Settings:
    """What flags, environment and file come to. An empty variable counts as none.

    Raises: Failure.
    """
    flags = flags or Flags()
    given: dict[str, str] = {}
    origins: dict[str, str] = {}
    layers = (_from_file(flags.config, environ), _from_environment(environ), _from_flags(flags))
    for layer in layers:
        for name, (value, origin) in layer.items():
            given[name], origins[name] = value, origin
    _check(given, origins, environ)
    return Settings(**given, origins=origins, again=_again(flags))


Layer = dict[str, tuple[str, str]]  # name → value, and where it stood


def _from_flags(flags: Flags) -> Layer:
    values = {name: getattr(flags, name) for name in NAMES}
    return {name: (value, _flag(name)) for name, value in values.items() if value is not None}


def _from_environment(environ: Mapping[str, str]) -> Layer:
    return {name: (environ[_variable(name)], _variable(name)) for name in NAMES if environ.get(_variable(name))}


def _from_file(path: Path | None, environ: Mapping[str, str]) -> Layer:
    named = path or (Path(environ["STREAMFOLD_CONFIG"]) if environ.get("STREAMFOLD_CONFIG") else None)
    file = named or config_folder(environ) / FILE_NAME
    try:
        with file.open("rb") as opened:
            others_can_read = os.name == "posix" and os.fstat(opened.fileno()).st_mode & (stat.S_IRGRP | stat.S_IROTH)
            fields = tomllib.load(opened)
    except FileNotFoundError:
        if named is None:
            return {}
        raise Failure(f"{file}: no such file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Failure(f"{file}: no TOML: {error}") from error
    except OSError as error:
        raise Failure(f"{file}: cannot be read: {error.strerror or error}") from error
    _check_fields(fields, file)
    if others_can_read and fields.get("api_key"):
        say(f"{file} holds a key, and others can read it: chmod 600 {file}")
    return {name: (value, f"{name} in {file}") for name, value in fields.items() if value}


def _check_fields(fields: Mapping[str, Any], file: Path) -> None:
    for name, value in fields.items():
        if name not in NAMES:
            raise Failure(f"{file}: {name!r} is no setting; use {', '.join(NAMES)}")
        if not isinstance(value, str):
            raise Failure(f"{file}: {name} must be a text in quotes")


def _check(given: Mapping[str, str], origins: Mapping[str, str], environ: Mapping[str, str]) -> None:
    for name, words in (("base_url", "base URL"), ("api_key", "API key")):
        if name not in given:
            place = f"set {_variable(name)}, or write {name} in {config_folder(environ) / FILE_NAME}"
            raise Failure(f"no {words}: give {_flag(name)}, {place}", USAGE)
    for name, choices in (("dialect", DIALECTS), ("http", CARRIERS)):
        if name in given and given[name] not in choices:
            raise Failure(f"{origins[name]}: {given[name]!r} is none; use {' or '.join(choices)}", USAGE)


def _again(flags: Flags) -> tuple[str, ...]:
    named = [(_flag(name), getattr(flags, name)) for name in (*NAMES, "config") if name != "api_key"]
    return tuple(str(word) for flag, value in named if value is not None for word in (flag, value))


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _variable(name: str) -> str:
    return "STREAMFOLD_" + name.upper()


def config_folder(environ: Mapping[str, str], *, platform: str = sys.platform) -> Path:
    """The folder where this user's settings lie, as each platform has it."""
    if platform == "win32":
        base = Path(environ.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    elif platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        configured = Path(environ.get("XDG_CONFIG_HOME") or "")  # a relative one is to be ignored, says its standard
        base = configured if configured.is_absolute() else Path.home() / ".config"
    return base / "streamfold"
