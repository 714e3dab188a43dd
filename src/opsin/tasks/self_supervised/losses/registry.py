"""The losses by name, with the views that their steps need."""

from __future__ import annotations

from dataclasses import dataclass

from opsin.base.errors import UsageError
from opsin.nn import Objective
from opsin.tasks.self_supervised.losses.autoencoder import AUTOENCODER
from opsin.tasks.self_supervised.losses.rotation import ROTATION
from opsin.tasks.self_supervised.losses.two_views import BARLOW, SIMCLR, VICREG
from opsin.tasks.views import ONE_VIEW, Views


@dataclass(frozen=True)
class Method:
    """An objective, and the views of each image that a step of it takes."""

    objective: Objective
    views: Views


LOSSES = {
    "simclr": Method(SIMCLR, Views(2)),
    "vicreg": Method(VICREG, Views(2)),
    "barlow": Method(BARLOW, Views(2)),
    "rotation": Method(ROTATION, Views(turned=True)),
    "autoencoder": Method(AUTOENCODER, ONE_VIEW),
}
DEFAULT_LOSS = "simclr"


def find_loss(name: str | None) -> Method:
    """Return the method called `name`; None: the default. Raise `UsageError` if there is none."""
    if name is not None and name not in LOSSES:
        raise UsageError(f"there is no loss '{name}' for self-supervised; there are {', '.join(LOSSES)}")
    return LOSSES[name or DEFAULT_LOSS]
