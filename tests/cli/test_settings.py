"""Settings: flag before environment before file, and never the key in any output."""

from collections.abc import Callable
from pathlib import Path

import pytest

from streamfold.cli.settings import Flags, read_settings, user_folder
from streamfold.cli.terminal import Failure
from tests.cli.conftest import KEY, Run

FILE = 'base_url = "https://file"\napi_key = "file-key"\ndialect = "openai"\n'


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(text: str | bytes, *, mode: int = 0o600) -> Path:
        path = tmp_path / "config" / "streamfold" / "config.toml"
        path.parent.mkdir(parents=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(mode)
        return path

    return write


def environ(path: Path | None = None, **more: str) -> dict[str, str]:
    return ({"XDG_CONFIG_HOME": str(path.parents[1])} if path else {"XDG_CONFIG_HOME": "/nowhere"}) | more


def test_a_flag_counts_before_the_environment_and_that_before_the_file(write: Callable[..., Path]) -> None:
    variables = environ(write(FILE), STREAMFOLD_API_KEY="variable-key", STREAMFOLD_DIALECT="mka1")
    settings = read_settings(Flags(dialect="open_responses"), environ=variables)
    assert (settings.base_url, settings.api_key, settings.dialect) == (
        "https://file",
        "variable-key",
        "open_responses",
    )


def test_an_empty_variable_counts_as_none(write: Callable[..., Path]) -> None:
    assert read_settings(None, environ=environ(write(FILE), STREAMFOLD_BASE_URL="")).base_url == "https://file"


@pytest.mark.parametrize("by", ["flag", "variable"])
def test_a_file_may_be_named(by: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(FILE, encoding="utf-8")
    path.chmod(0o600)
    flags = Flags(config=path) if by == "flag" else None
    variables = environ(STREAMFOLD_CONFIG=str(path)) if by == "variable" else environ()
    assert read_settings(flags, environ=variables).api_key == "file-key"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_key_in_a_file_that_others_can_read_is_one_line_of_warning(
    mode: int, write: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(FILE, mode=mode)
    read_settings(None, environ=environ(path))
    assert capsys.readouterr().err == f"streamfold: other users can read the key in {path}; run: chmod 600 {path}\n"


@pytest.mark.parametrize(("text", "mode"), [(FILE, 0o600), ('base_url = "https://file"', 0o644)])
def test_otherwise_there_is_no_warning(
    text: str, mode: int, write: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    read_settings(None, environ=environ(write(text, mode=mode), STREAMFOLD_API_KEY="k"))
    assert capsys.readouterr().err == ""


BAD_FILES = [
    pytest.param("base_url = https://x", "not valid TOML: ", id="no TOML"),
    pytest.param(b'base_url = "\xff"', "not valid TOML: ", id="no UTF-8"),
    pytest.param('url = "https://x"', "unknown setting 'url' (expected base_url, api_key", id="an unknown name"),
    pytest.param("base_url = 7", "base_url must be a string in quotes", id="a number"),
    pytest.param('[api_key]\nvalue = "x"', "api_key must be a string in quotes", id="a table"),
]


@pytest.mark.parametrize(("text", "reason"), BAD_FILES)
def test_a_bad_file_is_one_line_that_names_it(text: str | bytes, reason: str, write: Callable[..., Path]) -> None:
    path = write(text)
    with pytest.raises(Failure) as failed:
        read_settings(None, environ=environ(path))
    assert failed.value.reason.startswith(f"{path}: {reason}")
    assert failed.value.exit_code == 1


def test_a_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(Failure, match=r"none\.toml: no such file"):
        read_settings(Flags(config=tmp_path / "none.toml"), environ=environ())


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="cannot be read"):
        read_settings(Flags(config=tmp_path), environ=environ())


MISSING = [
    pytest.param({}, "no base URL: pass --base-url, set STREAMFOLD_BASE_URL, or put base_url in", id="nothing"),
    pytest.param({"STREAMFOLD_BASE_URL": "https://x"}, "no API key: pass --api-key, set STREAMFOLD_API_KEY", id="key"),
    pytest.param(
        {"STREAMFOLD_BASE_URL": "https://x", "STREAMFOLD_API_KEY": "k", "STREAMFOLD_HTTP": "curl"},
        "STREAMFOLD_HTTP: unknown HTTP client 'curl' (expected httpx or direct)",
        id="an HTTP client",
    ),
]


@pytest.mark.parametrize(("variables", "reason"), MISSING)
def test_what_is_missing_or_unknown_is_wrong_usage(variables: dict[str, str], reason: str) -> None:
    with pytest.raises(Failure) as failed:
        read_settings(None, environ=environ(**variables))
    assert failed.value.reason.startswith(reason)
    assert failed.value.exit_code == 2


@pytest.mark.parametrize("variables", [{}, {"STREAMFOLD_BASE_URL": "https://x"}], ids=["no URL", "another URL"])
def test_a_key_of_openai_that_is_not_used_is_explained(variables: dict[str, str]) -> None:
    with pytest.raises(Failure) as failed:
        read_settings(None, environ=environ(OPENAI_API_KEY="openai-key", **variables))
    assert failed.value.reason.endswith("; OPENAI_API_KEY is only used with OPENAI_BASE_URL")


OPENAI = {"OPENAI_BASE_URL": "https://openai", "OPENAI_API_KEY": "openai-key"}


def test_the_variables_of_the_openai_sdk_are_enough() -> None:
    settings = read_settings(None, environ=environ(**OPENAI))
    assert (settings.base_url, settings.api_key) == ("https://openai", "openai-key")


def test_the_variables_of_the_openai_sdk_count_last(write: Callable[..., Path]) -> None:
    settings = read_settings(None, environ=environ(write(FILE), **OPENAI))
    assert (settings.base_url, settings.api_key) == ("https://file", "file-key")


@pytest.mark.parametrize("flags", [Flags(base_url="https://other"), None], ids=["a flag", "a variable"])
def test_the_key_of_openai_is_never_sent_to_another_address(flags: Flags | None) -> None:
    variables = OPENAI | ({} if flags else {"STREAMFOLD_BASE_URL": "https://other"})
    with pytest.raises(Failure, match="no API key: pass --api-key"):
        read_settings(flags, environ=environ(**variables))


def test_another_key_may_go_to_the_address_of_openai() -> None:
    settings = read_settings(Flags(api_key="mine"), environ=environ(**OPENAI))
    assert (settings.base_url, settings.api_key) == ("https://openai", "mine")


def test_the_key_is_in_no_representation_and_in_no_command(write: Callable[..., Path]) -> None:
    flags = Flags(base_url="https://x", api_key=KEY, http="direct", config=write(FILE))
    settings = read_settings(flags, environ=environ())
    assert KEY not in f"{flags!r} {settings!r} {settings.flags!r}"
    assert settings.flags == ("--base-url", "https://x", "--http", "direct", "--config", str(flags.config))


def test_a_key_in_a_gateways_words_is_hidden() -> None:
    settings = read_settings(Flags(base_url="https://x", api_key=KEY), environ=environ())
    assert settings.hide(f"Incorrect API key provided: {KEY}.") == "Incorrect API key provided: [hidden]."


def test_a_key_of_a_few_letters_hides_no_words() -> None:
    settings = read_settings(Flags(base_url="https://x", api_key="e"), environ=environ())
    assert settings.hide("every event") == "every event"


@pytest.mark.parametrize(
    ("platform", "variables", "folder"),
    [
        pytest.param("linux", {}, ".config/streamfold", id="linux"),
        pytest.param("linux", {"XDG_CONFIG_HOME": "relative"}, ".config/streamfold", id="a relative one is ignored"),
        pytest.param("darwin", {}, "Library/Application Support/streamfold", id="mac"),
        pytest.param("win32", {}, "AppData/Roaming/streamfold", id="windows"),
    ],
)
def test_the_folder_is_that_of_the_platform(platform: str, variables: dict[str, str], folder: str) -> None:
    assert user_folder("config", variables, platform=platform) == Path.home() / folder


def test_the_folder_may_be_set(tmp_path: Path) -> None:
    assert user_folder("config", {"XDG_CONFIG_HOME": str(tmp_path)}, platform="linux") == tmp_path / "streamfold"
    assert user_folder("config", {"APPDATA": str(tmp_path)}, platform="win32") == tmp_path / "streamfold"


def test_without_any_setting_each_command_says_what_is_missing(run: Run) -> None:
    for command in (
        ["follow", "resp_1"],
        ["cancel", "resp_1"],
        ["batch", "get", "b"],
        ["create", "--model=m", "--input=x"],
    ):
        ran = run(*command)
        assert (ran.code, ran.out) == (2, b"")
        assert ran.err.startswith("streamfold: no base URL: pass --base-url")
        assert ran.err.count("\n") == 1
