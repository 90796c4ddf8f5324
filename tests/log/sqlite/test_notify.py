"""Notifier and Listener: who hears that a log grew, and who need not be there."""

import socket
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from streamfold.log.sqlite.notify import Listener, Notification, Notifier, can_be_notified, folder_of

SOON_SECONDS = 10


def test_whoever_listens_is_told_but_not_the_one_that_told(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    ours, theirs = Event(), Event()
    notifier = Notifier(path)
    listeners = [Listener(path, lambda _: ours.set()), Listener(path, lambda _: theirs.set())]
    notifier.own = listeners[0].address
    notifier.notify(Notification.GROWTH)
    assert theirs.wait(SOON_SECONDS)
    for each in listeners:
        each.close()
    notifier.close()
    assert not ours.is_set()
    assert not folder_of(path).exists()


def test_one_that_is_gone_keeps_no_other_from_being_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log.db"
    heard = Event()
    listener, notifier = Listener(path, lambda _: heard.set()), Notifier(path)
    assert listener.address is not None
    gone = folder_of(path) / "1-gone"
    monkeypatch.setattr(Path, "iterdir", lambda _: iter([gone, listener.address]))
    notifier.notify(Notification.GROWTH)
    assert heard.wait(SOON_SECONDS)
    notifier.close()
    listener.close()


def test_without_a_listener_nothing_is_sent_and_nothing_is_left(tmp_path: Path) -> None:
    notifier = Notifier(tmp_path / "log.db")
    notifier.notify(Notification.GROWTH)
    notifier.close()
    assert not folder_of(tmp_path / "log.db").exists()


def test_one_that_does_not_read_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    notifier = Notifier(path)
    folder_of(path).mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as full:
        full.bind(str(folder_of(path) / "1-full"))
        for _ in range(5_000):
            notifier.notify(Notification.GROWTH)
        full.setblocking(False)
        assert 0 < count_of(full) < 5_000
    (folder_of(path) / "1-full").unlink()
    folder_of(path).rmdir()
    notifier.close()


def test_what_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    folder_of(path).mkdir(mode=0o700)
    other = folder_of(path) / "other"
    other.write_text("x")
    notifier = Notifier(path)
    notifier.notify(Notification.GROWTH)
    notifier.close()
    assert other.read_text() == "x"
    other.unlink()
    folder_of(path).rmdir()


def test_a_folder_that_is_not_ours_makes_a_reader_late_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log.db"
    monkeypatch.setattr("streamfold.log.sqlite.notify.gettempdir", lambda: str(tmp_path / "nowhere"))
    listener = Listener(path, lambda _: None)
    assert listener.address is None
    assert not can_be_notified(path)
    listener.close()


def test_a_listener_whose_folder_is_removed_meanwhile_makes_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by the last other one, which goes at that moment."""
    path, heard, mkdir = tmp_path / "log.db", Event(), Path.mkdir
    gone: list[Path] = []

    def mkdir_that_is_undone_once(folder: Path, **how: Any) -> None:
        mkdir(folder, **how)
        if not gone:
            folder.rmdir()
            gone.append(folder)

    monkeypatch.setattr(Path, "mkdir", mkdir_that_is_undone_once)
    listener, notifier = Listener(path, lambda _: heard.set()), Notifier(path)
    notifier.notify(Notification.GROWTH)
    assert heard.wait(SOON_SECONDS)
    assert gone == [folder_of(path)]
    notifier.close()
    listener.close()


def count_of(listener: socket.socket) -> int:
    """How many datagrams wait to be read."""
    count = 0
    with suppress(BlockingIOError):
        while listener.recv(1):
            count += 1
    return count


def test_a_system_without_such_sockets_tells_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log.db"
    monkeypatch.setattr("streamfold.log.sqlite.notify.new_socket", lambda: None)
    listener, notifier = Listener(path, lambda _: None), Notifier(path)
    assert listener.address is None
    notifier.notify(Notification.GROWTH)
    notifier.close()
    listener.close()
    assert not folder_of(path).exists()


def test_who_listens_is_told_how_much_there_is_to_tell(tmp_path: Path) -> None:
    path, told, heard = tmp_path / "log.db", Event(), []

    def hear(wake: Notification) -> None:
        heard.append(wake)
        told.set()

    listener, notifier = Listener(path, hear), Notifier(path)
    try:
        for wake in (Notification.NOTHING, Notification.GROWTH, Notification.CHANGE):
            told.clear()
            notifier.notify(wake)
            assert wake is Notification.NOTHING or told.wait(SOON_SECONDS)
    finally:
        listener.close()
        notifier.close()
    assert heard == [Notification.GROWTH, Notification.CHANGE]
