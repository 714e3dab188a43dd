"""The arguments of `opsin predict` and `opsin evaluate`."""

from __future__ import annotations

from typing import Annotated

import typer

from opsin.apps.cli.arguments.shared import (
    Calibrate,
    Json,
    LabeledData,
    MaxDrop,
    ModelFile,
    Portable,
    PredictionPrecision,
    Target,
)
from opsin.apps.cli.lazy import command


def predict(
    model: ModelFile,
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGE",
            help="Image files, folders of images, - for standard input, a video, a camera: /dev/video0, or microphone.",
        ),
    ],
    top: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            show_default="5 labels, all objects",
            help="Number of most likely labels, or of objects, for each image.",
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(metavar="FOLDER|VIDEO", help="Also write the images with the answers drawn on them, and masks."),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Keep up with a folder that images are written to, or with sound.")
    ] = False,
    idle: Annotated[
        float | None,
        typer.Option(min=0, metavar="SECONDS", show_default="never", help="End --follow after a time without input."),
    ] = None,
    rate: Annotated[
        int | None,
        typer.Option(metavar="HZ", show_default="the model's", help="With --follow: samples per second of raw sound."),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, metavar="P", show_default="0.8", help="With --follow: the probability that makes a word."
        ),
    ] = None,
    hold: Annotated[
        float | None,
        typer.Option(
            min=0, metavar="SECONDS", show_default="0.5", help="With --follow: the pause before the same word again."
        ),
    ] = None,
    precision: PredictionPrecision = "float32",
    portable: Portable = False,
    calibrate: Calibrate = None,
    max_drop: MaxDrop = None,
    json: Json = False,
) -> int:
    """Ask a model about images: print labels with probabilities or "don't know", objects, areas or numbers."""
    arithmetic = precision, portable, calibrate, max_drop
    return command("predict")(model, images, json, top, out, follow, idle, arithmetic, (rate, threshold, hold))


def evaluate(
    model: ModelFile,
    data: LabeledData,
    json: Json = False,
    target: Target = None,
    report: Annotated[
        str | None,
        typer.Option(metavar="FILE.html", help="Also write the full report, an HTML page; takes about a minute."),
    ] = None,
    precision: PredictionPrecision = "float32",
    calibrate: Calibrate = None,
    layers: Annotated[
        bool, typer.Option("--layers", help="With int8: what each layer costs alone, on up to 500 images.")
    ] = False,
    pairs: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Identities: a file of the pairs of images to compare, as LFW has it."),
    ] = None,
) -> int:
    """Measure a model on labelled or annotated images that it was not trained on."""
    arithmetic = precision, False, calibrate
    return command("evaluate")(model, data, json, report, target, arithmetic, layers, pairs)


def see(
    model: ModelFile,
    images: Annotated[list[str], typer.Argument(metavar="IMAGE", help="Image files, or folders of images.")],
    out: Annotated[str, typer.Option(metavar="FILE.html", help="The page to write.")] = "see.html",
    label: Annotated[
        str | None,
        typer.Option(metavar="NAME", show_default="each image's answer", help="The label whose score is explained."),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(metavar="DATA", help="Labelled images, for the map of images and what excites each channel."),
    ] = None,
    replay: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="The folder of a run trained with --replay, to show how the network learned."),
    ] = None,
) -> int:
    """Show what a network computes for images, from the kernel to the gradient, as one page that needs no network."""
    return command("see")(model, images, out, label, data, replay)
