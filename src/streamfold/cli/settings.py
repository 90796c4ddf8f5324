"""The gateway's address and who is asking: from flags, then the environment, then a TOML file.

OPENAI_BASE_URL and OPENAI_API_KEY count last. That key is only ever sent to the address in OPENAI_BASE_URL.
"""

import os
import stat
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from attrs import field, frozen
from cyclopts import Group, Parameter

from streamfold.cli.options import flag_words
from streamfold.cli.terminal import USAGE, Failure, say

NAMES = ("base_url", "api_key", "on_behalf_of", "dialect", "http")
FILE_NAME = "config.toml"
CLIENTS = ("httpx", "direct")
MIN_HIDDEN = 6  # characters: do not redact shorter keys, they would match ordinary words
HIDDEN = "[hidden]"  # as the client does

GATEWAY = Group("Gateway (flag, then environment, then config file)", sort_key=9)


def _setting(help: str, variable: str) -> Parameter:
    return Parameter(help=f"{help} [env: STREAMFOLD_{variable}]", group=GATEWAY)


@Parameter(name="*")
@frozen(kw_only=True)
class Flags:
    """The settings as flags; None if a flag was not given."""

    base_url: Annotated[str | None, _setting("Such as https://host/v1", "BASE_URL")] = None
    api_key: Annotated[str | None, _setting("Other users can see flags; prefer the variable", "API_KEY")] = field(
        default=None, repr=False
    )
    on_behalf_of: Annotated[str | None, _setting("The end user", "ON_BEHALF_OF")] = None
    dialect: Annotated[
        str | None, _setting("mka1, openai or open-responses [default: guessed from the URL]", "DIALECT")
    ] = None
    http: Annotated[str | None, _setting("httpx or direct [default: httpx]", "HTTP")] = None
    config: Annotated[
        Path | None, _setting("The config file [default: config.toml in your config folder]", "CONFIG")
    ] = None


@frozen(kw_only=True)
class Settings:
    """What a Gateway is made from.

    Attributes:
        origins: Where each setting came from, as the user spelled it.
        flags: The flags that give the same settings again, without the key.
    """

    base_url: str
    api_key: str = field(repr=False)
    on_behalf_of: str | None = None
    dialect: str | None = None
    http: str | None = None
    origins: Mapping[str, str] = field(factory=dict[str, str])
    flags: tuple[str, ...] = ()

    @property
    def again(self) -> str:
        """How to introduce a command that has the same settings again: a key is never repeated."""
        is_flag = self.origins.get("api_key") == _flag("api_key")
        return "with your key in STREAMFOLD_API_KEY and" if is_flag else "with"

    def hide(self, text: str) -> str:
        """Return the text without the key, in case a gateway repeats it."""
        return text.replace(self.api_key, HIDDEN) if len(self.api_key) >= MIN_HIDDEN else text


def read_settings(flags: Flags | None, *, environ: Mapping[str, str] = os.environ) -> Settings:
    """Combine flags, environment and file. An empty variable counts as unset.

    Raises:
        Failure: A setting is missing or not valid; it names the flag, the variable or the file, never the key.
    """
    flags = flags or Flags()
    given: dict[str, str] = {}
    origins: dict[str, str] = {}
    layers = (
        _from_environment(environ, "OPENAI_", ("base_url", "api_key")),
        _from_file(flags.config, environ),
        _from_environment(environ, "STREAMFOLD_", NAMES),
        {name: (value, _flag(name)) for name in NAMES if (value := getattr(flags, name)) is not None},
    )
    for layer in layers:
        for name, (value, origin) in layer.items():
            given[name], origins[name] = value, origin
    if origins.get("api_key", "").startswith("OPENAI_") and not origins.get("base_url", "").startswith("OPENAI_"):
        del given["api_key"]
    _check(given, origins, environ)
    return Settings(**given, origins=origins, flags=_same_flags(flags))


Layer = dict[str, tuple[str, str]]  # name → value, and where it stood


def _from_environment(environ: Mapping[str, str], prefix: str, names: tuple[str, ...]) -> Layer:
    variables = {name: prefix + name.upper() for name in names}
    return {name: (environ[each], each) for name, each in variables.items() if environ.get(each)}


def _from_file(path: Path | None, environ: Mapping[str, str]) -> Layer:
    named = path or (Path(environ["STREAMFOLD_CONFIG"]) if environ.get("STREAMFOLD_CONFIG") else None)
    file = named or user_folder("config", environ) / FILE_NAME
    if named is None and not file.exists():
        return {}
    fields, others_can_read = _load(file)
    _check_fields(fields, file)
    if others_can_read and fields.get("api_key"):
        say(f"other users can read the key in {file}; run: chmod 600 {file}")
    return {name: (value, f"{name} in {file}") for name, value in fields.items() if value}


def _load(file: Path) -> tuple[dict[str, Any], bool]:
    """Return the file's settings, and whether other users can read it."""
    try:
        with file.open("rb") as opened:
            is_open_to_others = os.fstat(opened.fileno()).st_mode & (stat.S_IRGRP | stat.S_IROTH) != 0
            return tomllib.load(opened), os.name == "posix" and is_open_to_others
    except FileNotFoundError:
        raise Failure(f"{file}: no such file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Failure(f"{file}: not valid TOML: {error}") from error
    except OSError as error:
        raise Failure(f"{file}: cannot be read: {error.strerror or error}") from error


def _check_fields(fields: Mapping[str, Any], file: Path) -> None:
    for name, value in fields.items():
        if name not in NAMES:
            raise Failure(f"{file}: unknown setting {name!r} (expected {', '.join(NAMES)})")
        if not isinstance(value, str):
            raise Failure(f"{file}: {name} must be a string in quotes")


def _check(given: Mapping[str, str], origins: Mapping[str, str], environ: Mapping[str, str]) -> None:
    for name, words in (("base_url", "base URL"), ("api_key", "API key")):
        if name not in given:
            place = f"set STREAMFOLD_{name.upper()}, or put {name} in {user_folder('config', environ) / FILE_NAME}"
            hint = "; OPENAI_API_KEY is only used with OPENAI_BASE_URL" if environ.get("OPENAI_API_KEY") else ""
            raise Failure(f"no {words}: pass {_flag(name)}, {place}{hint}", USAGE)
    if "http" in given and given["http"] not in CLIENTS:
        raise Failure(f"{origins['http']}: unknown HTTP client {given['http']!r} (expected httpx or direct)", USAGE)


def _same_flags(flags: Flags) -> tuple[str, ...]:
    names = [name for name in (*NAMES, "config") if name != "api_key"]
    return tuple(word for name in names for word in flag_words(_flag(name), getattr(flags, name)))


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


# Environment variable and folder below home: (kind, platform); every other platform follows the XDG standard.
FOLDERS = {
    ("config", "win32"): ("APPDATA", "AppData/Roaming"),
    ("data", "win32"): ("LOCALAPPDATA", "AppData/Local"),
    ("config", "darwin"): ("", "Library/Application Support"),
    ("data", "darwin"): ("", "Library/Application Support"),
    ("config", ""): ("XDG_CONFIG_HOME", ".config"),
    ("data", ""): ("XDG_DATA_HOME", ".local/share"),
}


def user_folder(kind: Literal["config", "data"], environ: Mapping[str, str], *, platform: str = sys.platform) -> Path:
    """Return this user's folder for configuration or data. As XDG demands, a relative folder is ignored."""
    variable, below_home = FOLDERS.get((kind, platform)) or FOLDERS[kind, ""]
    configured = Path(environ.get(variable) or "")
    return (configured if configured.is_absolute() else Path.home() / below_home) / "streamfold"
