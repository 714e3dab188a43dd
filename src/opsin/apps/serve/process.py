"""The processes of a server: this one opens the models and computes, another one speaks HTTP.

Two processes, because Python runs one thread at a time: the work of HTTP would delay the computation, and the other way
round. This process gets the signals and passes them on; the other one ends when its requests are answered, and then
this one does. If one of them dies, the pipes between them close, and the other one ends.
"""

from __future__ import annotations

import gc
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from opsin.apps.serve.batching import Batcher
from opsin.apps.serve.limits import Limits
from opsin.apps.serve.messages import Channel, Setup
from opsin.apps.serve.models import Open, open_models, watching
from opsin.apps.serve.signals import SIGNALS, handled
from opsin.apps.serve.sockets import allow_files, listen
from opsin.base.errors import OpsinError
from opsin.base.processes import start
from opsin.base.processors import processors

SWITCH_SECONDS = 0.0005
"""How long a thread may keep the interpreter while others wait; Python's 5 ms would show in every answer."""


@dataclass(frozen=True)
class Address:
    """Where a server listens; port 0 lets the system choose one."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The address of the page."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}/"


def run(
    paths: Sequence[str], open_model: Open, address: Address, limits: Limits, token: str | None,
    report: Callable[[str], None],
) -> None:  # fmt: skip
    """Serve models until SIGTERM or SIGINT. `report` gets lines about what happens.

    Raise `UsageError` if the address cannot be used, and `OpsinError` if a model cannot.
    """
    allow_files(limits.connections)
    with listen(address.host, address.port) as listening, _front(listening) as front:
        models = open_models(paths, open_model)
        names, here = ", ".join(models), Address(address.host, listening.getsockname()[1])
        assert front.stdin is not None and front.stdout is not None
        channel = Channel(front.stdout.fileno(), front.stdin.fileno())
        channel.send(Setup([served.data for served in models.values()], limits, token))
        batcher = Batcher(
            models, channel, limits, processors(), lambda: report(f"{names}: {here.url} (Ctrl-C ends the server)")
        )
        with (
            handled(lambda number, _: front.send_signal(number)),
            _short_switches(),
            watching(models.values(), channel.send, report),
        ):
            gc.collect()
            gc.freeze()  # Otherwise garbage collection goes through all objects of the models, while a request waits.
            batcher.run()
        if (code := front.wait()) and -code not in SIGNALS:
            raise OpsinError(f"the process that speaks HTTP has ended with code {code}; start the server again")
    report("ended; every request was answered")


@contextmanager
def _front(listening: socket.socket) -> Iterator[subprocess.Popen[bytes]]:
    """Run the process that speaks HTTP. Signals of the terminal do not reach it."""
    file, pipe = listening.fileno(), subprocess.PIPE
    front = start(
        "opsin.apps.serve.front", "main", str(file), stdin=pipe, stdout=pipe, pass_fds=[file], start_new_session=True,
        bufsize=0,
    )  # fmt: skip
    with front:
        try:
            yield front
        finally:
            front.kill()


@contextmanager
def _short_switches() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
