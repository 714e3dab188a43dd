"""The recipes that are tried on data before one of them is trained: networks, augmentation, mirroring."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from opsin.planning.networks import SMALL_GREY, alternatives
from opsin.planning.options import NetworkChoice, TrainOptions

FEW = 5000
"""Training images up to which stronger augmentation is tried."""


@dataclass(frozen=True)
class Candidate:
    """A recipe: `outline` says which network sees which images, `options` what differs from its defaults."""

    outline: NetworkChoice
    options: TrainOptions

    @property
    def name(self) -> str:
        """As reports call it, such as "resnet9_half, strong augmentation, mirrored"."""
        parts = [self.outline.network + (" (pretrained)" if self.outline.pretrained else "")]
        if self.options.augment:
            parts.append(f"{self.options.augment.replace('none', 'no')} augmentation")
        if self.options.flip is not None:
            parts.append("mirrored" if self.options.flip else "not mirrored")
        return ", ".join(parts)


def candidates(default: NetworkChoice, options: TrainOptions) -> list[Candidate]:
    """The recipes to try, the default first and one of each network before variants; at least one.

    There is only one if `options` name the network, fix the number of epochs without a budget, or forbid the search.
    """
    first = Candidate(default, options)
    fixed = options.epochs is not None and options.budget is None
    if options.network or fixed or not options.search or not default.facts.images:
        return [first]
    outlines = [default, *alternatives(default, options)]
    return [*(Candidate(outline, options) for outline in outlines), *_variants(outlines, options)]


def _variants(outlines: Sequence[NetworkChoice], options: TrainOptions) -> Iterator[Candidate]:
    """Other augmentation, unless `options` say what it has to be.

    Whether images may be mirrored is found out in every trial. Photos in colour are known to be learnt better with
    mirroring; of many images, a trial sees each too seldom to tell what stronger augmentation is good for.
    """
    first = outlines[0]
    if first.pretrained:
        if first.facts.grey and options.flip is None and options.augment != "none":
            yield Candidate(first, replace(options, flip=True))
        return
    large = next((each for each in outlines if each.network != SMALL_GREY and not each.pretrained), None)
    if large and options.augment is None and first.facts.images <= FEW:
        yield Candidate(large, replace(options, augment="strong"))
