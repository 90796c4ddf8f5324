"""`streamfold get` and `streamfold list`: responses as they are now."""

import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from tests.cli.conftest import Gateways, Run

Use = Callable[[str], None]
CREATE = ("create", "--model", "toy", "--input")


def made(run: Run, *inputs: str) -> list[str]:
    """The ids of responses that have these inputs."""
    return [run(*CREATE, each, "--json").document["id"] for each in inputs]


def test_get_prints_the_text_of_a_response_that_has_ended(gateways: Gateways, use: Use, run: Run) -> None:
    use(gateways())
    [response_id] = made(run, "echo Grüezi")
    ran = run("get", response_id)
    assert (ran.code, ran.out.decode(), ran.err) == (0, "Grüezi\n", "")
    document = run("get", response_id, "--json").document
    assert (document["id"], document["status"], document["output_text"]) == (response_id, "completed", "Grüezi")


def test_get_says_that_a_response_still_runs_and_how_to_follow_it(gateways: Gateways, use: Use, run: Run) -> None:
    use(gateways(tokens_per_second=1))
    response_id = run(*CREATE, "9 words", "--background").out.decode().strip()
    ran = run("get", response_id)
    assert (ran.code, ran.out.decode()) == (0, f"{response_id}\n")
    assert ran.err.splitlines()[-1] == f"  streamfold follow {response_id}"


def test_get_of_a_bad_end_is_exit_code_1(gateways: Gateways, use: Use, run: Run) -> None:
    use(gateways())
    [response_id] = made(run, "fail now")
    ran = run("get", response_id)
    assert (ran.code, f"{response_id}: failed: The model stopped half way" in ran.err) == (1, True)


def test_get_of_an_unknown_id_is_one_line(gateways: Gateways, use: Use, run: Run) -> None:
    use(gateways())
    ran = run("get", "resp_nobody")
    assert (ran.code, ran.out, ran.err.count("\n")) == (1, b"", 1)


def test_list_prints_a_row_for_each_newest_first(gateways: Gateways, use: Use, run: Run) -> None:
    use(gateways())
    ids = made(run, "echo a", "echo b", "echo c")
    ran = run("list")
    rows = [line.split("\t") for line in ran.out.decode().splitlines()]
    assert (ran.code, ran.err, [row[0] for row in rows]) == (0, "", ids[::-1])
    assert {(row[1], row[3], row[2][-1]) for row in rows} == {("completed", "toy", "Z")}
    table = run("list", terminal=True).out.decode()
    assert all(each in table.splitlines()[0] for each in ("response", "status", "created", "model"))
    assert all(each in table for each in ids)


def test_list_says_how_to_see_the_next_page(gateways: Gateways, use: Use, run: Run) -> None:
    use(gateways())
    first, second, third = made(run, "echo a", "echo b", "echo c")
    ran = run("list", "--limit", "2")
    assert ran.err == f"streamfold: there are more; add --after {second}\n"
    document = run("list", "--limit", "2", "--json").document
    assert (document["has_more"], document["last_id"]) == (True, second)
    assert [(each["id"], each["output_text"]) for each in document["data"]] == [(third, "c"), (second, "b")]
    assert run("list", "--after", second).out.decode().split("\t")[0] == first


def test_an_empty_list_is_said(gateways: Gateways, use: Use, run: Run) -> None:
    use(gateways())
    assert (run("list").out, run("list").err) == (b"", "streamfold: no responses\n")
    assert run("list", "--json").document == {"data": [], "has_more": False, "last_id": None}


@pytest.mark.parametrize("limit", ["0", "101", "x"])
def test_a_limit_that_is_not_valid_is_wrong_usage(limit: str, run: Run) -> None:
    assert run("list", "--limit", limit).code == 2


ODD: dict[str, Any] = {
    "data": [{"id": "resp_1", "created_at": 1e300}, {"created_at": -1e17, "status": "x\ty"}, {"id": "-a b"}],
    "has_more": True,
}


def test_a_list_without_times_ids_and_names_has_its_rows(use: Use, run: Run) -> None:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(ODD).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        use(f"http://127.0.0.1:{server.server_port}")
        ran = run("list")
        server.shutdown()
    assert ran.out == "resp_1\t-\t-\t-\n-\tx␉y\t-\t-\n-a b\t-\t-\t-\n".encode()
    assert ran.err == "streamfold: there are more; add '--after=-a b'\n"
