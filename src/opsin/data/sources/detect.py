"""`open_source`: detect what is at a path by its content, and open it."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from opsin.base.errors import DataError
from opsin.base.file_types import HEAD, absent, identify
from opsin.base.path_words import has_sample_ending
from opsin.data.dataset import Dataset
from opsin.data.decode import PixelRange
from opsin.data.decode.formats import recognise
from opsin.data.items import Source
from opsin.data.sources import idx
from opsin.data.sources.annotated import AnnotatedSource, detect_annotations, read_as
from opsin.data.sources.archive import Members, open_members, stem
from opsin.data.sources.arrays import load_npz
from opsin.data.sources.digits import DIGITS, digits
from opsin.data.sources.disk import open_folder, open_table
from opsin.data.sources.file_tree import FileTree, FolderTree, MemberTree
from opsin.data.sources.folder import FolderWalk
from opsin.data.sources.folders_or_tables import has_class_folders
from opsin.data.sources.json_table import JSON, JSON_LINES
from opsin.data.sources.label_tables import tables_in
from opsin.data.sources.parquet import open_parquet
from opsin.data.sources.rows import Rows, open_rows, rows_in
from opsin.data.sources.sample_trees import sample_tree
from opsin.data.sources.shards import Shards, is_shard, open_shards
from opsin.data.sources.table import TABLE_ENDINGS
from opsin.data.sources.tars import OPENERS, Tar
from opsin.data.sources.texts import Texts, open_texts
from opsin.data.sources.unlabelled_part import divide_members, divide_walk
from opsin.data.sources.without_labels import without_labels
from opsin.data.sources.zips import Zip
from opsin.tasks.registry import CLASSIFICATION, SELF_SUPERVISED, find_task

SUPPORTED_SOURCES = (
    "'digits' (built in), a folder with one folder of images, recordings or texts for each class, a CSV or TSV table "
    "of paths or texts and labels, images with boxes, masks or numbers in files next to them, a zip or tar of any of "
    "these, an NPZ file, a folder with MNIST's files, a folder of Parquet files, or tar shards"
)
NPY = b"\x93NUMPY"
PARQUET = b"PAR1"
IDX = (b"\0\0\x08\x01", b"\0\0\x08\x03")
PARQUET_ENDINGS = (".parquet",)
TAR_ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
TAR_MARK = slice(257, 262)
"""Position of "ustar" in a tar."""


@dataclass(frozen=True)
class TaskRequest:
    """The task that the user names, or None, and the columns of a table that hold its targets and its inputs."""

    task: str | None = None
    columns: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()

    @property
    def needs_labels(self) -> bool:
        """Whether images without labels are of no use."""
        return self.task != SELF_SUPERVISED


ANY_TASK = TaskRequest()


def open_source(
    source: str | os.PathLike[str], pixel_range: PixelRange | None = None, request: TaskRequest = ANY_TASK
) -> Source | Dataset:
    """Open the training data at `source`: "digits", a file, a folder, or a pattern of shards (a{0..7}.tar, *.tar).

    Only names, labels and annotations are read. Arrays are read completely, with `pixel_range` as black and white.
    What the images are annotated for is detected, unless `request` names the task. Raise `DataError` if the source
    cannot be used.
    """
    opened = _open(source, pixel_range, request)
    if request.inputs and not isinstance(opened, Rows):
        raise DataError(f"{source}: --inputs names columns of a table; give a CSV, TSV or JSON table, or its folder")
    if request.task in (None, CLASSIFICATION) or isinstance(opened, AnnotatedSource | Rows):
        return opened
    if request.needs_labels:
        raise DataError(
            f"{source} holds classes of images, and nothing annotated for {request.task}; give a folder, an archive or "
            f"a table with one of the forms in docs/{request.task}.md, or leave --task {request.task} out"
        )
    return without_labels(opened, request.columns)


def _open(source: str | os.PathLike[str], pixel_range: PixelRange | None, request: TaskRequest) -> Source | Dataset:
    if request.task is not None:
        find_task(request.task)
    if source == DIGITS:
        return digits()
    path = Path(source)
    try:
        if os.path.isdir(path):
            return _open_folder(path, request)
        if os.path.isfile(path):
            return _open_file(path, pixel_range, request)
        if os.path.exists(path):
            raise DataError(f"{path} is neither a file nor a folder; give {SUPPORTED_SOURCES}")
        if matches := _matches(str(source)):
            return _open_many(matches, f"{source}", request)
    except PermissionError as error:
        raise DataError(f"{error.filename}: reading this folder is not permitted; change its permissions") from None
    if re.search(r"[*?\[{]", str(source)):
        raise DataError(f"{path}: there is no such file, nor any that matches this pattern; give {SUPPORTED_SOURCES}")
    raise DataError(f"{path}: there is no such folder or file; give {SUPPORTED_SOURCES}")


def _annotated(tree: FileTree, folders: Sequence[str], request: TaskRequest) -> AnnotatedSource | None:
    """Return the annotated samples of a tree, or None if they have classes; `folders` may be empty ones."""
    if request.task == CLASSIFICATION:
        return None
    samples = sample_tree(tree)
    if request.task is not None:
        return read_as(samples, request.task, request.columns)
    return detect_annotations(samples, has_class_folders(tree.paths, folders), request.columns)


def _open_folder(folder: Path, request: TaskRequest) -> Source | Dataset:
    idx_files = idx.find(folder, request.needs_labels)
    if idx_files:
        return idx.load_idx(folder, idx_files)
    walk = FolderWalk(folder)
    unlabelled = divide_walk(walk) if request.needs_labels else None
    for endings in (PARQUET_ENDINGS, TAR_ENDINGS):
        paths = [folder / path for path in walk.files if path.lower().endswith(endings)]
        if paths and all(path.lower().endswith((*endings, *COMPANION_ENDINGS)) for path in walk.files):
            return _open_many(paths, folder.resolve().name, request, folder)
    tree = FolderTree.of(folder, walk)
    if rows := _rows(tree, request):
        return rows
    if not any(map(has_sample_ending, walk.files)) and (texts := _texts(tree, request)):
        return texts
    if annotated := _annotated(tree, walk.folders, request):
        return replace(annotated, unlabelled=unlabelled)
    files = open_folder(folder, walk)
    if not files.items:
        raise DataError(_nothing(folder, walk))
    return replace(files, unlabelled=unlabelled)


COMPANION_ENDINGS = (".json", ".md", ".txt", ".yaml", ".yml", ".lock", ".gitattributes", "license")
"""Extensions of files that accompany Parquet files and shards."""


def _nothing(folder: Path, walk: FolderWalk) -> str:
    tables = tables_in(walk.files)
    if len(tables) > 1:
        return f"{folder} holds {len(tables)} tables ({', '.join(tables[:5])}); give the path of one of them"
    text = (
        f"{folder} holds no images in class folders; put each class's images into a "
        f"separate folder: {folder}/cat/1.jpg, {folder}/dog/1.jpg, …"
    )
    problems = [problem for problem in walk.problems if problem.name]
    detail = f"{problems[0].name}: {problems[0].reason}" if problems else next(iter(walk.notes()), "")
    return f"{text}\n{detail}" if detail else text


def _open_file(path: Path, pixel_range: PixelRange | None, request: TaskRequest) -> Source | Dataset:
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    table = path.suffix.lower() in TABLE_ENDINGS
    kind = absent(head) if any(head) else None
    if kind and (not table or head.lstrip().startswith((b"<", b"version "))):  # a table may begin with any text
        raise DataError(f"{path} is {kind.what}; {kind.advice}")
    if head.startswith(PARQUET):
        return open_parquet([path], path.parent, path.stem, request.needs_labels)
    if head.startswith(NPY) or path.suffix.lower() == ".npz":
        return load_npz(path, pixel_range, request.needs_labels)
    if head.startswith(b"PK"):
        members = Zip(path)
        arrays = members.paths and all(name.endswith(".npy") for name in members.paths)
        return load_npz(path, pixel_range, request.needs_labels) if arrays else _open_members(members, request)
    if head[TAR_MARK] == b"ustar" or head.startswith(tuple(OPENERS)) or path.suffix.lower() == ".tar":
        if head.startswith(IDX) or "ubyte" in path.name:
            raise DataError(f"{path} is one of MNIST's files; give the folder that it is in")
        tar = Tar(path)
        if is_shard(tar):
            return Shards(path.stem, [tar], [path.name], request.needs_labels)
        return _open_members(tar, request)
    if table or path.suffix.lower() in JSON_LINES + (JSON if request.inputs or rows_in(path.name, head) else ()):
        tree = FolderTree.of(path.parent, FolderWalk(path.parent)).with_table(path.name)
        if rows := _rows(replace(tree, paths=[path.name]), request):
            return rows
        if texts := _texts(replace(tree, paths=[path.name]), request):
            return texts
        if request.needs_labels and (annotated := _annotated(tree, (), request)):
            return annotated
        return open_table(path, request.needs_labels)
    raise DataError(f"{path} {_describe_other(path, head)}; give {SUPPORTED_SOURCES}")


def _texts(tree: FileTree, request: TaskRequest) -> Texts | None:
    """Return the texts of the tables in a tree; None if there are none, or another task is asked for."""
    if request.task not in (None, CLASSIFICATION) or len(request.columns) > 1:
        return None
    texts = open_texts(tree, request.columns)
    return None if texts and texts.have_numbers and request.task is None else texts


def _rows(tree: FileTree, request: TaskRequest) -> Rows | None:
    """Return the rows of tables whose columns are several inputs; None if there are none."""
    return open_rows(tree, request.inputs, request.columns, request.task)


def _open_members(members: Members, request: TaskRequest) -> Source:
    labelled, unlabelled = divide_members(members) if request.needs_labels else (members, None)
    tree = MemberTree(stem(members.path), labelled)
    if rows := _rows(tree, request):
        return rows
    if not any(map(has_sample_ending, tree.paths)) and (texts := _texts(tree, request)):
        return texts
    annotated = _annotated(tree, labelled.folders, request)
    return replace(annotated or open_members(labelled), unlabelled=unlabelled)


def _describe_other(path: Path, head: bytes) -> str:
    if not head:
        return "is an empty file"
    if head.startswith(IDX):
        return "is one of MNIST's files, not their folder"
    if recognise(head):
        return "is a single image; training needs many, of at least two classes"
    if (kind := identify(head)) and kind.advice and not kind.absent:
        return f"is {kind.what}, which holds no images ({kind.advice})"
    return "is not a file that can be trained on"


def _open_many(paths: Sequence[Path], name: str, request: TaskRequest, folder: Path | None = None) -> Source:
    """Open several shards or several Parquet files."""
    endings = {path.suffix.lower() for path in paths}
    are_tars = all(path.name.lower().endswith(TAR_ENDINGS) for path in paths)
    above = folder or Path(os.path.commonpath([path.parent for path in paths]))
    if endings == {".parquet"}:
        return open_parquet(paths, above, name, request.needs_labels)
    if are_tars:
        return open_shards(paths, above, name, request.needs_labels)
    raise DataError(
        f"{name} matches {len(paths):,} files ({', '.join(sorted(endings))}); give .tar shards or Parquet files"
    )


def _matches(pattern: str) -> list[Path]:
    """Return the files that match a pattern, with braces as in WebDataset: a-{000..127}.tar, {train,val}-*.tar."""
    matches = {
        match for expanded in _braces(pattern)
        for match in (glob.glob(expanded) if glob.has_magic(expanded) else [expanded])
    }  # fmt: skip
    return sorted(Path(match) for match in matches if os.path.isfile(match))


MAX_PATTERN_NAMES = 10**6


def _braces(pattern: str) -> list[str]:
    pieces = re.split(r"\{([^{}]*)\}", pattern)
    choices = [[piece] if number % 2 == 0 else _choices(piece) for number, piece in enumerate(pieces)]
    return ["".join(parts) for parts in product(*choices)]


def _choices(text: str) -> list[str]:
    numbers = re.fullmatch(r"(\d+)\.\.(\d+)", text)
    if not numbers:
        return text.split(",")
    first, last = int(numbers[1]), int(numbers[2])
    if last - first > MAX_PATTERN_NAMES:
        raise DataError(f"{{{text}}} stands for {last - first + 1:,} names; give at most {MAX_PATTERN_NAMES:,}")
    return [f"{number:0{len(numbers[1])}}" for number in range(first, last + 1)]
