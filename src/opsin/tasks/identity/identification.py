"""Finding a person in a gallery with one image of each, and knowing when it is a stranger."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000
SEED = 0

STRANGER_RATES = (0.1, 0.01)
"""Shares of strangers that may be taken for an entry of the gallery, in open-set identification."""

MIN_STRANGERS = 10
"""A rate is stated if it stands for at least so many images of strangers."""


@dataclass(frozen=True)
class Rate:
    """A share of `count` images, with its 95 % interval by a bootstrap over identities (Efron 1979).

    Images of one identity resemble each other, so that identities are resampled and not images.
    """

    share: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, hits: NDArray[np.bool_], identities: NDArray[np.int32]) -> Rate:
        """Return the share of the `hits` of images that show these identities."""
        _, group = np.unique(identities, return_inverse=True)
        right, totals = np.bincount(group, hits), np.bincount(group)
        draws = np.random.default_rng(SEED).integers(0, len(totals), (RESAMPLES, len(totals)))
        shares = right[draws].sum(axis=1) / totals[draws].sum(axis=1)
        low, high = np.quantile(shares, (0.025, 0.975))
        return cls(float(hits.mean()), float(low), float(high), len(hits))

    def to_data(self) -> dict[str, float]:
        """Return it for JSON."""
        return {"share": self.share, "low": self.low, "high": self.high, "images": self.count}


@dataclass(frozen=True)
class Identification:
    """Rates of a gallery with one image of each of `enrolled` identities.

    `rank1` is the share of further images of them whose nearest entry is the right one. `open_set` has the share that
    is found and also reaches a threshold, which the stated share of strangers reaches.
    """

    enrolled: int
    rank1: Rate
    open_set: tuple[tuple[float, Rate], ...]

    def to_data(self) -> dict[str, object]:
        """Return it for JSON."""
        rates = [{"strangers_accepted": share, **rate.to_data()} for share, rate in self.open_set]
        return {"enrolled": self.enrolled, "rank1": self.rank1.to_data(), "open_set": rates}


def identify(embeddings: NDArray[np.float32], identities: NDArray[np.int32]) -> Identification | None:
    """Enrol the first image of each identity and look for the others; None if no identity has a second image.

    In the open set, every second identity with several images is enrolled, and all other identities are strangers.
    """
    order = np.argsort(identities, kind="stable")
    firsts = order[np.append(True, np.diff(identities[order]) > 0)]
    several = np.bincount(identities)[identities[firsts]] > 1
    enrolled = firsts[several]
    if not len(enrolled):
        return None
    probes = np.setdiff1d(np.flatnonzero(np.isin(identities, identities[enrolled])), enrolled)
    _, found = _search(embeddings, identities, probes, enrolled)
    return Identification(
        len(enrolled), Rate.of(found, identities[probes]), _open_set(embeddings, identities, enrolled)
    )


def _search(
    embeddings: NDArray[np.float32], identities: NDArray[np.int32], probes: NDArray[np.intp], gallery: NDArray[np.intp]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the similarity of the nearest entry for each probe, and whether it shows the same identity."""
    similarities = embeddings[probes] @ embeddings[gallery].T
    nearest = similarities.argmax(axis=1)
    return similarities.max(axis=1), identities[gallery[nearest]] == identities[probes]


def _open_set(
    embeddings: NDArray[np.float32], identities: NDArray[np.int32], enrolled: NDArray[np.intp]
) -> tuple[tuple[float, Rate], ...]:
    gallery = enrolled[::2]
    is_known = np.isin(identities, identities[gallery])
    probes, strangers = np.setdiff1d(np.flatnonzero(is_known), gallery), np.flatnonzero(~is_known)
    rates = [share for share in STRANGER_RATES if share * len(strangers) >= MIN_STRANGERS]
    if not rates:
        return ()
    best, found = _search(embeddings, identities, probes, gallery)
    stranger_best, _ = _search(embeddings, identities, strangers, gallery)
    return tuple(
        (share, Rate.of(found & (best > np.quantile(stranger_best, 1 - share)), identities[probes])) for share in rates
    )
