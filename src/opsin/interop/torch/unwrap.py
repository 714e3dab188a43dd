"""Search of the weights in a checkpoint: selection of its dictionary, and removal of prefixes of the names.

Training scripts save weights together with optimizers and options, often twice: the current weights, and their averages
over the steps. Complete averages are preferred, as in the evaluation of timm and torchvision and in the loader of YOLO.
A line in the log "opsin" reports the selection; it goes to standard error unless the program configures logging.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from opsin.base.formatting import listed
from opsin.interop.tensors import quote

T = TypeVar("T")

log = logging.getLogger("opsin")

MAX_DEPTH = 4
"""Limit of the nesting depth of the search."""

WRAPPERS = (
    "state_dict", "model_state_dict", "model_state", "model", "network", "net", "weights", "params", "net_state",
    "net_state_dict", "network_state_dict", "module", "model_weights", "params_state_dict", "student",
)  # fmt: skip
"""Names under which training scripts save weights, the most common first."""

AVERAGES = re.compile(r"(^|[_.])(ema|swa|avg|averaged?|moving_average|shadow|teacher)([_.]|$)")
"""Matches names of weights that are averages over the steps of a training run."""

TRAINING_STATE = re.compile(
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

MAX_NAMES = 3
"""Limit of the names in a message."""


def select_weights(
    tree: Mapping[str, Any], is_tensor: Callable[[Any], bool], part: str | None = None
) -> tuple[dict[str, Any], list[str]]:
    """Return the dictionary of tensors in a checkpoint, and notes about the choice if there are several.

    `part` selects a dictionary by the names of its path, joined by dots. The result is empty if there is none.
    """
    parts = dict(_parts(tree, is_tensor))
    if part is not None:
        return parts.get(tuple(part.split(".")) if part else (), {}), []
    if not parts:
        return {}, []
    sizes = {path: len(_weights(tensors)) for path, tensors in parts.items()}
    ranked_paths = sorted(parts, key=lambda path: (_rank(path), -sizes[path]))
    current = [path for path in ranked_paths if not _is_average(path)]
    averages = [
        path for path in ranked_paths if _is_average(path) and (not current or sizes[path] >= sizes[current[0]])
    ]
    path = (averages or current or ranked_paths)[0]
    if not path and len(parts) == 1:
        return parts[path], []
    if _rank(path) == len(WRAPPERS) + 1 and len([p for p in parts if _rank(p) == _rank(path)]) > 1:
        merged_tensors = {".".join((*p, name)): value for p in ranked_paths for name, value in parts[p].items()}
        return merged_tensors, [f"used the weights under {_join('.'.join(p) for p in ranked_paths)} together"]
    return parts[path], _notes(path, parts, sizes)


def _parts(
    tree: Mapping[str, Any], is_tensor: Callable[[Any], bool], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Yield all dictionaries with tensors, and their paths."""
    tensors = {name: value for name, value in tree.items() if type(name) is str and is_tensor(value)}
    if tensors:
        yield path, tensors
    if len(path) < MAX_DEPTH:
        for name, value in tree.items():
            if type(name) is str and type(value) is dict and not TRAINING_STATE.search(name):
                yield from _parts(value, is_tensor, (*path, name))


def _is_average(path: Iterable[str]) -> bool:
    return any(AVERAGES.search(name) for name in path)


def _rank(path: tuple[str, ...]) -> int:
    """Return the rank of a path: common names come first, then the checkpoint itself, then other names."""
    if not path:
        return len(WRAPPERS)
    ranks = [WRAPPERS.index(name) for name in path if name in WRAPPERS]
    return ranks[0] if ranks else len(WRAPPERS) + 1


def _weights(names: Iterable[str]) -> list[str]:
    """Return the names without those of counters."""
    return [name for name in names if name not in COUNTERS and not name.endswith("num_batches_tracked")]


def _notes(
    path: tuple[str, ...], parts: Mapping[tuple[str, ...], Any], sizes: Mapping[tuple[str, ...], int]
) -> list[str]:
    others = [".".join(other) for other in parts if other and other != path and sizes[other] > sizes[path] // 2]
    if not path:
        return [f"used the tensors next to {_join(others)}"] if others else []
    note = f"used the weights under {quote('.'.join(path))}"
    if others and _is_average(path):
        note += f", averaged ones, which usually predict better, not those under {_join(others)}"
    elif others and any(map(_is_average, others)):
        note += f", as the averaged ones under {_join(filter(_is_average_name, others))} are not complete"
    elif others:
        note += f", not those under {_join(others)}"
    return [note + (f"; read_state(path, part={others[0]!r}) gives the others" if others else "")]


def _is_average_name(name: str) -> bool:
    return _is_average([name])


def remove_prefixes(tensors: Mapping[str, T]) -> tuple[dict[str, T], list[str]]:
    """Return the tensors without the `PREFIXES` that all their names share, and a note about them."""
    result, removed_prefix = dict(tensors), ""
    while True:
        names = [name for name in result if name not in COUNTERS]
        prefix = next((p for p in PREFIXES if names and all(name.startswith(p) for name in names)), None)
        if prefix is None or len({name.removeprefix(prefix) for name in names}) < len(names):
            break
        result = {name.removeprefix(prefix): result[name] for name in names}
        removed_prefix += prefix
    if not removed_prefix:
        return result, []
    return result, [f"removed the prefix {quote(removed_prefix)} from every name"]


def match_prefixes(
    tensors: Mapping[str, T], network_names: Collection[str], rename: Callable[[str], str]
) -> tuple[dict[str, T], list[str]]:
    """Return the tensors with the names of a network, as far as they match, and notes about prefixes.

    A common prefix that only the file has is removed; one that only the network has is added. `rename` returns the
    network's name for a name without its prefix; complete names have been renamed already.
    """

    def network_name(name: str) -> str:
        return name if name in network_names else rename(name)

    result = dict(tensors)
    match_count = sum(name in result for name in network_names)
    if match_count == len(network_names):
        return result, []
    prefix = _best_prefix(tensors, network_names, network_name, match_count)
    if prefix is not None:
        return _with_prefix(tensors, prefix, network_name)
    prefixes = Counter(p for name in network_names for p in _name_prefixes(name) if name[len(p) :] in result)
    added_prefix = max(prefixes, key=lambda p: prefixes[p], default="")
    if prefixes[added_prefix] > match_count:
        return {f"{added_prefix}{name}": tensor for name, tensor in result.items()}, [
            f"added the prefix {quote(added_prefix)} to every name"
        ]
    return result, []


def _best_prefix(
    tensors: Mapping[str, T], network_names: Collection[str], network_name: Callable[[str], str], match_count: int
) -> str | None:
    """Return the prefix with the most matches if these are more than `match_count`; prefer averaged weights."""
    counts = Counter(
        p for name in tensors for p in _name_prefixes(name) if network_name(name[len(p) :]) in network_names
    )
    best_prefix = max(counts, key=lambda p: (counts[p], bool(AVERAGES.search(p[:-1]))), default="")
    return best_prefix if counts[best_prefix] > match_count else None


def _name_prefixes(name: str) -> list[str]:
    """Return all prefixes of a name that end with a dot: `a.` and `a.b.` for `a.b.c`."""
    return [name[: index + 1] for index, character in enumerate(name) if character == "."]


def _with_prefix(
    tensors: Mapping[str, T], prefix: str, network_name: Callable[[str], str]
) -> tuple[dict[str, T], list[str]]:
    matches = {network_name(name[len(prefix) :]): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    others = _weights(name for name in tensors if not name.startswith(prefix))
    if not others:
        return matches, [f"removed the prefix {quote(prefix)} from every name"]
    rest = f"{len(others)} other{'s' if len(others) > 1 else ''} ({_join(others)})"
    return matches, [f"used the tensors with the prefix {quote(prefix)}, not the {rest}"]


def log_notes(path: object, notes: list[str]) -> None:
    """Log the notes about a file in one line."""
    if notes:
        log.warning("%s: %s", path, "; ".join(notes))


def _join(names: Iterable[str]) -> str:
    return listed((quote(name, 60) for name in names), MAX_NAMES, count=False)
