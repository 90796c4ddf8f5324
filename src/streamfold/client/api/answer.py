"""A reply as a whole: its body collected, and the errors that a bad one becomes.

In      a Reply whose head has come; an Answer
Out     an Answer; RequestRefused or UnexpectedAnswer, to be raised
Units   bytes
Errors  ProtocolViolation for a body beyond the limit; whatever the transport raises
Source  docs/reference/errors.md
"""

from streamfold.client.transport.transport import Reply
from streamfold.errors import GatewayError, ProtocolViolation, RequestRefused, UnexpectedAnswer
from streamfold.session import Answer, ErrorWords

__all__ = ["bad_answer", "collect"]


async def collect(reply: Reply, *, max_body_bytes: int) -> Answer:
    """The whole answer.

    Raises: ProtocolViolation if the body is larger than the limit; TransportError if it breaks off.
    """
    pieces: list[bytes] = []
    size = 0
    async for chunk in reply.chunks():
        size += len(chunk)
        if size > max_body_bytes:
            raise ProtocolViolation(f"the body is larger than {max_body_bytes:,} bytes")
        pieces.append(chunk)
    return Answer(reply.status, reply.headers, b"".join(pieces))


def bad_answer(answer: Answer, *, expected: str) -> GatewayError:
    """The error for an answer that is not what was asked for. expected: what was."""
    if answer.is_success:
        kind = answer.headers.get("content-type", "")
        return UnexpectedAnswer(expected, answer.status, kind, answer.request_id, answer.excerpt)
    words = ErrorWords.of(answer.body)
    return RequestRefused(answer.status, words.message, words.code, words.param, answer.request_id, answer.excerpt)
