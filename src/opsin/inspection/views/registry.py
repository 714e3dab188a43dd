"""All views, in the order of the navigation."""

from __future__ import annotations

from opsin.inspection.views.backpropagation.view import BackpropagationView
from opsin.inspection.views.convolution.view import ConvolutionView
from opsin.inspection.views.embedding.view import EmbeddingView
from opsin.inspection.views.explanations.view import ExplanationsView
from opsin.inspection.views.network.view import NetworkView
from opsin.inspection.views.replay.view import ReplayView
from opsin.inspection.views.view import View

VIEWS: tuple[View, ...] = (
    NetworkView(), ConvolutionView(), ExplanationsView(), BackpropagationView(), ReplayView(), EmbeddingView(),
)  # fmt: skip
