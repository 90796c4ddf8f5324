"""What is expected of each server, and of streamfold there: the table that the runs are checked against.

`supports` is what the server itself can do, measured over plain HTTP. The outcomes follow from it:

- A stream that is cut is whole where the server gives events again, whole but `compacted` where only a GET gives the
  answer, and `lost` where nothing does: then no client can have more than what had arrived.
- A cancel says what the server did. In the foreground there is often nothing to cancel: the connection is closed.
"""

from collections.abc import Mapping

from attrs import frozen

from tests.servers.support import Background, Support

CUTS = tuple(f"cut-{seed}" for seed in range(1, 6))
FOREGROUND_CUTS = tuple(f"foreground-{cut}" for cut in CUTS)


@frozen(kw_only=True)
class Server:
    """One server, or one way to run it.

    Attributes:
        name: As cases are named by it.
        install: Its environment.
        program: What is started.
        model: The name of the model.
        support: What it can do.
        outcomes: The outcome of each case, in words.
        note: What else a reader should know about it.
        settles_in: Seconds after which a GET that says the same is believed.
    """

    name: str
    install: str
    program: str
    model: str
    support: Support
    outcomes: Mapping[str, str]
    note: str
    settles_in: float = 0.3

    @property
    def cases(self) -> list[str]:
        """Their names: `supports` measures what the server can do."""
        return ["supports", *self.outcomes]

    def program_of(self, case: str) -> str:
        """The program that a case needs: one that may be killed is not that of the others."""
        return f"{self.program}-resilient" if case == "crash" else self.program


# A server that keeps no response: what it has not sent when a connection ends is lost.
KEEPS_NOTHING = Support(background=Background.NO, retrieves=False, resumes=False, cancels=False)
FROM_WHAT_KEEPS_NOTHING = {
    "create": "completed",
    "stream": "completed",
    **dict.fromkeys(FOREGROUND_CUTS, "lost"),
    "cancel-after-end": "lost, unconfirmed",
    "cancel-foreground": "abandoned, left",
    "kill-foreground": "lost",
}

SERVERS = (
    Server(
        name="azure",
        install="azure",
        program="azure",
        model="tiny",
        support=Support(background=Background.STREAMED, retrieves=True, resumes=True, cancels=True),
        outcomes={
            "create": "completed",
            "stream": "completed",
            "background": "completed",
            **dict.fromkeys(CUTS, "completed"),
            "cancel": "cancelled, cancel_won",
            "cancel-after-end": "completed, already_terminal",
            "kill": "completed",
            **dict.fromkeys(FOREGROUND_CUTS[:2], "cancelled"),
            "cancel-foreground": "cancelled, cancel_won",
            "kill-foreground": "cancelled",
            "crash": "completed",
        },
        note=(
            "A foreground response is cancelled when its reader disconnects. After a crash it generates the "
            "answer again, and the number of one event is missing in every replay."
        ),
    ),
    Server(
        name="fastresponses",
        install="fastresponses",
        program="fastresponses",
        model="tiny",
        support=Support(background=Background.STREAMED, retrieves=True, resumes=False, cancels=True),
        outcomes={
            "create": "completed",
            "stream": "completed",
            "background": "completed",
            **dict.fromkeys(CUTS, "completed, compacted"),
            "cancel": "cancelled, cancel_won",
            "cancel-after-end": "completed, compacted, already_terminal",
            "kill": "completed, compacted",
            **dict.fromkeys(FOREGROUND_CUTS[:2], "lost"),
            "cancel-foreground": "abandoned, left",
            "kill-foreground": "lost",
        },
        note=(
            "It sends events again at a path of its own, `/responses/{id}/events`, which streamfold does not use. "
            "It does not keep a foreground response whose reader disconnected."
        ),
    ),
    Server(
        name="aimock",
        install="aimock",
        program="aimock",
        model="gpt-5-mini",
        support=KEEPS_NOTHING,
        outcomes=FROM_WHAT_KEEPS_NOTHING,
        note="It keeps no response, and its events have no numbers.",
    ),
    Server(
        name="litellm-bridge",
        install="litellm",
        program="litellm",
        model="tiny",
        support=KEEPS_NOTHING,
        outcomes=FROM_WHAT_KEEPS_NOTHING,
        note="LiteLLM over chat completions. It keeps no response.",
    ),
    Server(
        name="litellm-passthrough",
        install="litellm",
        program="litellm",
        model="passthrough",
        support=Support(background=Background.STREAMED, retrieves=True, resumes=False, cancels=True),
        outcomes={
            "create": "completed",
            "stream": "completed",
            "background": "completed",
            **dict.fromkeys(CUTS, "completed, compacted"),
            "cancel": "cancelled, cancel_won, conflict",
            "cancel-after-end": "completed, compacted, already_terminal",
            "kill": "completed, compacted",
            **dict.fromkeys(FOREGROUND_CUTS[:2], "cancelled"),
            "cancel-foreground": "cancelled, cancel_won",
            "kill-foreground": "cancelled",
        },
        note=(
            "LiteLLM over azure. The stream of a cancelled response ends as `failed`, although the answer to the "
            "cancel and a GET say `cancelled`: the outcome reports the conflict."
        ),
    ),
    Server(
        name="litellm-polling",
        install="litellm",
        program="litellm-polling",
        model="tiny",
        support=Support(background=Background.ANSWERED, retrieves=True, resumes=False, cancels=True),
        outcomes={
            "create": "completed",
            "stream": "completed",
            "background": "completed, compacted",
            **dict.fromkeys(CUTS, "completed, compacted"),
            "cancel": "completed, compacted, completion_won, conflict",
            "cancel-after-end": "cancelled, compacted, cancel_won, conflict",
            "kill": "completed, compacted",
        },
        note=(
            "LiteLLM with `polling_via_cache`. It answers a cancel with `cancelled`, and seconds later a GET says "
            "`completed`. A cancel after the end makes a completed response `cancelled`."
        ),
        settles_in=3.0,
    ),
    Server(
        name="ogx",
        install="ogx",
        program="ogx",
        model="vllm/tiny",
        support=Support(background=Background.CREATED, retrieves=True, resumes=False, cancels=True),
        outcomes={
            "create": "completed",
            "stream": "completed",
            "background": "completed, compacted",
            **dict.fromkeys(CUTS, "completed, compacted"),
            **dict.fromkeys(FOREGROUND_CUTS[:2], "lost"),
            "cancel": "cancelled, cancel_won",
            "cancel-after-end": "completed, compacted, already_terminal",
            "kill": "completed, compacted",
            "cancel-foreground": "abandoned, left",
            "kill-foreground": "lost",
        },
        note="A foreground response whose reader disconnected stays `in_progress` for ever.",
    ),
)
