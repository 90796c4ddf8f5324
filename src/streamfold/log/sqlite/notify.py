"""Notifications between the processes that share a SQLite log, like LISTEN and NOTIFY in PostgreSQL."""

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from enum import IntEnum
from hashlib import sha256
from pathlib import Path
from select import select
from tempfile import gettempdir
from threading import Thread
from uuid import uuid4

# Theory of operation. SQLite cannot wake another process, and polling the file costs a query per reader and interval. So
# each process that watches a log binds a Unix datagram socket in one folder of that log, and a writer sends one byte to
# every socket in the folder after each commit. Nothing depends on a datagram: readers look at the log when it arrives,
# and look anyway every `safety_seconds`. That is why every failure here is silent:
#
# - A full socket buffer drops the datagram, and one that was sent before is still waiting there.
# - A socket that a killed process left behind refuses the connection, and the sender removes it.
# - The last listener removes the folder; one that starts at that moment creates it again, and tries a few times.
# - On platforms without Unix datagram sockets, or if the folder belongs to another user, readers poll.
#
# The folder is in the temporary directory, not beside the log: the path of a socket is limited to about 100 characters.

BIND_TRIES = 10
GROWTH = b"\x01"  # Notification.GROWTH as it is sent; every other byte is a change


class Notification(IntEnum):
    """What happened. A greater value includes the lesser ones."""

    NOTHING = 0
    GROWTH = 1
    """There are new records or notes."""
    CHANGE = 2
    """Something rare: a cancel request, the end of a stream, a drop."""


def folder_of(path: Path) -> Path:
    """The folder of the sockets of all who listen to this log."""
    name = sha256(os.fsencode(path.resolve())).hexdigest()[:16]
    user = os.getuid() if hasattr(os, "getuid") else 0
    return Path(gettempdir()) / f"streamfold-{user}-{name}"


def new_socket() -> socket.socket | None:
    """A Unix datagram socket, or None if the platform has none."""
    return socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) if hasattr(socket, "AF_UNIX") else None


def bound(listener: socket.socket, folder: Path) -> Path | None:
    """Bind the socket. Returns its address, or None if that fails: the folder may be another user's."""
    address = folder / f"{os.getpid()}-{uuid4().hex[:8]}"
    listener.setblocking(False)
    for _ in range(BIND_TRIES):
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            listener.bind(str(address))
            return address
        except FileNotFoundError:  # the last other listener removed the folder at this moment
            continue
        except OSError:
            return None
    return None


def can_be_notified(path: Path) -> bool:
    """Whether a listener of this log would receive anything."""
    listener = Listener(path, lambda _: None)
    listener.close()
    return listener.address is not None


class Notifier:
    """Sends notifications. `own` is the address of this process's listener, which needs none: it is woken directly."""

    def __init__(self, path: Path) -> None:
        self._folder = folder_of(path)
        self._socket = new_socket()
        self.own: Path | None = None
        if self._socket is not None:
            self._socket.setblocking(False)

    def notify(self, notification: Notification) -> None:
        if self._socket is None or notification is Notification.NOTHING:
            return
        with suppress(OSError):  # nobody has listened yet, or the folder is another user's
            for address in self._folder.iterdir():
                if address != self.own:
                    self._send(self._socket, address, notification)

    def _send(self, sender: socket.socket, address: Path, notification: Notification) -> None:
        with suppress(OSError):  # its buffer is full, or it is gone
            try:
                sender.sendto(bytes([notification]), str(address))
            except ConnectionRefusedError:
                if address.is_socket():  # left behind by a killed process
                    address.unlink()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()


class Listener:
    """A thread that receives notifications.

    It calls `received` in that thread, once for all that arrived together, with the greatest of them. `address` is
    None if nothing can be received.
    """

    def __init__(self, path: Path, received: Callable[[Notification], object]) -> None:
        self._received = received
        self._stop, self._stopped = socket.socketpair()
        self._socket = new_socket()
        self.address: Path | None = None if self._socket is None else bound(self._socket, folder_of(path))
        self._thread = Thread(target=self._listen, name="streamfold notify", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.close()
        self._thread.join()
        self._stopped.close()
        if self._socket is not None:
            self._socket.close()
        if self.address is not None:
            with suppress(OSError):
                self.address.unlink()
                self.address.parent.rmdir()  # succeeds only for the last listener

    def _listen(self) -> None:
        listener = self._socket
        if listener is None or self.address is None:
            return
        while self._stopped not in select([listener, self._stopped], [], [])[0]:
            notification = Notification.GROWTH
            with suppress(BlockingIOError):
                while True:
                    if listener.recv(1) != GROWTH:
                        notification = Notification.CHANGE
            self._received(notification)
