"""How each server is started, and the servers that run: each is started when it is first asked for."""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.log.valkeys import find_server
from tests.servers.apps.prompt import Prompt
from tests.servers.installs import INSTALLS
from tests.servers.program import HOST, Program, free_port

APPS = Path(__file__).parent / "apps"
MODEL = "tiny"
IMPORT_SECONDS = 180.0  # litellm and ogx import for a minute where other work is going on


class Fleet:
    """The programs that run, by name, each in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: dict[str, Program] = {}

    def program(self, name: str) -> Program:
        """The one of that name, running, and whatever it needs with it.

        Raises:
            CannotInstall: It is not installed, and cannot be.
            DidNotStart: It does not listen.
        """
        if name not in self._running:
            folder = self._folder / name
            folder.mkdir(parents=True)
            program = STARTS[name](self, folder, free_port())
            self._running[name] = program
            program.start()
        return self._running[name]

    def close(self) -> None:
        """Kill all of them."""
        for program in self._running.values():
            program.kill()
        self._running.clear()


def _bin(install: str, program: str) -> str:
    INSTALLS[install].ensure()
    return str(INSTALLS[install].bin / program)


def _upstream(_: Fleet, folder: Path, port: int) -> Program:
    return Program([sys.executable, str(APPS / "upstream.py"), str(port)], port, folder)


def _azure(_: Fleet, folder: Path, port: int) -> Program:
    return Program([_bin("azure", "python"), str(APPS / "azure_app.py"), str(port)], port, folder, seconds=90)


def _azure_resilient(fleet: Fleet, folder: Path, port: int) -> Program:
    program = _azure(fleet, folder, port)
    program.environment = {"RESILIENT": "1"}
    return program


def _fastresponses(_: Fleet, folder: Path, port: int) -> Program:
    return Program(
        [_bin("fastresponses", "python"), str(APPS / "fastresponses_app.py"), str(port)], port, folder, seconds=90
    )


def _litellm(fleet: Fleet, folder: Path, port: int) -> Program:
    passthrough = {"model": f"openai/{MODEL}", "api_base": fleet.program("azure").url}
    return _litellm_with({MODEL: _chat_model(fleet), "passthrough": passthrough}, {}, folder, port)


def _litellm_polling(fleet: Fleet, folder: Path, port: int) -> Program:
    settings = {
        "cache": True,
        "cache_params": {"type": "redis", "host": HOST, "port": fleet.program("cache").port},
        "responses": {"background_mode": {"polling_via_cache": "all", "ttl": 3600}},
    }
    return _litellm_with({MODEL: _chat_model(fleet)}, settings, folder, port)


def _chat_model(fleet: Fleet) -> dict[str, Any]:
    """The upstream, which speaks chat completions only."""
    return {"model": f"openai/{MODEL}", "api_base": fleet.program("upstream").url, "use_chat_completions_api": True}


def _litellm_with(models: Mapping[str, Any], settings: Mapping[str, Any], folder: Path, port: int) -> Program:
    listed = [{"model_name": name, "litellm_params": {"api_key": "none", **each}} for name, each in models.items()]
    config = {"model_list": listed, "litellm_settings": {"drop_params": True, **settings}}
    (folder / "config.yaml").write_text(json.dumps(config), "utf-8")  # JSON is YAML
    command = [_bin("litellm", "litellm"), "--config", "config.yaml", "--host", HOST, "--port", str(port)]
    environment = {
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # the one it brings, instead of a download
        "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
    }
    return Program([*command, "--telemetry", "False"], port, folder, environment, IMPORT_SECONDS)


def _cache(_: Fleet, folder: Path, port: int) -> Program:
    """A Valkey server, which speaks Redis's protocol."""
    return Program([find_server(), "--port", str(port), "--bind", HOST, "--save", ""], port, folder)


def _ogx(fleet: Fleet, folder: Path, port: int) -> Program:
    config = _ogx_config(fleet.program("upstream").url, port)
    (folder / "config.yaml").write_text(json.dumps(config), "utf-8")
    (folder / "data").mkdir()
    command = [_bin("ogx", "ogx"), "run", "config.yaml", "--port", str(port), "--insecure"]
    return Program(command, port, folder, {"OGX_DISABLE_VERSION_CHECK": "1"}, IMPORT_SECONDS)


def _ogx_config(upstream: str, port: int) -> dict[str, Any]:
    """The least that its responses need: a model, and a file for each of its stores."""

    def table(name: str, **rest: object) -> dict[str, Any]:
        return {"table_name": name, "backend": "sql", **rest}

    def provider(name: str, kind: str, config: dict[str, Any]) -> list[dict[str, Any]]:
        return [{"provider_id": name, "provider_type": kind, "config": config}]

    writers = {"max_write_queue_size": 10_000, "num_writers": 4}
    vllm = {"base_url": upstream, "max_tokens": 4096, "api_token": "none", "network": {"tls": {"verify": False}}}
    files = {"storage_dir": "data/files", "metadata_store": table("files_metadata")}
    return {
        "version": 2,
        "distro_name": MODEL,
        "apis": ["inference", "responses", "files", "tool_runtime", "vector_io", "file_processors"],
        "providers": {
            "inference": provider("vllm", "remote::vllm", vllm),
            "files": provider("files", "inline::localfs", files),
            "responses": provider(
                "builtin", "inline::builtin", {"persistence": {"responses": table("responses", **writers)}}
            ),
            "vector_io": [],
            "file_processors": [],
            "tool_runtime": [],
        },
        "storage": {
            "backends": {
                "kv": {"type": "kv_sqlite", "db_path": "data/kv.db"},
                "sql": {"type": "sql_sqlite", "db_path": "data/sql.db"},
            },
            "stores": {
                "metadata": {"namespace": "registry", "backend": "kv"},
                "inference": table("inference_store", enabled=True, **writers),
                "conversations": table("openai_conversations"),
                "prompts": table("prompts"),
                "connectors": table("connectors"),
            },
        },
        "registered_resources": {
            "models": [
                {
                    "metadata": {},
                    "model_id": MODEL,
                    "provider_id": "vllm",
                    "provider_model_id": MODEL,
                    "model_type": "llm",
                }
            ]
        },
        "server": {"host": HOST, "port": port},
    }


# aimock answers what its fixtures list, so each number of words that a case asks for is one.
AIMOCK_PROMPTS = (Prompt(12), Prompt(200, 0.01), Prompt(300, 0.02))


def _aimock(_: Fleet, folder: Path, port: int) -> Program:
    INSTALLS["aimock"].ensure()
    fixtures = [
        {
            "match": {"userMessage": f"words={prompt.words} "},
            "response": {"content": prompt.answer},
            "latency": int(prompt.pace * 1000),
            "chunkSize": 8,
        }
        for prompt in AIMOCK_PROMPTS
    ]
    (folder / "fixtures.json").write_text(json.dumps({"fixtures": fixtures}), "utf-8")
    script = INSTALLS["aimock"].folder / "node_modules/@copilotkit/aimock/dist/cli.js"
    return Program(["node", str(script), "-p", str(port), "-f", "fixtures.json"], port, folder)


STARTS: Mapping[str, Callable[[Fleet, Path, int], Program]] = {
    "upstream": _upstream,
    "azure": _azure,
    "azure-resilient": _azure_resilient,
    "fastresponses": _fastresponses,
    "litellm": _litellm,
    "litellm-polling": _litellm_polling,
    "cache": _cache,
    "ogx": _ogx,
    "aimock": _aimock,
}
