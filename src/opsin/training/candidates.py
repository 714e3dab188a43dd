"""The recipes that are tried on data before one of them is trained: networks, augmentation, mirroring."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from opsin.training.networks import SMALL_GREY, alternatives
from opsin.training.wishes import Outline, Wishes


@dataclass(frozen=True)
class Candidate:
    """A recipe: `outline` says which network sees which images, `options` what differs from its defaults."""

    outline: Outline
    options: Wishes

    @property
    def name(self) -> str:
        """As reports call it, such as "resnet9_half, strong augmentation, mirrored"."""
        parts = [self.outline.network + (" (pretrained)" if self.outline.pretrained else "")]
        if self.options.augment:
            parts.append(f"{self.options.augment.replace('none', 'no')} augmentation")
        if self.options.flip is not None:
            parts.append("mirrored" if self.options.flip else "not mirrored")
        return ", ".join(parts)


def candidates(default: Outline, options: Wishes) -> list[Candidate]:
    """The recipes to try, the default first and one of each network before variants; at least one.

    There is only one if `options` name the network, fix the number of epochs without a budget, or forbid the search.
    """
    first = Candidate(default, options)
    fixed = options.epochs is not None and options.budget is None
    if options.network or fixed or not options.search or not default.facts.pictures:
        return [first]
    outlines = [default, *alternatives(default, options)]
    variants = [variant for outline in outlines for variant in _variants(outline, options)]
    return [Candidate(outline, options) for outline in outlines] + variants


def _variants(outline: Outline, options: Wishes) -> Iterator[Candidate]:
    """Other augmentation for the same network, unless `options` say what it has to be."""
    if outline.network == SMALL_GREY or (outline.pretrained and not outline.facts.grey):
        return  # too small to learn from more variety; or photos in colour, where mirroring is known to help
    if options.flip is None and options.augment != "none":
        yield Candidate(outline, replace(options, flip=outline.facts.grey))
    if options.augment is None and not outline.pretrained:
        yield Candidate(outline, replace(options, augment="strong"))
