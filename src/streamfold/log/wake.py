"""Telling the other processes of this machine that a log grew.

In      the path of the log's file
Out     a datagram to each process that listens; a callback where one came
Units   none
Errors  none: a wake that does not come makes a reader late, and nothing else
Source  decision 0013

Each process that listens has a socket in a folder of the log's own, among the temporary files of its user, for a
socket's path may have no more than about 100 characters. Where there are no such sockets, nobody is told.
"""

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

__all__ = ["Listener", "Teller", "Wake", "can_be_woken"]

BIND_TRIES = 10
GROWTH = b"\x01"  # Wake.GROWTH as it is sent; whatever else comes is a change


class Wake(IntEnum):
    """What there is to tell: the greater one has the lesser in it."""

    NOTHING = 0
    GROWTH = 1
    """There are new records or notes."""
    CHANGE = 2
    """Something rare: a cancel that is asked for, an end, a drop."""


def folder_of(path: Path) -> Path:
    """Where the listeners of this log have their sockets."""
    name = sha256(os.fsencode(path.resolve())).hexdigest()[:16]
    user = os.getuid() if hasattr(os, "getuid") else 0
    return Path(gettempdir()) / f"streamfold-{user}-{name}"


def new_socket() -> socket.socket | None:
    """One for datagrams; None where the system has none."""
    return socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) if hasattr(socket, "AF_UNIX") else None


def bound(listener: socket.socket, folder: Path) -> Path | None:
    """The address that the socket has now; None where it can have none, as where the folder is another user's."""
    address = folder / f"{os.getpid()}-{uuid4().hex[:8]}"
    listener.setblocking(False)
    for _ in range(BIND_TRIES):
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            listener.bind(str(address))
            return address
        except FileNotFoundError:  # the last other listener has just removed the folder
            continue
        except OSError:
            return None
    return None


def can_be_woken(path: Path) -> bool:
    """Whether a listener of this log would hear anything."""
    listener = Listener(path, lambda _: None)
    listener.close()
    return listener.address is not None


class Teller:
    """Tells whoever listens. own: the address of our own listener, who is told in another way."""

    def __init__(self, path: Path) -> None:
        self._folder = folder_of(path)
        self._socket = new_socket()
        self.own: Path | None = None
        if self._socket is not None:
            self._socket.setblocking(False)

    def tell(self, wake: Wake) -> None:
        """The log changed."""
        if self._socket is None or wake is Wake.NOTHING:
            return
        with suppress(OSError):  # nobody ever listened, or the folder is another user's
            for address in self._folder.iterdir():
                if address != self.own:
                    self._tell(self._socket, address, wake)

    def _tell(self, teller: socket.socket, address: Path, wake: Wake) -> None:
        with suppress(OSError):  # it is full, so a wake is on its way; or it went since, and the others are told
            try:
                teller.sendto(bytes([wake]), str(address))
            except ConnectionRefusedError:
                if address.is_socket():  # left behind by a process that was killed
                    address.unlink()

    def close(self) -> None:
        """Let go of the socket."""
        if self._socket is not None:
            self._socket.close()


class Listener:
    """A thread that listens. heard: called in that thread for a wake, or for the greatest of many that came at once.

    address: None where nobody can listen.
    """

    def __init__(self, path: Path, heard: Callable[[Wake], object]) -> None:
        self._heard = heard
        self._stop, self._stopped = socket.socketpair()
        self._socket = new_socket()
        self.address: Path | None = None if self._socket is None else bound(self._socket, folder_of(path))
        self._thread = Thread(target=self._listen, name="streamfold wake", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop, and remove the socket."""
        self._stop.close()
        self._thread.join()
        self._stopped.close()
        if self._socket is not None:
            self._socket.close()
        if self.address is not None:
            with suppress(OSError):
                self.address.unlink()
                self.address.parent.rmdir()  # if we were the last

    def _listen(self) -> None:
        heard = self._socket
        if heard is None or self.address is None:
            return
        while self._stopped not in select([heard, self._stopped], [], [])[0]:
            wake = Wake.GROWTH
            with suppress(BlockingIOError):
                while True:
                    wake = max(wake, Wake.CHANGE if heard.recv(1) != GROWTH else Wake.GROWTH)
            self._heard(wake)
