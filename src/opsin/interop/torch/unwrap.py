"""The weights inside a checkpoint: which of its dictionaries they are in, and the prefixes of their names.

Training scripts save weights together with optimizers and options, often twice: the current ones, and their averages
over the steps. The averaged ones are used if they are complete, as timm's and torchvision's evaluation and YOLO's
loader do. A line in the log "opsin" says what was used; it goes to standard error unless the
program configures logging.
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

MAX_DEPTH = 4
"""Nesting depth of dictionaries that are searched."""

WRAPPERS = (
    "state_dict", "model_state_dict", "model_state", "model", "network", "net", "weights", "params", "net_state",
    "net_state_dict", "network_state_dict", "module", "model_weights", "params_state_dict", "student",
)  # fmt: skip
"""Names under which training scripts save weights, the most common first."""

AVERAGED = re.compile(r"(^|[_.])(ema|swa|avg|averaged?|moving_average|shadow|teacher)([_.]|$)")
"""Matches names of weights that are averages over the steps of a training run."""

TRAINING = re.compile(
    r"(^|[_.])(optim\w*|opt|sched\w*|lr|scaler|amp|hyper_parameters|hparams|callbacks|loops|args|config|cfg|rng\w*|"
    r"random\w*|metrics?|loss|criterion|history|meta|epoch|iteration|trainer|best\w*)([_.]|$)"
)
"""Matches names of training state that is not a network."""

PREFIXES = (
    "module.", "_orig_mod.", "model.", "net.", "network.", "backbone.", "encoder.", "student.", "teacher.",
    "ema_model.", "averaged_model.", "model_ema.", "ema.", "state_dict.", "model_state_dict.", "_module.",
)  # fmt: skip
"""Prefixes that DataParallel, torch.compile, Lightning and others add to every name."""

COUNTERS = ("n_averaged", "initted", "step", "num_updates", "steps")
"""Counters stored with averaged weights: PyTorch's AveragedModel, ema_pytorch."""

MAX_NAMED = 3


def chosen(
    tree: Mapping[str, Any], is_tensor: Callable[[Any], bool], part: str | None = None
) -> tuple[dict[str, Any], list[str]]:
    """Return the dictionary of tensors that a checkpoint is, or holds, and notes about which of several it is.

    `part` selects one by the names that lead to it, joined by dots. The dictionary is empty if there is none.
    """
    parts = dict(_parts(tree, is_tensor))
    if part is not None:
        return parts.get(tuple(part.split(".")) if part else (), {}), []
    if not parts:
        return {}, []
    sizes = {path: len(_weights(tensors)) for path, tensors in parts.items()}
    ranked = sorted(parts, key=lambda path: (_rank(path), -sizes[path]))
    whole = [path for path in ranked if not _averaged(path)]
    means = [path for path in ranked if _averaged(path) and (not whole or sizes[path] >= sizes[whole[0]])]
    path = (means or whole or ranked)[0]
    if not path and len(parts) == 1:
        return parts[path], []
    if _rank(path) == len(WRAPPERS) + 1 and len([p for p in parts if _rank(p) == _rank(path)]) > 1:
        together = {".".join((*p, name)): value for p in ranked for name, value in parts[p].items()}
        return together, [f"took the weights under {_listed('.'.join(p) for p in ranked)} together"]
    return parts[path], _words(path, parts, sizes)


def _parts(
    tree: Mapping[str, Any], is_tensor: Callable[[Any], bool], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Yield all dictionaries with tensors, and the names that lead to them."""
    tensors = {name: value for name, value in tree.items() if type(name) is str and is_tensor(value)}
    if tensors:
        yield path, tensors
    if len(path) < MAX_DEPTH:
        for name, value in tree.items():
            if type(name) is str and type(value) is dict and not TRAINING.search(name):
                yield from _parts(value, is_tensor, (*path, name))


def _averaged(path: Iterable[str]) -> bool:
    return any(AVERAGED.search(name) for name in path)


def _rank(path: tuple[str, ...]) -> int:
    """Return the rank in the order of preference: usual names, the checkpoint itself, other names."""
    if not path:
        return len(WRAPPERS)
    ranks = [WRAPPERS.index(name) for name in path if name in WRAPPERS]
    return ranks[0] if ranks else len(WRAPPERS) + 1


def _weights(names: Iterable[str]) -> list[str]:
    """Return the names that are not those of counters."""
    return [name for name in names if name not in COUNTERS and not name.endswith("num_batches_tracked")]


def _words(
    path: tuple[str, ...], parts: Mapping[tuple[str, ...], Any], sizes: Mapping[tuple[str, ...], int]
) -> list[str]:
    others = [".".join(other) for other in parts if other and other != path and sizes[other] > sizes[path] // 2]
    if not path:
        return [f"took the tensors next to {_listed(others)}"] if others else []
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
    """Return the tensors without prefixes of `PREFIXES` that all their names have, and a note about these."""
    stripped, dropped = dict(tensors), ""
    while True:
        names = [name for name in stripped if name not in COUNTERS]
        prefix = next((p for p in PREFIXES if names and all(name.startswith(p) for name in names)), None)
        if prefix is None or len({name.removeprefix(prefix) for name in names}) < len(names):
            break
        stripped = {name.removeprefix(prefix): stripped[name] for name in names}
        dropped += prefix
    if not dropped:
        return stripped, []
    return stripped, [f"left out {quoted(dropped)} before every name"]


def matching(
    tensors: Mapping[str, T], known: Collection[str], renamed: Callable[[str], str]
) -> tuple[dict[str, T], list[str]]:
    """Return the tensors by the names of a network, as many as match, and notes about prefixes.

    If the names differ from the network's only by a common prefix, in the file or in the network, it is removed, or
    added. `renamed` returns the network's name for one of the file's; whole names have been renamed already.
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
    prefixes = Counter(p for name in known for p in _prefixes(name) if name[len(p) :] in direct)
    added = max(prefixes, key=lambda p: prefixes[p], default="")
    if prefixes[added] > hits:
        return {f"{added}{name}": tensor for name, tensor in direct.items()}, [f"put {quoted(added)} before every name"]
    return direct, []


def _best(tensors: Mapping[str, T], known: Collection[str], named: Callable[[str], str], hits: int) -> str | None:
    """Return a prefix of more `known` names than match without one; of equals, that of averaged weights."""
    counts = Counter(p for name in tensors for p in _prefixes(name) if named(name[len(p) :]) in known)
    best = max(counts, key=lambda p: (counts[p], bool(AVERAGED.search(p[:-1]))), default="")
    return best if counts[best] > hits else None


def _prefixes(name: str) -> list[str]:
    """Return `a.` and `a.b.` for `a.b.c`."""
    return [name[: index + 1] for index, character in enumerate(name) if character == "."]


def _inside(tensors: Mapping[str, T], prefix: str, named: Callable[[str], str]) -> tuple[dict[str, T], list[str]]:
    inside = {named(name[len(prefix) :]): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    others = _weights(name for name in tensors if not name.startswith(prefix))
    if not others:
        return inside, [f"left out {quoted(prefix)} before every name"]
    left = f"{len(others)} other{'s' if len(others) > 1 else ''} ({_listed(others)})"
    return inside, [f"took the tensors whose names begin with {quoted(prefix)}, and left {left}"]


def say(path: object, words: list[str]) -> None:
    """Log in one line what was read of a file."""
    if words:
        log.warning("%s: %s", path, "; ".join(words))


def _listed(names: Iterable[str]) -> str:
    return listed((quoted(name, 60) for name in names), MAX_NAMED, count=False)
