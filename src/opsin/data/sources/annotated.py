"""Images with annotations: find the task that they are for, and list them as a source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from opsin.base.errors import DataError
from opsin.base.formatting import listed
from opsin.base.path_words import has_image_ending
from opsin.data.items import FileProblem, Item, printable
from opsin.data.sources.file_tree import FileTree, image_size
from opsin.inputs.nouns import renamed
from opsin.inputs.registry import IMAGE
from opsin.tasks.annotations import Annotations, ImageSize, kind_of
from opsin.tasks.registry import TRANSCRIPTION, annotated_tasks, find_task

MIN_ANNOTATED = 0.5
"""The share of the image files that annotations have to cover to be taken without being asked for."""


@dataclass(frozen=True)
class AnnotatedSource:
    """A `Source` of the images that a task's reader found, with their annotations; `kind` is "" for images."""

    name: str
    items: Sequence[Item]
    problems: Sequence[FileProblem]
    tree: FileTree
    annotations: Annotations
    task: type[Any]
    notes: Sequence[str] = ()
    unlabelled: FileTree | None = None
    kind: str = ""

    @classmethod
    def of(
        cls, tree: FileTree, annotations: Annotations, task: type[Any], notes: Sequence[str] = ()
    ) -> AnnotatedSource:
        """Return the images of `annotations`, whose paths are those of `tree`."""
        kind, shown = kind_of(tree), getattr(tree, "shown", printable)
        items = [Item(shown(image.path), "", image.split) for image in annotations.images]
        annotations = _renamed(annotations, kind or IMAGE)
        return cls(tree.name, items, tree.problems, tree, annotations, task, [*tree.notes, *notes], kind=kind)

    def read(self, index: int) -> bytes:
        return self.tree.read(self.annotations.images[index].path)

    def stamp(self, index: int) -> str:
        return self.tree.stamp(self.annotations.images[index].path)


def read_as(tree: FileTree, task: str, columns: Sequence[str]) -> AnnotatedSource:
    """Return the images annotated for the task of this name. Raise `DataError` if there are none."""
    kind = find_task(task)
    annotations = kind.read(tree, _image_size(tree), columns)
    if annotations is None or not annotations.images:
        raise DataError(_nothing(tree, task, annotations))
    return AnnotatedSource.of(tree, annotations, kind)


def detect_annotations(
    tree: FileTree, has_class_folders: bool = False, columns: Sequence[str] = ()
) -> AnnotatedSource | None:
    """Return the annotated images of a tree, if they are clearly meant; None if classes of images are.

    Next to folders of classes, only boxes and masks count; tables may hold anything about the images.
    """
    samples = kind_of(tree)
    kinds = [
        kind for kind in annotated_tasks()
        if (kind.spatial and not samples) or (not kind.spatial and (not has_class_folders or columns))
    ]  # fmt: skip
    results, errors = [], []
    for kind in kinds:
        try:
            annotations = kind.read(tree, _image_size(tree), columns)
        except DataError as error:  # the columns that the user names are not there, or not of this kind
            errors.append(error)
        else:
            if annotations and annotations.images:
                results.append((kind, annotations))
    if not results and columns and errors:
        raise errors[-1]
    if not results:
        return None
    kind, best = max(results, key=lambda result: (len(result[1].images), result[0].name == TRANSCRIPTION))
    covered = len(best.images) + len({problem.name for problem in best.problems})
    endings: tuple[str, ...] | None = getattr(tree, "sample_endings", None)
    count = sum(path.lower().endswith(endings) if endings else has_image_ending(path) for path in tree.paths)
    if not columns and covered < MIN_ANNOTATED * count:
        return None
    others = [other.name for other, annotations in results if other is not kind]
    note = f"The data could also be for {listed(others, conjunction='or')}; --task selects it." if others else ""
    return AnnotatedSource.of(tree, best, kind, [note] if note else [])


def _image_size(tree: FileTree) -> ImageSize:
    """Return what gives the size of an image; that of other samples is not known before they are read."""
    return (lambda path: (1, 1)) if kind_of(tree) else partial(image_size, tree)


def _renamed(annotations: Annotations, kind: str) -> Annotations:
    """Return annotations whose sentences call the samples as those of their kind are called."""
    if kind == IMAGE:
        return annotations
    problems = [replace(problem, reason=renamed(problem.reason, kind)) for problem in annotations.problems]
    return replace(annotations, problems=problems, notes=[renamed(note, kind) for note in annotations.notes])


def _nothing(tree: FileTree, task: str, annotations: Annotations | None) -> str:
    text = renamed(f"{tree.name} holds no images that are annotated for {task}", kind_of(tree) or IMAGE)
    problems = annotations.problems if annotations else ()
    if problems:
        text += f".\n{len(problems):,} annotations cannot be used, such as {problems[0].name}: {problems[0].reason}"
    return f"{text}; see docs/{task}.md for the forms that are read"
