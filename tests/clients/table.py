"""The clients, the faults, the ways between client and model, and the verdict that is expected of each.

A cell says what the reader has in the end. `WRONG TEXT` and `FALSE END` stand where no error is raised: the text that
was shown is not the answer, or a stream without its terminal event passes for a finished one.
"""

from collections.abc import Mapping
from enum import Enum

from attrs import frozen

from tests.clients.judge import Verdict

INPUT = "count to 9"
ANSWER = "1, 2, 3, 4, 5, 6, 7, 8, 9"

# The faults by name, in the words of the emulator. Of the answer, events 0 to 3 are the beginning; a number is in each that
# follows.
FAULTS: Mapping[str, str] = {
    "none": "",
    "silence": "stall:after_events=7,seconds=2.5",
    "drop inside a frame": "drop:after_events=7,where=frame",
    "drop between frames": "drop:after_events=7",
    "reset": "drop:after_events=7,how=rst",
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
    """

    name: str
    install: str
    program: str
    packages: tuple[str, ...] = ()

    @property
    def runner(self) -> Runner:
        if not self.install:
            return Runner.CURL
        return Runner.NODE if self.program.endswith(".mjs") else Runner.PYTHON


CLIENTS = (
    Client("openai-python", "openai", "openai_raw.py"),
    Client("openai-python helper", "openai", "openai_helper.py"),
    Client("openai-agents", "openai-agents", "openai_agents.py"),
    Client("pydantic-ai", "pydantic-ai", "pydantic_agent.py"),
    Client("pydantic-ai background", "pydantic-ai", "pydantic_background.py"),
    Client("langchain-openai", "langchain", "langchain_chat.py"),
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
        is_client_hop: Whether the connection to the client has the faults, not the model's.
        attempts: How often a program asks before it gives up.
        expected: The outcomes by fault and client, in words; where there is none, the answer is whole.
    """

    name: str
    title: str
    note: str
    faults: tuple[str, ...] = tuple(FAULTS)
    relay: tuple[str, ...] | None = None
    is_client_hop: bool = False
    attempts: int = 1
    expected: Mapping[str, Mapping[str, str]]

    def expects(self, client: Client, fault: str) -> str:
        return self.expected.get(fault, {}).get(client.name, Verdict.WHOLE)


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
            "gap": ADD_UP,
            "duplicate": ADD_UP,
            "early end": {**NOTICE_THE_END, "pydantic-ai background": WRONG},
            "no terminal event": {**NOTICE_THE_END, "pydantic-ai background": ERROR},
        },
    ),
)
