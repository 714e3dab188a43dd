"""The process that speaks HTTP: connections, limits and the token. It knows no model, and starts without them."""

from __future__ import annotations

import os
import socket
import sys
from contextlib import suppress

from opsin.apps.serve.application import Service
from opsin.apps.serve.connections import server
from opsin.apps.serve.messages import READY, Frames, Setup


def main() -> None:
    """Serve on the socket whose number is the argument. Standard input and output lead to the process that computes.

    End when a signal asks for it and every request is answered, or when the other process has ended.
    """
    writing = os.dup(1)
    os.dup2(2, 1)  # Nothing else may write to the pipe.
    setup = _receive_setup(0)
    if setup is None:
        return
    service = Service(setup, os.dup(0), writing)
    with socket.socket(fileno=int(sys.argv[1])) as listening:
        http = server(service.application(), setup.limits, service.metrics, lambda: service.computer.send(READY))

        def end() -> None:
            http.should_exit = True

        service.computer.ended = end
        http.run(sockets=[listening])


def _receive_setup(reading: int) -> Setup | None:
    """Return the first message; None if the other process ends instead."""
    frames = Frames(reading)
    with suppress(EOFError):
        while True:
            for message in frames.read():
                setup: Setup = message
                return setup
    return None
