"""Lists and deletions: their fields, and bodies that are neither."""

import pytest

from streamfold.client import Deleted, Page
from streamfold.client.api.page import decode_deleted, decode_page
from streamfold.errors import MalformedBody

BAD = [b"", b"[]", b"null", b"<html>", b'{"id":7,"data":7}', b'{"data":[1', b"\xff", b'{"data":' + b"[" * 10_000]


def test_a_page_keeps_the_json_of_its_entries() -> None:
    page = decode_page(b'{"data":[{"id": "a"}, 7],"has_more":true,"first_id":"a","last_id":"b","extra":1}')
    assert isinstance(page, Page)
    assert [bytes(each) for each in page.data] == [b'{"id": "a"}', b"7"]
    assert (page.has_more, page.first_id, page.last_id) == (True, "a", "b")


def test_a_page_may_say_no_more_than_its_entries() -> None:
    page = decode_page(b'{"data":[]}')
    assert (page.data, page.has_more, page.first_id, page.last_id) == ((), False, None, None)


def test_a_deletion_is_one_unless_it_says_otherwise() -> None:
    assert decode_deleted(b'{"id":"resp_1"}') == Deleted(id="resp_1", deleted=True)
    assert not decode_deleted(b'{"id":"resp_1","deleted":false}').deleted


@pytest.mark.parametrize("data", BAD, ids=range(len(BAD)))
def test_what_is_no_list_and_no_deletion_is_told_as_that(data: bytes) -> None:
    with pytest.raises(MalformedBody, match="not a list"):
        decode_page(data)
    with pytest.raises(MalformedBody, match="not a deletion"):
        decode_deleted(data)
