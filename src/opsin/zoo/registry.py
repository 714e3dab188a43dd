"""The networks of the zoo by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Literal, get_args

from opsin.base.errors import UsageError
from opsin.ir.arguments import MAX_SIZE, flag, one_of, text, whole
from opsin.nn import ImageShape, Layer, named_layers
from opsin.zoo.embedder import Embedder
from opsin.zoo.feature_network import FeatureNetwork
from opsin.zoo.weights import find_weights

Constructor = Callable[[int], Layer]
"""From the number of classes to a network."""

Task = Literal["classification", "segmentation", "regression", "detection", "transcription"]
"""The question that a network answers: the class of an image, the class of each pixel, numbers, objects, or words."""

TASKS: tuple[Task, ...] = get_args(Task)

MIN_CLASSES: dict[str, int] = {
    "classification": 2,
    "segmentation": 2,
    "regression": 1,
    "detection": 1,
    "transcription": 2,
}
"""One class is no question, except of numbers, and of objects, which may be anywhere."""

WRAPPERS: dict[str | None, Callable[[Layer], Layer]] = {"identity": Embedder, "self-supervised": FeatureNetwork}
"""What turns a classifier into the network of another task."""

_entries: dict[str, Entry] = {}


@dataclass(frozen=True)
class Entry:
    """A network of the zoo. Calling it creates a new one."""

    name: str
    constructor: Constructor
    input_shape: ImageShape
    """The images that the network was designed for; many networks take other sizes, too."""
    classes: int
    """The number of classes that it was designed for; for regression, the number of outputs."""
    task: Task = "classification"
    backbone: str | None = None
    """The network, or "network.layer", whose published weights its sublayer `backbone` starts from; the other layers
    keep their initial values. None if the published weights are for the whole network, or there are none."""
    frames: int = 1
    """The successive frames of a film that the network takes at once, with the channels of one after the other."""
    kind: str = "image"
    """The kind of input (see `opsin.inputs`). `input_shape` is that of what its front end gives, such as spectra."""
    input_options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """How its samples have to be read (see `InputKind.fitted`)."""

    def __call__(self, classes: int | None = None, *, pretrained: bool = False, task: str | None = None) -> Layer:
        """Create the network for `classes` classes, or outputs; with `pretrained`, it starts from published weights.

        `task` is what it is to be trained for, if not what it was designed for: most classifiers give numbers as well,
        for "identity" they give unit vectors of so many dimensions (see `zoo.embedder`), and for "self-supervised" the
        features that their last layer would read (see `zoo.feature_network`).
        Raise `UsageError` if there are fewer classes than the task needs, two for most, or no such weights.
        """
        count = self.classes if classes is None else whole("the number of classes", classes, maximum=MAX_SIZE)
        needed = MIN_CLASSES.get(task or self.task, 1)
        if count < needed:
            raise UsageError(self._too_few(count, needed))
        network = self.constructor(count)
        if flag("pretrained", pretrained):
            source = self.backbone or self.name
            find_weights(source)
            (named_layers(network)["backbone"] if self.backbone else network).pretrained = source
        return WRAPPERS[task](network) if task in WRAPPERS else network

    def _too_few(self, count: int, needed: int) -> str:
        if needed > 1:
            return f"a network needs at least two classes, not {count}"
        return f"{self.name} needs at least one {'output' if self.task == 'regression' else 'class'}, not {count}"


def register(
    name: str,
    constructor: Constructor,
    input_shape: ImageShape = (3, 224, 224),
    classes: int = 1000,
    task: Task = "classification",
    backbone: str | None = None,
    frames: int = 1,
    kind: str = "image",
    input_options: Mapping[str, Any] | None = None,
) -> Entry:
    """Register a network. The defaults are those of the ImageNet challenge (Russakovsky et al. 2015)."""
    entry = _entries[name] = Entry(
        name, constructor, input_shape, classes, task, backbone, frames, kind, input_options or {}
    )  # fmt: skip
    return entry


def names(task: Task | None = None, kind: str | None = None) -> list[str]:
    """Return the names of all networks, or those for a task and a kind of input, sorted.

    Raise `UsageError` if there is no such task.
    """
    if task is not None:
        one_of("the task", task, TASKS)
    return sorted(name for name, entry in _entries.items() if task in (None, entry.task) and kind in (None, entry.kind))


def find(name: str) -> Entry:
    """Return the network called `name`. Raise `UsageError`, with similar names, if it is unknown."""
    if text("the name of a network", name) not in _entries:
        close = get_close_matches(name.lower(), names(), n=3, cutoff=0.5)
        advice = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(names())}"
        raise UsageError(f"there is no network called '{name}'; {advice}")
    return _entries[name]


def frames(name: str) -> int:
    """Return the frames of a film that the network called `name` takes at once; 1 for a network of one's own."""
    return _entries[name].frames if name in _entries else 1


def kind(name: str) -> str:
    """Return the kind of input of the network called `name`; images for a network of one's own."""
    return _entries[name].kind if name in _entries else "image"


def trunk(name: str) -> str:
    """Return the network that the backbone of the network called `name` is of; `name` itself if it has none."""
    backbone = _entries[name].backbone if name in _entries else None
    return (backbone or name).partition(".")[0]


def trunk_renames(name: str) -> tuple[tuple[str, str], ...]:
    """Return patterns and replacements that turn the names of the weights of a network's backbone into its trunk's."""
    backbone = _entries[name].backbone if name in _entries else None
    _, _, layer = (backbone or "").partition(".")
    return ((r"^backbone\.", f"{layer}."),) if layer else ()


def create(name: str, classes: int | None = None) -> Layer:
    """Create the network called `name`, by default for the number of classes that it was designed for."""
    return find(name)(classes)
