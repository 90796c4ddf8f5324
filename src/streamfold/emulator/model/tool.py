"""The tools of the toy model: the steps of each kind of call.

A hosted tool is carried out by the gateway and its call has an outcome. Any other is the caller's to carry out, and the
response ends after the call. One token of time passes per streamed token, and a few while a hosted tool works.
"""

import base64
from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen
from msgspec.json import encode

from streamfold.emulator.model.answer_builder import AnswerBuilder, ScriptStep, Steps, stream
from streamfold.emulator.model.textgen import example, identifier, token_stream, tokens_of
from streamfold.schema import Dialect
from streamfold.serving import Fields, is_object


@frozen
class ToolCall:
    """What a call is made from. definition: the tool as the request defines it. include: of the request."""

    builder: AnswerBuilder
    definition: Fields
    asked: str
    dialect: Dialect
    include: tuple[str, ...] = ()

    def begin(self, kind: str, prefix: str, **fields: Any) -> Fields:
        """The item as it begins."""
        return {"id": identifier(self.builder.names, prefix), "type": kind, **fields}

    def call_id(self) -> str:
        return identifier(self.builder.names, "call")[:29]

    def step(self, item: Fields, event: str, wait_tokens: float = 0.0, **more: Any) -> ScriptStep:
        """The event `response.EVENT` of an item."""
        return ScriptStep(wait_tokens, {"type": f"response.{event}", **self.builder.at(item), **more})


@frozen
class Tool:
    """A kind of tool. is_hosted: whether the gateway carries the call out."""

    make: Callable[[ToolCall], Steps]
    is_hosted: bool = True


def tool_of(definition: Fields, dialect: Dialect) -> Tool | None:
    """The tool that a definition asks for; None if the dialect, or the toy model, has no such tool."""
    kind = str(definition.get("type"))
    if kind.startswith("web_search"):  # web_search_preview, web_search_2025_08_26, ...
        kind = "web_search"
    return OWN_TOOLS.get(dialect.name, {}).get(kind) or TOOLS.get(kind)


WORK_TOKENS = 4.0  # how long a hosted tool works


# The caller's tools


def function_call(call: ToolCall) -> Steps:
    """A call of a function, with arguments that fit its parameters."""
    builder = call.builder
    given = example(call.definition.get("parameters"), builder.random)
    arguments = encode(given if is_object(given) else {}).decode()
    item = call.begin("function_call", "fc", status="in_progress", arguments="", call_id=call.call_id())
    item["name"] = call.definition.get("name", "")
    yield builder.begin(item)
    text = yield from stream(builder, token_stream(arguments), "function_call_arguments", builder.at(item))
    yield call.step(item, "function_call_arguments.done", name=item["name"], arguments=text)
    yield builder.end(item | {"status": builder.item_status, "arguments": text})


def custom_tool_call(call: ToolCall) -> Steps:
    """A call of a custom tool, whose input is plain text."""
    builder = call.builder
    item = call.begin("custom_tool_call", "ctc", call_id=call.call_id(), name=call.definition["name"], input="")
    yield builder.begin(item)
    text = yield from stream(builder, tokens_of(call.asked), "custom_tool_call_input", builder.at(item))
    yield call.step(item, "custom_tool_call_input.done", input=text)
    yield builder.end(item | {"input": text})


def local_shell_call(call: ToolCall) -> Steps:
    """A command for the caller's shell; whole in its two events."""
    action: Fields = {"type": "exec", "command": ["ls", "-l"], "env": {}}
    item = call.begin("local_shell_call", "lsh", status="in_progress", call_id=call.call_id(), action=action)
    yield call.builder.begin(item, WORK_TOKENS)
    yield call.builder.end(item | {"status": "completed"})


def computer_call(call: ToolCall) -> Steps:
    """An action for the caller's computer; whole in its two events."""
    item = call.begin("computer_call", "cu", status="in_progress", call_id=call.call_id(), pending_safety_checks=[])
    item["action"] = {"type": "screenshot"}
    yield call.builder.begin(item, WORK_TOKENS)
    yield call.builder.end(item | {"status": "completed"})


def apply_patch_call(call: ToolCall) -> Steps:
    """A patch for the caller's files, complete in its two events, because the SDK has none in between."""
    operation = {"type": "create_file", "path": "answer.txt", "diff": ""}
    item = call.begin("apply_patch_call", "apc", status="in_progress", call_id=call.call_id(), operation=operation)
    yield call.builder.begin(item, WORK_TOKENS)
    diff = "".join(f"+{line}\n" for line in call.asked.splitlines())
    yield call.builder.end(item | {"status": "completed", "operation": operation | {"diff": diff}})


# Hosted tools


def web_search_call(call: ToolCall) -> Steps:
    """A search of the web, which looks at two pages."""
    action: Fields = {"type": "search", "query": call.asked}
    item = call.begin("web_search_call", "ws", status="in_progress", action=action)
    yield call.builder.begin(item)
    yield call.step(item, "web_search_call.in_progress", args={"query": call.asked})
    yield call.step(item, "web_search_call.searching", 1.0)
    yield call.step(item, "web_search_call.completed", WORK_TOKENS, function_call_output="2 pages")
    if "web_search_call.action.sources" in call.include:
        pages = ("streams", "cursors")
        action = action | {"sources": [{"type": "url", "url": f"https://example.com/{page}"} for page in pages]}
    yield call.builder.end(item | {"status": "completed", "action": action})


def file_search_call(call: ToolCall) -> Steps:
    """A search of files, with one result."""
    item = call.begin("file_search_call", "fs", status="in_progress", queries=[call.asked], results=None)
    yield call.builder.begin(item)
    yield call.step(item, "file_search_call.in_progress")
    yield call.step(item, "file_search_call.searching", 1.0)
    yield call.step(item, "file_search_call.completed", WORK_TOKENS)
    found: Fields = {"file_id": "file_toy", "filename": "streams.md", "score": 0.87, "attributes": {}}
    results = [found | {"text": call.asked}] if "file_search_call.results" in call.include else None
    yield call.builder.end(item | {"status": "completed", "results": results})


def code_interpreter_call(call: ToolCall) -> Steps:
    """A small program, and what it printed."""
    builder = call.builder
    container = identifier(builder.names, "cntr")
    item = call.begin(
        "code_interpreter_call", "ci", status="in_progress", code="", container_id=container, outputs=None
    )
    yield builder.begin(item)
    yield call.step(item, "code_interpreter_call.in_progress")
    program = tokens_of(f"words = {encode(call.asked).decode()}.split()\nprint(len(words))\n")
    code = yield from stream(builder, program, "code_interpreter_call_code", builder.at(item))
    yield call.step(item, "code_interpreter_call_code.done", code=code)
    if builder.is_cut:
        yield builder.end(item | {"status": "incomplete", "code": code})
        return
    yield call.step(item, "code_interpreter_call.interpreting", 1.0)
    yield call.step(item, "code_interpreter_call.completed", WORK_TOKENS)
    logs = [{"type": "logs", "logs": f"{len(call.asked.split())}\n"}]
    outputs = logs if "code_interpreter_call.outputs" in call.include else None
    yield builder.end(item | {"status": "completed", "code": code, "outputs": outputs})


# One grey point, as PNG.
_IMAGE = base64.b64encode(
    bytes.fromhex(
        "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000a49444154789c63a8070000810080"
        "d54b2d1a0000000049454e44ae426082"
    )
).decode()


def image_generation_call(call: ToolCall) -> Steps:
    """An image of one point, and as many partial ones as the tool asks for."""
    # MKA1's SDK refuses null where OpenAI has no image yet.
    nothing = "" if call.dialect.sends_output_text else None
    item = call.begin("image_generation_call", "ig", status="in_progress", result=nothing)
    yield call.builder.begin(item)
    yield call.step(item, "image_generation_call.in_progress", args={"prompt": call.asked})
    yield call.step(item, "image_generation_call.generating", 1.0)
    partial = call.definition.get("partial_images")
    for index in range(min(partial, 3) if isinstance(partial, int) else 0):
        more = {"partial_image_index": index, "partial_image_b64": _IMAGE}
        yield call.step(item, "image_generation_call.partial_image", WORK_TOKENS, **more)
    yield call.step(item, "image_generation_call.completed", WORK_TOKENS, function_call_output="1 image")
    look = {"output_format": "png", "quality": "low", "size": "1024x1024", "background": "opaque"}
    yield call.builder.end(item | {"status": "completed", "result": _IMAGE, "revised_prompt": call.asked, **look})


LOOK_UP: Fields = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}


def mcp_call(call: ToolCall) -> Steps:
    """The list of a server's tools, and a call of its only one."""
    builder = call.builder
    server = call.definition.get("server_label") or "toy"
    listed = call.begin("mcp_list_tools", "mcpl", server_label=server, tools=[], error=None)
    yield builder.begin(listed)
    yield call.step(listed, "mcp_list_tools.in_progress")
    yield call.step(listed, "mcp_list_tools.completed", WORK_TOKENS)
    tools = [{"name": "look_up", "description": "Finds a word.", "input_schema": LOOK_UP, "annotations": None}]
    yield builder.end(listed | {"tools": tools})
    item = call.begin("mcp_call", "mcp", server_label=server, name="look_up", arguments="", output=None, error=None)
    yield builder.begin(item)
    yield call.step(item, "mcp_call.in_progress")
    tokens = tokens_of(encode({"query": call.asked}).decode())
    arguments = yield from stream(builder, tokens, "mcp_call_arguments", builder.at(item))
    yield call.step(item, "mcp_call_arguments.done", arguments=arguments)
    if builder.is_cut:
        yield builder.end(item | {"arguments": arguments})
        return
    yield call.step(item, "mcp_call.completed", WORK_TOKENS)
    yield builder.end(item | {"arguments": arguments, "output": "found"})


def shell_call_of_mka1(call: ToolCall) -> Steps:
    """A command for a hosted shell and its output, as MKA1 shows them: whole, with progress between."""
    command = "echo hello"
    call_id = call.call_id()
    action = {"type": "exec", "command": command}
    item = call.begin("shell_call", "sh", status="in_progress", call_id=call_id, action=action)
    yield call.builder.begin(item)
    yield call.step(item, "shell_call.in_progress", args={"command": command})
    yield call.step(item, "shell_call.executing", 1.0)
    yield call.step(item, "shell_call.completed", WORK_TOKENS, function_call_output="hello\n")
    yield call.builder.end(item | {"status": "completed"})
    output = {"stdout": "hello\n", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}
    printed = call.begin("shell_call_output", "sho", call_id=call_id, output=output, status="completed")
    yield call.builder.begin(printed)
    yield call.builder.end(printed)


def shell_call_of_openai(call: ToolCall) -> Steps:
    """A command for a hosted shell and its output, as OpenAI streams them. Events of the command have no item_id."""
    builder = call.builder
    call_id = call.call_id()
    action: Fields = {"commands": [], "timeout_ms": None, "max_output_length": None}
    item = call.begin("shell_call", "sh", status="in_progress", call_id=call_id, action=action)
    yield builder.begin(item)
    at = {"output_index": len(builder.output), "command_index": 0}
    yield ScriptStep(0.0, {"type": "response.shell_call_command.added", **at, "command": ""})
    command = yield from stream(builder, tokens_of("echo hello"), "shell_call_command", at)
    yield ScriptStep(0.0, {"type": "response.shell_call_command.done", **at, "command": command})
    yield builder.end(item | {"status": builder.item_status, "action": action | {"commands": [command]}})
    if builder.is_cut:
        return
    printed = call.begin("shell_call_output", "sho", call_id=call_id, output=[], status="in_progress")
    printed["max_output_length"] = None
    yield builder.begin(printed)
    step = "shell_call_output_content"
    yield call.step(printed, f"{step}.delta", WORK_TOKENS, command_index=0, delta={"stdout": "hello\n", "stderr": ""})
    output = [{"stdout": "hello\n", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}]
    yield call.step(printed, f"{step}.done", command_index=0, output=output)
    yield builder.end(printed | {"status": "completed", "output": output})


def agent_call(call: ToolCall) -> Steps:
    """Work that another agent does."""
    agent = str(call.definition.get("agent_id") or "agent_toy")
    return _progress(call, "agent_call", {"agent_id": agent}, "done", in_progress={"agent_id": agent})


def history_call(call: ToolCall) -> Steps:
    """A search of the conversation so far."""
    query = {"query": call.asked}
    return _progress(call, "history_call", query, "nothing", in_progress={"args": query}, searching={})


def sleep_call(call: ToolCall) -> Steps:
    """A pause of the agent."""
    pause = {"duration_seconds": 1, "reason": "to wait"}
    return _progress(call, "sleep_call", pause, "awake", in_progress={"args": pause}, sleeping={})


def _progress(call: ToolCall, name: str, arguments: Fields, outcome: str, **stages: Fields) -> Steps:
    """A call that only MKA1 has. No item type is named after it, so its events point at a function_call that is not streamed."""
    item = call.begin("function_call", "fc", status="in_progress", call_id=call.call_id(), name=name)
    item["arguments"] = encode(arguments).decode()
    yield call.builder.begin(item)
    for stage, more in stages.items():
        yield call.step(item, f"{name}.{stage}", 1.0, **more)
    yield call.step(item, f"{name}.completed", WORK_TOKENS, function_call_output=outcome)
    yield call.builder.end(item | {"status": "completed"})


TOOLS: Mapping[str, Tool] = {
    "function": Tool(function_call, is_hosted=False),
    "custom": Tool(custom_tool_call, is_hosted=False),
    "local_shell": Tool(local_shell_call, is_hosted=False),
    "web_search": Tool(web_search_call),
    "file_search": Tool(file_search_call),
    "code_interpreter": Tool(code_interpreter_call),
    "image_generation": Tool(image_generation_call),
    "mcp": Tool(mcp_call),
}
OWN_TOOLS: Mapping[str, Mapping[str, Tool]] = {
    "mka1": {
        "shell": Tool(shell_call_of_mka1),
        "agent": Tool(agent_call),
        "history": Tool(history_call),
        "sleep": Tool(sleep_call),
    },
    "openai": {
        "shell": Tool(shell_call_of_openai),
        "apply_patch": Tool(apply_patch_call, is_hosted=False),
        "computer_use_preview": Tool(computer_call, is_hosted=False),
        "computer": Tool(computer_call, is_hosted=False),
    },
}
