"""The clients, the faults, the ways between client and model, and the verdict that is expected of each.

A cell says what the reader has in the end. `WRONG TEXT` and `FALSE END` stand where no error is raised: the text that
was shown is not the answer, or a stream without its terminal event passes for a finished one.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Any

from attrs import field, frozen

from tests.clients.judge import Verdict

INPUT = "count to 9"
ANSWER = "1, 2, 3, 4, 5, 6, 7, 8, 9"

# The faults by name, in the words of the emulator. Of the answer, events 0 to 3 are the beginning; a number is in each that
# follows.
# A cut of the network is made by a link instead, while the answer is being sent: the model sees that its reader has left.
NETWORK_CUT = "network cut"
FAULTS: Mapping[str, str] = {
    "none": "",
    "silence": "stall:after_events=7,seconds=2.5",
    "drop inside a frame": "drop:after_events=7,where=frame",
    "drop between frames": "drop:after_events=7",
    "reset": "drop:after_events=7,how=rst",
    NETWORK_CUT: "drop:after_events=7",
    "gap": "gap:after_events=6,count=2",
    "duplicate": "duplicate:after_events=6,count=2",
    "early end": "gap:after_events=7,count=1000",
    "no terminal event": "no_terminal",
}


class Runner(Enum):
    """What a program runs on."""

    PYTHON = "the Python of its environment"
    NODE = "Node"
    CURL = "this Python, which runs curl"


@frozen
class Client:
    """One client.

    Attributes:
        name: As cases are named by it.
        install: Its environment; empty if it is the machine's own.
        program: The file in programs/.
        packages: Those of its environment that it is; empty for all.
        takes_transport: Whether its requests can go through streamfold's ResumingTransport.
    """

    name: str
    install: str
    program: str
    packages: tuple[str, ...] = ()
    takes_transport: bool = False

    @property
    def runner(self) -> Runner:
        if not self.install:
            return Runner.CURL
        return Runner.NODE if self.program.endswith(".mjs") else Runner.PYTHON


CLIENTS = (
    Client("openai-python", "openai", "openai_raw.py", takes_transport=True),
    Client("openai-python helper", "openai", "openai_helper.py", takes_transport=True),
    Client("openai-agents", "openai-agents", "openai_agents.py", takes_transport=True),
    Client("pydantic-ai", "pydantic-ai", "pydantic_agent.py", takes_transport=True),
    Client("pydantic-ai background", "pydantic-ai", "pydantic_background.py", takes_transport=True),
    Client("langchain-openai", "langchain", "langchain_chat.py", takes_transport=True),
    Client("meetkai-mka1", "mka1", "mka1_raw.py"),
    Client("openai-node", "node", "openai_raw.mjs", ("openai",)),
    Client("openai-node helper", "node", "openai_helper.mjs", ("openai",)),
    Client("AI SDK", "node", "ai_sdk.mjs", ("ai", "@ai-sdk/openai")),
    Client("agents-js", "node", "agents_js.mjs", ("@openai/agents",)),
    Client("curl", "", "curl.py"),
)


@frozen(kw_only=True)
class Way:
    """One way between the clients and the model.

    Attributes:
        name: As cases are named by it.
        title: As the page calls it.
        note: What the page says about it.
        faults: Those that are tried.
        relay: The flags of the relay in between; None for no relay.
        cuts: How many of an answer's connections to the client are cut; 0: the model's have the faults.
        job: What programs are also told, such as how often to ask before they give up.
        clients: Those that are tried.
        expected: The outcomes by fault and client, in words; where there is none, the answer is whole.
    """

    name: str
    title: str
    note: str
    faults: tuple[str, ...] = tuple(FAULTS)
    relay: tuple[str, ...] | None = None
    cuts: int = 0
    job: Mapping[str, Any] = field(factory=dict[str, Any])
    clients: tuple[Client, ...] = CLIENTS
    expected: Mapping[str, Mapping[str, str]]

    def expects(self, client: Client, fault: str) -> str:
        return self.expected.get(fault, {}).get(client.name, Verdict.WHOLE)


CUTS = ("none", "drop inside a frame", "drop between frames", "reset")
ALL = tuple(client.name for client in CLIENTS)
ERROR, WRONG, FALSE_END, CORRECTED = Verdict.ERROR, Verdict.WRONG_TEXT, Verdict.FALSE_END, Verdict.CORRECTED

# Those whose final text is the one in the terminal event; they raise without it. The others add up the pieces.
READ_THE_END = ("openai-python helper", "openai-agents", "openai-node helper", "agents-js")
ADD_UP = {**dict.fromkeys(ALL, WRONG), **dict.fromkeys(READ_THE_END, CORRECTED)}
NOTICE_THE_END = {**dict.fromkeys(ALL, FALSE_END), **dict.fromkeys((*READ_THE_END, "AI SDK"), ERROR)}

WAYS = (
    Way(
        name="straight",
        title="Straight at the model",
        note=(
            "No client notices a missing or a repeated event. pydantic-ai in background mode resumes after a body that "
            "ended cleanly: it then shows the whole text, and gives an empty one at the end."
        ),
        expected={
            "drop inside a frame": dict.fromkeys(ALL, ERROR),
            "drop between frames": dict.fromkeys(ALL, ERROR),
            "reset": dict.fromkeys(ALL, ERROR),
            NETWORK_CUT: dict.fromkeys(ALL, ERROR),
            "gap": ADD_UP,
            "duplicate": ADD_UP,
            "early end": {**NOTICE_THE_END, "pydantic-ai background": WRONG},
            "no terminal event": {**NOTICE_THE_END, "pydantic-ai background": ERROR},
        },
    ),
    Way(
        name="relay",
        title="Over the relay",
        note=(
            "`streamfold relay --upstream URL`, and the connection to the model has the faults. The relay asks the model for "
            "what is missing. Where the model has stopped, there is nothing left to ask for, and that is what clients learn."
        ),
        relay=(),
        expected={NETWORK_CUT: {name: ERROR for name in ALL if name not in ("pydantic-ai background", "meetkai-mka1")}},
    ),
    Way(
        name="promote",
        title="Over the relay, promoted",
        note="`--promote always`: the model continues in the background, whatever happens to its connection.",
        relay=("--promote", "always"),
        expected={},
    ),
    Way(
        name="client-hop",
        title="Over the relay, the client's connection cut",
        note=(
            "`--attach same-body`, and the connection between client and relay is cut, three times for one answer. The program "
            "asks again after an error, up to five times, and shows the new text in place of the old. pydantic-ai in "
            "background mode cancels the answer after each error, so that there is none to join."
        ),
        relay=("--attach", "same-body"),
        faults=CUTS,
        cuts=3,
        job={"attempts": 5},
        expected={cut: {"pydantic-ai background": "whole, 4 creates"} for cut in CUTS if cut != "none"},
    ),
    Way(
        name="resuming",
        title="Over the relay, with ResumingTransport in the client",
        note=(
            "`http_client=` of the client has a `ResumingTransport`, and each connection between client and relay is cut three "
            "times for one answer. The client asks once."
        ),
        relay=(),
        faults=CUTS,
        cuts=3,
        job={"resumes": True},
        clients=tuple(client for client in CLIENTS if client.takes_transport),
        expected={},
    ),
)
