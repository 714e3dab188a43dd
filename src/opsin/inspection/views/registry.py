"""All views, in the order of the navigation."""

from __future__ import annotations

from opsin.inspection.views.network.view import NetworkView
from opsin.inspection.views.view import View

VIEWS: tuple[View, ...] = (NetworkView(),)
