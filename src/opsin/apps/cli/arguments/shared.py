"""Arguments and options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

from opsin.base.option_fields import PRECISION_HELP
from opsin.base.units import parse_bytes

CACHE_SIZE = "5GB"
"""The default of --cache-size as the help shows it: `opsin.data.store.CACHE_SIZE`."""

CACHE_SIZE_HELP = "Disk space for decoded images of all datasets, such as 500MB; 0 keeps none."
PIXEL_RANGE_HELP = "The values that become black and white in images of more than 8 bits, such as 0 4095."
PIXEL_RANGE_DEFAULT = "from all images"

TASK_HELP = (
    "The task: classification, multilabel, regression, segmentation, detection, identity, self-supervised or "
    "transcription."
)
TASK_DEFAULT = "what the images are annotated for"
TARGET_HELP = "The columns of a table that hold the targets, separated by commas."
INPUTS_HELP = "The columns of a table that are inputs together: paths of files, texts, numbers."
INPUTS_DEFAULT = "an image, and a question if there is one"

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
LabeledData = Annotated[
    str, typer.Argument(metavar="DATA", help="Labelled images, as for `opsin train`.", show_default=False)
]
ModelFile = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A model file, an ONNX file, or a network with published weights, such as efficientnet_lite0.",
    ),
]
NetworkOrModel = Annotated[
    str, typer.Argument(metavar="NETWORK|MODEL", help="The name of a network, such as lenet5, or a model file.")
]
InputSize = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE", show_default="that of the network", help="Channels, height and width, such as 3x224x224."
    ),
]
Side = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", show_default="from the images", help="Resize images to N × N pixels."),
]
Threads = Annotated[int | None, typer.Option(min=1, metavar="N", show_default="every core", help="Number of threads.")]
Winograd = Annotated[
    bool,
    typer.Option(
        "--winograd/--no-winograd",
        help="Allow Winograd's algorithm for convolutions, which rounds slightly differently.",
    ),
]
Precision = Annotated[str, typer.Option("--precision", metavar="NAME", help=PRECISION_HELP)]
PredictionPrecision = Annotated[
    str,
    typer.Option(
        "--precision",
        metavar="NAME",
        help="float32; bf16, which stores feature maps in half the memory; or int8, which multiplies 8-bit integers.",
    ),
]
Portable = Annotated[
    bool, typer.Option("--portable", help="Results bit-identical to those of an exported model; slower.")
]
Calibrate = Annotated[
    str | None,
    typer.Option(
        "--calibrate",
        metavar="FOLDER",
        show_default="in the model file",
        help="With int8: observe the ranges of the network's results on these images.",
    ),
]
MaxDrop = Annotated[
    float | None,
    typer.Option(
        "--max-drop",
        min=0,
        metavar="POINTS",
        show_default="1",
        help="With int8: the largest loss on held-out images in percentage points; more is refused.",
    ),
]
Infer = Annotated[bool, typer.Option("--infer", help="Use a prediction instead of a training step.")]
CacheSize = Annotated[
    int | None, typer.Option(metavar="SIZE", parser=parse_bytes, show_default=CACHE_SIZE, help=CACHE_SIZE_HELP)
]
Task = Annotated[str | None, typer.Option("--task", metavar="TASK", show_default=TASK_DEFAULT, help=TASK_HELP)]
Target = Annotated[
    str | None, typer.Option("--target", metavar="COLUMN,…", show_default="found by their values", help=TARGET_HELP)
]
Inputs = Annotated[
    str | None, typer.Option("--inputs", metavar="COLUMN,…", show_default=INPUTS_DEFAULT, help=INPUTS_HELP)
]
PixelRange = Annotated[
    tuple[float, float] | None,
    typer.Option(metavar="BLACK WHITE", show_default=PIXEL_RANGE_DEFAULT, help=PIXEL_RANGE_HELP),
]
