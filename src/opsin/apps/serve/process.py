"""The process of a server: it opens the models, listens, and ends when its requests are answered."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from opsin.apps.serve.application import Service
from opsin.apps.serve.connections import allow_files, listen, server
from opsin.apps.serve.limits import Limits
from opsin.apps.serve.models import Open, open_models
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
    socket = listen(address.host, address.port)
    with socket:
        service = Service(open_models(paths, open_model), limits, token, processors(), report)
        here = Address(address.host, socket.getsockname()[1])

        def ready() -> None:
            report(f"{', '.join(service.models)}: {here.url} (Ctrl-C ends the server)")

        interval = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_SECONDS)
        try:
            server(service.application(), limits, service.metrics, ready).run(sockets=[socket])
        finally:
            sys.setswitchinterval(interval)
    report("ended; every request was answered")
