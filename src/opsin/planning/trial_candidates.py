"""The recipes that are tried on data before one of them is trained: networks and augmentation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from opsin.planning.measurement import LOCAL_MACHINE, Machine
from opsin.planning.networks import SMALL_GREY, alternatives
from opsin.planning.options import NetworkChoice, TrainOptions

MIN_SECONDS_FOR_VARIANTS = 120.0
"""The minimum budget for trying a variant of a published network."""

MAX_IMAGES_FOR_STRONG_AUGMENTATION = 5000
"""Training images up to which stronger augmentation is tried."""


@dataclass(frozen=True)
class TrialCandidate:
    """A recipe: `choice` says which network sees which images, `options` what differs from its defaults."""

    choice: NetworkChoice
    options: TrainOptions

    @property
    def name(self) -> str:
        """The recipe in words, such as "resnet9_half, strong augmentation, mirrored"."""
        words = [self.choice.network + (" (pretrained)" if self.choice.pretrained else "")]
        if self.options.augment:
            words.append(f"{self.options.augment.replace('none', 'no')} augmentation")
        if self.options.flip is not None:
            words.append("mirrored" if self.options.flip else "not mirrored")
        return ", ".join(words)


def trial_candidates(
    default: NetworkChoice, options: TrainOptions, machine: Machine = LOCAL_MACHINE
) -> list[TrialCandidate]:
    """Return the recipes to try, at least one: the default, then one for each other network, then variants.

    There is only one if `options` name the network or its weights, fix the number of epochs without a budget, or forbid
    the search; or if images are annotated.
    """
    default_candidate = TrialCandidate(default, options)
    is_fixed = options.epochs is not None and options.budget is None
    is_annotated = default.summary.has_defaults
    is_named = options.network or options.weights or default.few_shot
    if is_named or is_fixed or is_annotated or not options.search or not default.summary.images:
        return [default_candidate]
    choices = [default, *alternatives(default, options, machine)]
    return [*(TrialCandidate(choice, options) for choice in choices), *_variants(choices, options)]


def _variants(choices: Sequence[NetworkChoice], options: TrainOptions) -> Iterator[TrialCandidate]:
    """Give other augmentation for one of the networks, unless `options` fix it.

    Mirroring is no variant, because every trial tests whether images may be mirrored, and it is known to help with
    colour photos. With many images, a trial sees each image too rarely to show whether stronger augmentation helps.
    """
    default = choices[0]
    if default.pretrained:
        has_time = options.seconds >= MIN_SECONDS_FOR_VARIANTS
        if default.summary.grey and has_time and options.flip is None and options.augment != "none":
            yield TrialCandidate(default, replace(options, flip=True))
        return
    residual = next((each for each in choices if each.network != SMALL_GREY and not each.pretrained), None)
    if residual and options.augment is None and default.summary.images <= MAX_IMAGES_FOR_STRONG_AUGMENTATION:
        yield TrialCandidate(residual, replace(options, augment="strong"))
