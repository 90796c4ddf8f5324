"""Frame: a value, equal by what it says, that keeps its bytes as they were sent."""

import msgspec
import pytest

from streamfold.sse import Frame


def test_a_frame_without_anything_given_is_empty() -> None:
    assert Frame() == Frame(event=b"", data=b"", id=b"", retry=None)


def test_frames_that_say_the_same_are_equal_and_hash_alike() -> None:
    assert Frame(b"tick", b"1", b"7", 500) == Frame(event=b"tick", data=b"1", id=b"7", retry=500)
    assert len({Frame(b"tick", b"1"), Frame(b"tick", b"1")}) == 1


@pytest.mark.parametrize("field", ["event", "data", "id", "retry"])
def test_a_frame_cannot_be_changed(field: str) -> None:
    with pytest.raises(AttributeError):
        setattr(Frame(), field, b"x")


def test_a_changed_copy_leaves_the_frame_as_it_was() -> None:
    frame = Frame(data=b"a")
    assert msgspec.structs.replace(frame, data=b"b") == Frame(data=b"b")
    assert frame == Frame(data=b"a")


def test_bytes_that_are_not_utf8_are_kept() -> None:
    assert Frame(data=b"\xff\xc3").data == b"\xff\xc3"
