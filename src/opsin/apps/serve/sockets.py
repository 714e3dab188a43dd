"""The socket of a server, and the files that its connections need."""

from __future__ import annotations

import resource
import socket

from opsin.base.errors import UsageError

BACKLOG = 4096
"""Connections that the system accepts before the server does."""

RESERVED_FILES = 64
"""Files that a process needs besides its connections."""


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens. Raise `UsageError` if the address cannot be used."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"--host {host} --port {port}: {reason}; give another address") from None


def allow_files(connections: int) -> None:
    """Raise the limit of open files so that this many connections fit, as far as the system permits."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + RESERVED_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        limit = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        if limit < needed:
            raise UsageError(
                f"--max-connections {connections}: the system permits {limit} open files; give at most "
                f"{limit - RESERVED_FILES}"
            )
