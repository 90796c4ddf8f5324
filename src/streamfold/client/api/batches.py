"""Batches: their calls, and one batch followed to its end."""

from collections.abc import Mapping
from typing import Unpack, cast
from uuid import uuid4

from streamfold.client.api.answer import Page, decode_page
from streamfold.client.api.arguments import check_batch_id, check_known
from streamfold.client.api.request import CallOptions, Calls
from streamfold.client.api.sending import Sender
from streamfold.client.follow.batch import FollowedBatch
from streamfold.schema import Batch, decode_batch
from streamfold.session import Patience


class BatchParams(CallOptions, total=False):
    """The parameters of a batch, in addition to the options of every call. Newer parameters go in `extra_body`.

    Attributes:
        input_file_id: The uploaded file of requests.
        endpoint: The path that each request is for, such as `/v1/responses`.
        completion_window: `"24h"`.
        metadata: Up to 16 pairs of text.
        max_concurrency: Requests at once; MKA1 requires it.
    """

    input_file_id: str
    endpoint: str
    completion_window: str | None
    metadata: Mapping[str, str] | None
    max_concurrency: int | None


class Batches:
    """The batches of one gateway: `gateway.batches`."""

    def __init__(self, calls: Calls, *, sender: Sender, patience: Patience, default_timeout: float) -> None:
        self._calls = calls
        self._sender = sender
        self._patience = patience
        self._default_timeout = default_timeout

    async def create(
        self,
        *,
        max_retries: int | None = None,
        idempotency_key: str | None = None,
        **parameters: Unpack[BatchParams],
    ) -> Batch:
        """Create a batch.

        Args:
            max_retries: How often to retry if the gateway has not accepted it; None for the gateway's.
            idempotency_key: Sent with every attempt as the Idempotency-Key header; None for a new one.
            **parameters: The API's own, and the options of every call.
        """
        check_known(parameters, BatchParams.__annotations__)
        own = {name: value for name, value in parameters.items() if name not in CallOptions.__annotations__}
        options = cast(CallOptions, {name: value for name, value in parameters.items() if name not in own})
        request = self._with(options).create_batch(own, idempotency_key=idempotency_key or str(uuid4()))
        return await self._sender.ask(request, decode_batch, expected="a Batch", max_retries=max_retries)

    async def retrieve(self, batch_id: str, **options: Unpack[CallOptions]) -> Batch:
        """The batch as it is now."""
        return await self._sender.ask(self._with(options).retrieve_batch(batch_id), decode_batch, expected="a Batch")

    async def cancel(self, batch_id: str, **options: Unpack[CallOptions]) -> Batch:
        """Ask the gateway to cancel a batch, and return its answer, usually a batch that is `cancelling`.

        To learn whether it was cancelled, use `follow(batch_id).cancel()`.
        """
        return await self._sender.ask(self._with(options).cancel_batch(batch_id), decode_batch, expected="a Batch")

    async def list(
        self, *, after: str | None = None, limit: int | None = None, **options: Unpack[CallOptions]
    ) -> Page[Batch]:
        """One page of the batches."""
        request = self._with(options).list_batches(page={"after": after, "limit": limit})
        return await self._sender.ask(request, lambda body: decode_page(body, decode_batch), expected="a list")

    def follow(self, batch_id: str) -> FollowedBatch:
        """Follow a batch to its end: `async with gateway.batches.follow(batch_id) as batch`."""
        return FollowedBatch(
            check_batch_id(batch_id), calls=self._calls, transport=self._sender.retrying(), patience=self._patience
        )

    def _with(self, options: CallOptions) -> Calls:
        return self._calls.with_options(options, default_timeout=self._default_timeout)
