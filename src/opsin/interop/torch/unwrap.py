"""The weights inside a checkpoint: under which of its names they are, and what stands before their own names.

Training scripts keep weights beside optimizers and options, often twice: as they are, and averaged over the steps. The
averaged ones are taken where they are complete, as timm's and torchvision's evaluation and YOLO's loader do. What was
taken is said in a line of the log "opsin", which goes to standard error unless the program says otherwise.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from opsin.base.formatting import listed
from opsin.interop.tensors import quoted

T = TypeVar("T")

log = logging.getLogger("opsin")

MOST_DEPTH = 4
"""Dictionaries in dictionaries that are looked into."""

WRAPPERS = (
    "state_dict", "model_state_dict", "model_state", "model", "network", "net", "weights", "params", "net_state",
    "net_state_dict", "network_state_dict", "module", "model_weights", "params_state_dict", "student",
)  # fmt: skip
"""Names under which people keep weights among other things, the commonest first."""

AVERAGED = re.compile(r"(^|[_.])(ema|swa|avg|averaged?|moving_average|shadow|teacher)([_.]|$)")
"""In a name: weights that are a mean over the steps of a training run."""

TRAINING = re.compile(
    r"(^|[_.])(optim\w*|opt|sched\w*|lr|scaler|amp|hyper_parameters|hparams|callbacks|loops|args|config|cfg|rng\w*|"
    r"random\w*|metrics?|loss|criterion|history|meta|epoch|iteration|trainer|best\w*)([_.]|$)"
)
"""In a name: what goes with training, and is no network."""

PREFIXES = (
    "module.", "_orig_mod.", "model.", "net.", "network.", "backbone.", "encoder.", "student.", "teacher.",
    "ema_model.", "averaged_model.", "model_ema.", "ema.", "state_dict.", "model_state_dict.", "_module.",
)  # fmt: skip
"""What DataParallel, torch.compile, Lightning and others put before every name of a network."""

COUNTERS = ("n_averaged", "initted", "step", "num_updates", "steps")
"""What averages keep beside the weights: PyTorch's AveragedModel, ema_pytorch."""

SHOWN = 3


def chosen(
    tree: Mapping[str, Any], is_tensor: Callable[[Any], bool], part: str | None = None
) -> tuple[dict[str, Any], list[str]]:
    """The dictionary of tensors that a checkpoint is, or holds, and in words which of several it is.

    `part` asks for a certain one, by the names that lead to it, with dots between them. Empty where there is none.
    """
    parts = dict(_parts(tree, is_tensor))
    if part is not None:
        return parts.get(tuple(part.split(".")) if part else (), {}), []
    if not parts:
        return {}, []
    kept = {path: len(_weights(tensors)) for path, tensors in parts.items()}
    ranked = sorted(parts, key=lambda path: (_rank(path), -kept[path]))
    whole = [path for path in ranked if not _averaged(path)]
    means = [path for path in ranked if _averaged(path) and (not whole or kept[path] >= kept[whole[0]])]
    path = (means or whole or ranked)[0]
    if not path and len(parts) == 1:
        return parts[path], []
    if _rank(path) == len(WRAPPERS) + 1 and len([p for p in parts if _rank(p) == _rank(path)]) > 1:
        together = {".".join((*p, name)): value for p in ranked for name, value in parts[p].items()}
        return together, [f"took the weights under {_listed('.'.join(p) for p in ranked)} together"]
    return parts[path], _words(path, parts, kept)


def _parts(
    tree: Mapping[str, Any], is_tensor: Callable[[Any], bool], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """All dictionaries with tensors, and the names that lead to them."""
    tensors = {name: value for name, value in tree.items() if type(name) is str and is_tensor(value)}
    if tensors:
        yield path, tensors
    if len(path) < MOST_DEPTH:
        for name, value in tree.items():
            if type(name) is str and type(value) is dict and not TRAINING.search(name):
                yield from _parts(value, is_tensor, (*path, name))


def _averaged(path: Iterable[str]) -> bool:
    return any(AVERAGED.search(name) for name in path)


def _rank(path: tuple[str, ...]) -> int:
    """Places in the order of preference: usual names, the checkpoint itself, other names."""
    if not path:
        return len(WRAPPERS)
    places = [WRAPPERS.index(name) for name in path if name in WRAPPERS]
    return places[0] if places else len(WRAPPERS) + 1


def _weights(names: Iterable[str]) -> list[str]:
    """Those names that are not of counters."""
    return [name for name in names if name not in COUNTERS and not name.endswith("num_batches_tracked")]


def _words(
    path: tuple[str, ...], parts: Mapping[tuple[str, ...], Any], kept: Mapping[tuple[str, ...], int]
) -> list[str]:
    others = [".".join(other) for other in parts if other and other != path and kept[other] > kept[path] // 2]
    if not path:
        return [f"took the tensors beside {_listed(others)}"] if others else []
    words = f"took the weights under {quoted('.'.join(path))}"
    if others and _averaged(path):
        words += f", averaged ones, which usually predict better, not those under {_listed(others)}"
    elif others and any(map(_averaged, others)):
        words += f", as the averaged ones under {_listed(filter(_averaged_name, others))} are not complete"
    elif others:
        words += f", not those under {_listed(others)}"
    return [words + (f"; read_state(path, part={others[0]!r}) gives the others" if others else "")]


def _averaged_name(name: str) -> bool:
    return _averaged([name])


def without_prefixes(tensors: Mapping[str, T]) -> tuple[dict[str, T], list[str]]:
    """The tensors without what stands before all of their names, if it is one of `PREFIXES`, and what that was."""
    found, dropped = dict(tensors), ""
    while True:
        names = [name for name in found if name not in COUNTERS]
        prefix = next((p for p in PREFIXES if names and all(name.startswith(p) for name in names)), None)
        if prefix is None or len({name.removeprefix(prefix) for name in names}) < len(names):
            break
        found = {name.removeprefix(prefix): found[name] for name in names}
        dropped += prefix
    if not dropped:
        return found, []
    return found, [f"left out {quoted(dropped)} before every name"]


def matching(
    tensors: Mapping[str, T], known: Collection[str], renamed: Callable[[str], str]
) -> tuple[dict[str, T], list[str]]:
    """The tensors by the names that a network knows, as many as there are, and in words what stood before these names.

    Where the names are the network's but for what stands before all of them, in the file or in the network, that is
    left out, or put there. `renamed` gives the network's name for one of the file's; whole names have been renamed.
    """

    def named(name: str) -> str:
        return name if name in known else renamed(name)

    direct = dict(tensors)
    hits = sum(name in direct for name in known)
    if hits == len(known):
        return direct, []
    prefix = _best(tensors, known, named, hits)
    if prefix is not None:
        return _inside(tensors, prefix, named)
    firsts = Counter(place for name in known for place in _beginnings(name) if name[len(place) :] in direct)
    added = max(firsts, key=lambda place: firsts[place], default="")
    if firsts[added] > hits:
        return {f"{added}{name}": tensor for name, tensor in direct.items()}, [f"put {quoted(added)} before every name"]
    return direct, []


def _best(tensors: Mapping[str, T], known: Collection[str], named: Callable[[str], str], hits: int) -> str | None:
    """What stands before more of the `known` names than are found without it; of equals the averaged weights'."""
    counts = Counter(place for name in tensors for place in _beginnings(name) if named(name[len(place) :]) in known)
    best = max(counts, key=lambda place: (counts[place], bool(AVERAGED.search(place[:-1]))), default="")
    return best if counts[best] > hits else None


def _beginnings(name: str) -> list[str]:
    """`a.b.c` → `a.`, `a.b.`"""
    return [name[: place + 1] for place, character in enumerate(name) if character == "."]


def _inside(tensors: Mapping[str, T], prefix: str, named: Callable[[str], str]) -> tuple[dict[str, T], list[str]]:
    inside = {named(name[len(prefix) :]): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    others = _weights(name for name in tensors if not name.startswith(prefix))
    if not others:
        return inside, [f"left out {quoted(prefix)} before every name"]
    left = f"{len(others)} other{'s' if len(others) > 1 else ''} ({_listed(others)})"
    return inside, [f"took the tensors whose names begin with {quoted(prefix)}, and left {left}"]


def say(path: object, words: list[str]) -> None:
    """Tells in one line what of a file was taken."""
    if words:
        log.warning("%s: %s", path, "; ".join(words))


def _listed(names: Iterable[str]) -> str:
    return listed((quoted(name, 60) for name in names), SHOWN, count=False)
