"""Read images and labels from the arrays of an NPZ file, under their common names.

Nothing in the file is executed: arrays of Python objects are rejected.
"""

from __future__ import annotations

import warnings
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from tokenize import TokenError

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import DataError
from opsin.data.dataset import Dataset, LabeledImages, check_classes
from opsin.data.decode import PixelRange, infer_range
from opsin.data.decode.bit_depth import is_dark, to_uint8, value_range
from opsin.data.ingest.messages import value_text
from opsin.data.items import TEST, TRAIN, VALIDATION, printable
from opsin.data.sources.names import quoted_list

PIXEL_NAMES = ("x", "images", "image", "pixels", "data", "pictures", "features", "arr_0")
LABEL_NAMES = ("y", "labels", "label", "targets", "target", "classes", "arr_1")
SPLIT_NAMES = {TRAIN: ("train", ""), VALIDATION: ("val", "valid", "validation"), TEST: ("test",)}
CLASS_NAMES = ("class_names", "label_names", "names")

CHANNELS = (1, 3)
Arrays = dict[str, NDArray[np.generic]]


def load_npz(path: Path, pixel_range: PixelRange | None = None, needs_labels: bool = True) -> Dataset:
    """Return the data set of an NPZ file with the arrays x and y, or x_train, y_train, x_test, y_test, or the like.

    Images are N×H×W, N×H×W×C or N×C×H×W with 1 or 3 channels. Labels are numbers or text, N or N×1, or one-hot
    N×classes. Bytes (uint8) are used unchanged; of all other numbers, the values of `pixel_range` become 0 and 255. The
    default range is inferred from the values of all splits. Unless it `needs_labels`, images may come without labels,
    in an NPY file, too. Raise `DataError` for anything else.
    """
    arrays = _read(path, needs_labels)
    splits, notes = _splits(arrays, path, needs_labels)
    if TRAIN not in splits:
        raise DataError(f"{path} holds no training images; name the arrays x_train and y_train, or x and y")
    black_to_white, depth = _range({split: x for split, (x, _) in splits.items()}, path, pixel_range)
    pixels = {split: _pixels(x, path, black_to_white) for split, (x, _) in splits.items()}
    labels, classes = _numbers({split: y for split, (_, y) in splits.items()}, path)
    names = tuple(printable(name) for name in _names(arrays, classes))
    labelled = {split: LabeledImages(pixels[split], labels[split].astype(np.int32), names) for split in splits}
    if len({images.shape for images in labelled.values()}) > 1:
        raise DataError(f"{path}: the images of the splits differ in size; resize them to one size")
    if needs_labels:
        check_classes(labelled[TRAIN], str(path))
    return Dataset(
        path.stem, labelled[TRAIN], labelled.get(TEST), TEST in labelled, labelled.get(VALIDATION),
        pixel_range=black_to_white, depth=depth, notes=tuple(notes),
    )  # fmt: skip


def _range(
    arrays: Mapping[str, NDArray[np.generic]], path: Path, requested: PixelRange | None
) -> tuple[PixelRange | None, str]:
    """Return the values that become 0 and 255, and the sample type; None and "" for bytes.

    Raise `DataError` if the values are not real numbers.
    """
    kinds = sorted({str(array.dtype) for array in arrays.values()})
    if kinds == ["uint8"]:
        return None, ""
    if len({"byte" if kind == "uint8" else kind.strip("u0123456789") for kind in kinds}) > 1:
        raise DataError(
            f"{path}: the images of the splits have different types ({', '.join(kinds)}), and perhaps different "
            "scales; use the same type in all of them"
        )
    if any(array.dtype.kind not in "buif" for array in arrays.values()):
        raise DataError(
            f"{path}: the images are {', '.join(kinds)}; give real numbers, such as uint8 from 0 to 255, all "
            "images in one array"
        )
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise DataError(f"{path}: the images hold NaN or infinity; replace these values, or remove the images")
    extents = [value_range(array) for array in arrays.values()]
    low, high = min(each[0] for each in extents), max(each[1] for each in extents)
    if requested and (low < requested[0] or high > requested[1] or is_dark((low, high), requested)):
        minimum, maximum, black, white = (value_text(value) for value in (low, high, *requested))
        effect = "nearly black on this scale" if is_dark((low, high), requested) else "clipped if they lie outside"
        text = f"{path} has values from {minimum} to {maximum}; {black} is black and {white} white: they are {effect}"
        warnings.warn(text, UserWarning, stacklevel=2)
    return requested or infer_range(low, high, all("float" not in kind for kind in kinds)), ", ".join(kinds)


def _read(path: Path, needs_labels: bool) -> Arrays:
    """Return all arrays of the file by their lower-case names; the only one of an NPY file is x."""
    try:
        with open(path, "rb") as opened:
            file = np.load(opened, allow_pickle=False)
            if isinstance(file, np.ndarray):
                if not needs_labels:
                    return {"x": file}
                raise DataError(f"{path} is an array without labels; save both: numpy.savez(file, x=images, y=labels)")
            return {name.lower(): file[name] for name in file.files}
    except ValueError as error:
        if "pickle" in str(error).lower():
            raise DataError(
                f"{path} holds Python objects, which are not read because they could run any code; save the images as "
                "one array of numbers and the labels as one of numbers or text"
            ) from None
        raise DataError(f"{path} is damaged ({error}); save it again") from None
    except (SyntaxError, TokenError, TypeError, MemoryError):
        # NumPy parses headers as Python source, and reserves as much memory as they declare.
        raise DataError(f"{path} is damaged: an array has no valid header; save it again") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError) as error:
        raise DataError(f"{path} is damaged or cut short ({error}); save it again") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None


def _splits(
    arrays: Arrays, path: Path, needs_labels: bool
) -> tuple[dict[str, tuple[NDArray[np.generic], NDArray[np.generic]]], list[str]]:
    """Return pixels and labels of each split, and sentences about arrays that are left out.

    Arrays that name no split are training data. Unless it `needs_labels`, a split may have none; then all labels are
    zeros.
    """
    names = {
        split: tuple(_match_name(arrays, names, words) for names in (PIXEL_NAMES, LABEL_NAMES))
        for split, words in SPLIT_NAMES.items()
    }
    if not needs_labels and any(y is None for x, y in names.values() if x is not None):
        splits = {split: (arrays[x], np.zeros(arrays[x].shape[:1], int)) for split, (x, _) in names.items() if x}
        return splits, [f"'{y}' is not used, because other images have no labels." for _, y in names.values() if y]
    splits, notes = {}, []
    for split, (x, y) in names.items():
        if x is None or y is None:
            notes += _incomplete(arrays, split, x, y)
            continue
        pixels, labels = arrays[x], arrays[y]
        if not pixels.shape or not labels.shape or len(pixels) != len(labels):
            raise DataError(
                f"{path}: '{x}' is {_shape(pixels)} and '{y}' {_shape(labels)}; give a label for each image"
            )
        splits[split] = pixels, labels
    if not splits:
        raise DataError(
            f"{path} holds {quoted_list(arrays) or 'no arrays'}; name the images x and their labels y, or x_train, "
            "y_train, x_test and y_test"
        )
    return splits, notes


def _incomplete(arrays: Arrays, split: str, x: str | None, y: str | None) -> list[str]:
    """Return a sentence about a split with images `x` or labels `y` only; nothing if it has neither."""
    given, expected, what = (x, f"y_{split}", "labels") if x else (y, f"x_{split}", "images")
    if given is None:
        return []
    return [
        f"'{given}' ({_shape(arrays[given])}) is left out, as there are no {what} for it; name them '{expected}' to "
        f"use the {split} split."
    ]


def _match_name(arrays: Arrays, names: Sequence[str], words: Sequence[str]) -> str | None:
    """Return the array named by one of `names` and one of the `words` of a split, in either order."""
    spellings = [spelling for name in names for word in words for spelling in (f"{name}_{word}", f"{word}_{name}")]
    return next((name for name in (spelling.strip("_") for spelling in spellings) if name in arrays), None)


def _pixels(array: NDArray[np.generic], path: Path, pixel_range: PixelRange | None) -> NDArray[np.uint8]:
    """Return the images as uint8 N×C×H×W."""
    first, last = (array.ndim == 4 and array.shape[axis] in CHANNELS for axis in (1, 3))
    if array.size and array.ndim == 3:
        images = array[:, None]
    elif array.size and first != last:
        images = array if first else array.transpose(0, 3, 1, 2)
    else:
        ambiguity = ", in which the channels could be first or last" if first and last else ""
        raise DataError(
            f"{path}: the images are {_shape(array)}{ambiguity}; give N×height×width, N×height×width×channels or "
            "N×channels×height×width, with 1 or 3 channels"
        )
    images = np.ascontiguousarray(images)
    return to_uint8(images, pixel_range) if pixel_range else images.view(np.uint8)


def _numbers(labels: Mapping[str, NDArray[np.generic]], path: Path) -> tuple[dict[str, NDArray[np.int64]], list[str]]:
    """Return the labels as class indices, and the classes: sorted text, integers, or the columns of one-hot labels."""
    labels_by_split = {split: _one_each(array, path) for split, array in labels.items()}
    kinds = {"text" if array.dtype.kind in "US" else array.dtype.kind for array in labels_by_split.values()}
    if not (kinds == {"text"} or kinds <= set("biu")):
        types = ", ".join(sorted({str(array.dtype) for array in labels.values()}))
        raise DataError(f"{path}: the labels are {types}; give whole numbers or text, of the same kind in all splits")
    values, places = np.unique(np.concatenate([*labels_by_split.values()]), return_inverse=True)
    if kinds == {"text"}:
        classes = [value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in values]
    else:
        minimum, maximum = int(values[0]), int(values[-1])
        dense = minimum >= 0 and maximum < 2 * len(values)  # classes without images keep their numbers
        classes = [str(number) for number in (range(maximum + 1) if dense else values)]
        places = values[places].astype(np.int64) if dense else places
    ends = np.cumsum([len(array) for array in labels_by_split.values()])[:-1]
    return dict(zip(labels_by_split, np.split(places, ends), strict=True)), classes


def _one_each(array: NDArray[np.generic], path: Path) -> NDArray[np.generic]:
    """Return N labels from N, N×1, or one-hot N×classes."""
    if array.size == len(array):
        return array.reshape(-1)
    one_hot = array.ndim == 2 and array.dtype.kind in "biuf"
    if not one_hot or not (np.isin(array, (0, 1)).all() and (np.count_nonzero(array, axis=1) == 1).all()):
        raise DataError(f"{path}: the labels are {_shape(array)}, and not one-hot; give a label for each image")
    places: NDArray[np.intp] = array.argmax(axis=1)
    return places


def _names(arrays: Arrays, classes: list[str]) -> list[str]:
    """Return the names of the classes, if the file has names for numbered classes."""
    names = next((arrays[name] for name in CLASS_NAMES if name in arrays and arrays[name].dtype.kind == "U"), None)
    numbered = classes == [str(number) for number in range(len(classes))]
    if names is None or not numbered or names.size < len(classes):
        return classes
    return [str(name) for name in names.reshape(-1)]


def _shape(array: NDArray[np.generic]) -> str:
    return "×".join(map(str, array.shape)) or "one number"
