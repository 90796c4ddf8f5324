"""A gateway that sends control sequences wherever it can, a log full of them, and a terminal that notices them."""

import json
import os
import pty
import re
import select
import signal
import socket
import socketserver
import struct
import subprocess
import sys
import termios
import threading
import time
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fcntl import ioctl
from typing import Any

from cyclopts import App

# Titles, the clipboard, a reset, a cleared screen, a device query; 8-bit forms; what overwrites or reorders a line.
EVIL = (
    "\x1b]0;PWNED\x07\x1b]52;c;cm0=\x1b\\\x1bc\x1b[2J\x1b[6n\x1bP$q\x1b\\\x9b2J\x9d0;t\x9c\x7f\x08\x0b\x0c\x0e\x00"
    "\rOVER\r\nnext\ttab\u202eevil\u202c\u2066one\u2069\u2028two\u2029\x85three"
)
# What may stand in an id, a header or an argument of a command: no NUL, and no line end.
EVIL_WORD = "".join(each for each in EVIL if each not in "\0\r\n")
DIRECTIONS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
TIMEOUT_SECONDS = 60

# What rich draws with: styles, a hidden cursor, a line erased, the cursor moved up. Each exactly as rich writes it.
RICH = re.compile(r"\x1b\[(?:[0-9;]*m|\?25[lh]|2K|[0-9]*A)")
# textual, in addition: the other screen, the mouse, focus, paste, key and drawing modes, the cursor's place, the pointer.
TEXTUAL = re.compile(
    r"\x1b\[(?:[0-9;]*m|\?(?:7|25|1000|1003|1004|1006|1015|1016|1049|2004|2026|2048)[hl]|\?(?:2026|2048)\$p|[><][0-9]*u"
    r"|[0-9]+;[0-9]+H)|\x1b\]22;default\x07"
)


def steers(character: str) -> bool:
    """Whether a terminal acts on this character, by what Unicode says about it."""
    category = unicodedata.category(character)
    return (
        (category == "Cc" and character not in "\r\n\t")
        or category in {"Cs", "Zl", "Zp"}
        or unicodedata.bidirectional(character) in DIRECTIONS
    )


def leaked(output: bytes, allowed: re.Pattern[str] = RICH) -> list[str]:
    """What reached the terminal and should not have. A line end is CR LF there; a lone CR is rich's, before a line."""
    text = allowed.sub("", output.decode())
    found = [f"U+{ord(each):04X}" for each in text if steers(each)]
    return found + re.findall("\rOVER|PWNED\x07", text)


# A stream, an answer and an error full of it


def event(type: str, **fields: Any) -> bytes:
    # Half of the characters as escapes, half as they are: both are JSON.
    text = json.dumps({"type": type, **fields}, ensure_ascii=False)
    return f"event: {EVIL_WORD}\nid: {EVIL_WORD}\ndata: {text}\n\n".encode()


def part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [{"type": EVIL, "url": EVIL}]}


ITEMS: list[dict[str, Any]] = [
    {"id": EVIL, "type": "message", "role": EVIL, "status": EVIL, "content": [part(EVIL)]},
    {"id": EVIL, "type": "message", "status": "completed", "content": [{"type": "refusal", "refusal": EVIL}]},
    {"id": EVIL, "type": "function_call", "status": EVIL, "name": EVIL, "arguments": EVIL, "call_id": EVIL},
    {"id": EVIL, "type": "custom_tool_call", "name": EVIL, "input": EVIL, "call_id": EVIL},
    {"id": EVIL, "type": "mcp_call", "server_label": EVIL, "name": EVIL, "arguments": EVIL, "error": {EVIL: EVIL}},
    {"id": EVIL, "type": f"{EVIL}_call", "name": EVIL, EVIL: EVIL},
    {"id": EVIL, "type": EVIL, "summary": [{"type": EVIL, "text": EVIL}]},
]


def response(response_id: str, status: str, *, output: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    ended = {"error": {"code": EVIL, "message": EVIL}, "incomplete_details": {"reason": EVIL}}
    known = {"id": response_id, "object": "response", "created_at": 1, "status": status, "model": EVIL, EVIL: EVIL}
    return known | {"output": output or [], "metadata": {EVIL: EVIL}} | (ended if output else {})


def stream(response_id: str = "resp_1", end: str = "failed") -> list[bytes]:
    """A whole stream: each kind of item, an error, unknown and unreadable events, and an end that is not good."""
    made = [event("response.created", sequence_number=0, response=response(response_id, "in_progress"))]

    def add(type: str, **fields: Any) -> None:
        made.append(event(type, sequence_number=len(made), **fields))

    add("response.in_progress", response=response(response_id, "in_progress"))
    for index, item in enumerate(ITEMS):
        add("response.output_item.added", output_index=index, item=item | {"content": []})
        if item["type"] == "message":
            add("response.content_part.added", output_index=index, content_index=0, part=part(""))
            add("response.output_text.delta", output_index=index, content_index=0, delta=EVIL)
        add("response.output_item.done", output_index=index, item=item)
    add(EVIL, odd=EVIL)
    add("error", code=EVIL, message=EVIL)
    made.append(f"event: {EVIL_WORD}\ndata: {EVIL_WORD}{{torn\n\n".encode())
    made.append(b'data: {"type": "response.output_text.delta", "delta": "\xff\xfe\x9b2J \\ud800"}\n\n')
    add(f"response.{end}", response=response(response_id, end, output=ITEMS))
    return made


BATCH: dict[str, Any] = {
    "id": "batch_1",
    "object": "batch",
    "status": "failed",
    "input_file_id": EVIL,
    "output_file_id": EVIL,
    "error_file_id": EVIL,
    "errors": {"object": "list", "data": [{"code": EVIL, "line": 1, "message": EVIL, "param": EVIL}]},
    "request_counts": {"total": 3, "completed": 1, "failed": 2},
}
JSON, SSE = "application/json", "text/event-stream"


def http(status: int | str, body: bytes | Any, content_type: str = JSON, **headers: str) -> bytes:
    body = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    lines = [f"HTTP/1.1 {status} OK", f"content-type: {content_type}", f"content-length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "connection: close", "", ""]).encode("utf-8", "surrogateescape") + body


ERROR = {"error": {"code": EVIL, "message": EVIL, "type": EVIL, "param": EVIL}}


@dataclass(frozen=True)
class Asked:
    """A request: is it for a stream, for a list, and what for?"""

    is_stream: bool
    path: str
    is_list: bool = False


def listed(response_id: str) -> dict[str, Any]:
    """A page of responses, and there are more."""
    found = [response(response_id, each, output=ITEMS) for each in ("failed", EVIL)]
    return {"object": "list", "data": found, "has_more": True, "last_id": EVIL}


Mode = Callable[[Asked], bytes]


def says_evil(asked: Asked) -> bytes:
    """Answers everything, with words of its own everywhere but in the ids."""
    if "/batches" in asked.path:
        return http(200, BATCH)
    if asked.is_list:
        return http(200, listed("resp_1"))
    if asked.is_stream:
        return http(200, b"".join(stream()), SSE)
    return http(200, response("resp_1", "failed", output=ITEMS))


def says_evil_ids(asked: Asked) -> bytes:
    if "/batches" in asked.path:
        return http(200, BATCH | {"id": EVIL, "status": EVIL})
    if asked.is_list:
        return http(200, listed(EVIL))
    if asked.is_stream:
        return http(200, b"".join(stream(EVIL, "completed")), SSE)
    return http(200, response(EVIL, "completed", output=ITEMS))


def breaks_off(asked: Asked) -> bytes:
    """The stream ends in its middle, and nobody knows the response any more."""
    if asked.is_stream and asked.path.endswith("/responses"):
        return http(200, b"".join(stream()[:9]), SSE)
    return http(404, ERROR)


MODES: dict[str, Mode] = {
    "evil": says_evil,
    "evil ids": says_evil_ids,
    "broken off": breaks_off,
    "error": lambda _: http(400, ERROR),
    "flat error": lambda _: http(404, {"detail": EVIL, "message": EVIL}),
    "error text": lambda _: http(403, EVIL.encode(), "text/plain"),
    "html": lambda _: http(401, f"<html><title>{EVIL}</title>{EVIL}".encode(), "text/html"),
    "not json": lambda _: http(200, f"{{{EVIL}".encode()),
    "content type": lambda _: http(200, EVIL.encode(), f"text/{EVIL_WORD}"),
    "reason": lambda _: http(f"404 {EVIL_WORD}", ERROR),
    "redirect": lambda _: http(302, b"", location=f"http://{EVIL_WORD}/{EVIL_WORD}"),
    "encoding": lambda _: http(200, b"\x1b[2J", content_encoding="gzip"),
    "no http": lambda _: f"{EVIL}\r\n{EVIL}\r\n\r\n".encode(),
}


class Server(socketserver.ThreadingTCPServer):
    """Answers every request in one mode, and then closes the connection."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, mode: Mode) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.mode = mode
        self.answers, self._noted = socket.socketpair()  # a byte for each answer

    def server_close(self) -> None:
        super().server_close()
        self.answers.close()
        self._noted.close()

    def note(self) -> None:
        self._noted.send(b".")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answering(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        head = b"".join(iter(self.rfile.readline, b"\r\n"))
        length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
        body = self.rfile.read(int(length[1])) if length else b""
        path = head.split(b" ", 2)[1].decode().partition("?")[0]
        is_stream = b"event-stream" in head.lower() or b'"stream":true' in body.replace(b" ", b"")
        assert isinstance(self.server, Server)
        is_list = head.startswith(b"GET ") and path.endswith("/responses")
        self.wfile.write(self.server.mode(Asked(is_stream, path, is_list)))
        self.server.note()


@contextmanager
def serving(mode: Mode) -> Iterator[Server]:
    """Serve until the end."""
    with Server(mode) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


# Commands, and a terminal for them


def commands(app: App, *before: str) -> Iterator[str]:
    """Every command of the app, by the words that call it."""
    for name in app:
        if name.startswith("-"):
            continue
        below = list(commands(app[name], *before, name))
        yield from below or [" ".join([*before, name])]


@dataclass(frozen=True)
class Shown:
    """What a process wrote to its terminal, and how it ended."""

    code: int
    output: bytes


@dataclass(frozen=True)
class Terminal:
    """A pseudo-terminal to run commands in."""

    columns: int = 80
    rows: int = 24
    environ: dict[str, str] = field(default_factory=dict[str, str])

    def run(
        self, *arguments: str, keys: Sequence[tuple[bytes, bytes]] = (), stop: tuple[Server, int] | None = None
    ) -> Shown:
        """Run a command to its end.

        Args:
            arguments: The words after `streamfold`.
            keys: What is typed once something was seen since the keys before, one after the other.
            stop: Press Ctrl-C once this server has given so many answers.
        """
        ours, theirs = pty.openpty()
        try:
            ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", self.rows, self.columns, 0, 0))
            process = subprocess.Popen(
                [sys.executable, "-m", "streamfold", *arguments],
                stdin=theirs,
                stdout=theirs,
                stderr=theirs,
                env=os.environ | {"TERM": "xterm-256color"} | self.environ,
                start_new_session=True,
            )
        finally:
            os.close(theirs)
        try:
            output = _read(ours, process, list(keys), stop)
            return Shown(process.wait(TIMEOUT_SECONDS), output)
        finally:
            process.kill()
            process.wait()
            os.close(ours)


def _read(
    terminal: int, process: "subprocess.Popen[bytes]", keys: list[tuple[bytes, bytes]], stop: tuple[Server, int] | None
) -> bytes:
    output, seen_from = b"", 0
    server, answers_left = stop or (None, 0)
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while True:
        if keys and keys[0][0] in output[seen_from:]:
            seen_from = len(output)
            os.write(terminal, keys.pop(0)[1])
        waited_for = [terminal, *([server.answers] if server is not None else [])]
        ready, _, _ = select.select(waited_for, [], [], max(0, deadline - time.monotonic()))
        assert ready, f"nothing within {TIMEOUT_SECONDS} s after {output[-60000:]!r}"
        if server is not None and server.answers in ready:
            answers_left -= len(server.answers.recv(answers_left))
            if not answers_left:
                process.send_signal(signal.SIGINT)
                server = None
        if terminal not in ready:
            continue
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # what Linux answers once the process is gone
            return output
        if not piece:
            return output
        output += piece
