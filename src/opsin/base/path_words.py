"""Words in the names of files and folders: endings of images, recordings and texts, and splits."""

from __future__ import annotations

import re

TRAIN, VALIDATION, TEST = "train", "validation", "test"

SPLIT_WORDS = {
    TRAIN: ("train", "training", "trainset", "traindata", "trn"),
    VALIDATION: ("val", "valid", "validate", "validation", "valset", "dev", "develop", "development"),
    TEST: ("test", "testing", "testset", "tests", "tst", "eval", "evaluation"),
}
SPLITS = {word: split for split, words in SPLIT_WORDS.items() for word in words}
"""Words for splits, and the splits that they mean."""

IMAGE_ENDINGS = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".gif", ".webp", ".bmp", ".dib", ".tif", ".tiff",
    ".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx", ".avif", ".avifs",
    ".ico", ".cur", ".tga", ".dds", ".sgi", ".rgb", ".rgba", ".bw", ".pcx", ".qoi", ".ras",
)  # fmt: skip
PHOTO_ENDINGS = (".heic", ".heif")
"""Extensions of formats of cameras that are not supported: an annotated photo of this kind is a problem to report."""

OTHER_ENDINGS = (*PHOTO_ENDINGS, ".svg", ".pam", ".psd", ".jxl")
"""Extensions of image formats that are not supported, but mentioned in a receipt."""

SOUND_ENDINGS = (
    ".wav",
    ".wave",
    ".flac",
    ".ogg",
    ".oga",
    ".opus",
    ".mp3",
    ".aif",
    ".aiff",
    ".aifc",
    ".au",
    ".caf",
    ".w64",
    ".rf64",
)
"""Extensions of recordings of sound."""

VIDEO_ENDINGS = (
    ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".m2ts", ".mts", ".wmv", ".flv", ".3gp",
    ".ogv",
)  # fmt: skip
"""Extensions of videos."""

TEXT_ENDINGS = (".txt",)
"""Extensions of files that each hold a text."""

SIGNAL_ENDINGS = (".csv", ".tsv", ".npy", ".dat")
"""Extensions of files that each hold a signal, if they are in class folders."""


def has_sample_ending(name: str) -> bool:
    """Return whether a file name has the extension of an image, a recording or a video."""
    return has_image_ending(name) or name.lower().endswith(SOUND_ENDINGS + VIDEO_ENDINGS)


def has_image_ending(name: str) -> bool:
    """Return whether a file name has the extension of an image format, supported or not."""
    return name.lower().endswith(IMAGE_ENDINGS + OTHER_ENDINGS)


def is_image(path: str) -> bool:
    """Return whether the file at a path is an image or a photo by its extension, and is not hidden."""
    return path.lower().endswith(IMAGE_ENDINGS + PHOTO_ENDINGS) and is_visible(path)


def is_visible(path: str) -> bool:
    """Return whether neither the file nor one of its folders is hidden."""
    return not any(part.startswith(".") or part == "__MACOSX" for part in path.split("/"))


def split_named(name: str) -> str:
    """Return the split that a folder or a value is named after: "Train", "val2017", "test_set"; "" for other names."""
    return SPLITS.get(re.sub(r"[\d_\-. ]+(set|data|images|split)?$", "", name.strip().lower()), "")


def splits_mentioned(name: str) -> list[str]:
    """Return the splits that a name mentions, in order: "train-00001.tar", "instances_val2017.json"."""
    return [SPLITS[word] for word in re.split(r"[\W\d_]+", name.lower()) if word in SPLITS]


def split_mentioned(name: str) -> str:
    """Return the first split that a name mentions; "" if it mentions none."""
    return next(iter(splits_mentioned(name)), "")


def split_of_file(path: str) -> str:
    """Return the split that a file is named after: train.csv, reviews_test.tsv, test/reviews.csv; "" for others."""
    folder, _, name = path.rpartition("/")
    stem = name.rpartition(".")[0]
    return split_named(stem) or split_mentioned(stem) or split_named(folder.rpartition("/")[2])
