"""What to train when nobody says: from the data and this machine to a plan, with reasons and what it will take.

It goes in three steps. An `NetworkChoice` says which network and how large its images are, before these are read
(`networks`); short trials compare it with others (`search`); a `AutoPlan` is the whole plan, made of what is known then,
and of how long the compiled steps take on this machine.
"""

from __future__ import annotations

from dataclasses import replace

from opsin.data import Dataset
from opsin.planning import scratch, transfer
from opsin.planning.budget import Budget
from opsin.planning.options import AutoPlan, NetworkChoice, ResourceEstimate, TrainOptions
from opsin.planning.overrides import adjusts, overridden
from opsin.training.class_balance import imbalance


def choose(
    outline: NetworkChoice,
    data: Dataset,
    wishes: TrainOptions,
    spent: float = 0.0,
    timed: bool = False,
    useful: float | None = None,
) -> AutoPlan:
    """The plan for `data`, read as `outline` says, `spent` seconds after the command was given.

    `timed`: ways of convolutions, and thereby the last digits of results, are chosen by timing them on this machine,
    unless the number of epochs is given and no time: what is learnt then depends on data and wishes alone. `useful` is
    how many seconds of training are of use, if that is known (see `search`).
    Raises `UsageError`, with the reason and what would do, where time or memory do not suffice.
    """
    unlimited = wishes.epochs is not None and wishes.budget is None
    budget = Budget.of(wishes, spent, timed and not unlimited)
    if useful is not None:
        budget = replace(budget, left=min(budget.left, useful))
    fit = transfer.fit if outline.pretrained else scratch.fit
    fitted = fit(outline, data, wishes, budget)
    plan, reasons = fitted.plan, list(fitted.reasons)
    counts = data.train.counts()
    if adjusts(wishes, counts):
        reasons.append(
            "rare classes count as much as common ones (logit adjustment), as one has "
            f"{imbalance(counts):.0f} times another's images"
        )
    if others := budget.ways.others:
        kind = "one convolution is" if others == 1 else f"{others} convolutions are"
        reasons.append(f"{kind} computed in another way than usual: it was faster when timed here")
    plan = replace(overridden(plan, wishes, counts), conv_algorithms=budget.ways.choices)
    return AutoPlan(
        plan, (*outline.reasons, *reasons), ResourceEstimate(fitted.seconds, budget.report, fitted.bytes),
        None if unlimited else budget.left, outline.preprocessing,
    )  # fmt: skip
