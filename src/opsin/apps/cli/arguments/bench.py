"""The arguments of `opsin bench`."""

from __future__ import annotations

from typing import Annotated

import typer

from opsin.apps.cli.arguments.shared import Threads
from opsin.apps.cli.lazy import command


def bench(
    networks: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NETWORK[:BATCH]]…",
            show_default="a standard selection",
            help="Names of networks, each with its own batches if wanted: resnet18 lenet5:1,64.",
        ),
    ] = None,
    train: Annotated[bool, typer.Option("--train", help="Measure training steps only.")] = False,
    infer: Annotated[bool, typer.Option("--infer", help="Measure inference only.")] = False,
    batch: Annotated[
        str | None,
        typer.Option(metavar="N,N", show_default="16 for training, 1 for inference", help="Images per step."),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", show_default="that of the network", help="Height and width of the images."),
    ] = None,
    threads: Threads = None,
    rounds: Annotated[int, typer.Option(min=1, metavar="N", help="Number of rounds; all libraries run in each.")] = 9,
    seconds: Annotated[
        float, typer.Option(min=0.01, metavar="S", help="Time per library and round; at least one call.")
    ] = 0.5,
    peer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=PYTHON",
            show_default=False,
            help="The Python interpreter that has pytorch, onnxruntime, openvino, mnn, tensorflow or jax. May be "
            "repeated. Libraries that are installed here are measured without it.",
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            metavar="float32|bf16|int8",
            show_default="bf16 if the processor multiplies it",
            help="The lowest precision: bf16 and int8 measure Opsin and other libraries in both, in separate tables.",
        ),
    ] = None,
    scaling: Annotated[
        bool,
        typer.Option(
            "--scaling", help="Measure how Opsin's time grows with batch, image size, depth and threads instead."
        ),
    ] = False,
    json: Annotated[str | None, typer.Option("--json", metavar="FILE", help="Also write all results as JSON.")] = None,
    markdown: Annotated[str | None, typer.Option(metavar="FILE", help="Also write the tables in Markdown.")] = None,
    plot: Annotated[str | None, typer.Option(metavar="FILE.svg", help="Also draw the results.")] = None,
) -> int:
    """Compare Opsin's speed with PyTorch, ONNX Runtime, OpenVINO, MNN, TensorFlow and JAX.

    A training step is SGD with momentum. Classifiers minimize the cross-entropy; segmentation networks, detectors and
    regression networks minimize the mean squared error of every output against fixed random targets, the same for all
    libraries. TensorFlow and JAX are compared on classifiers only.
    """
    tasks = [task for task, only in (("train", train), ("infer", infer)) if only]
    return command("bench")(
        networks or [],
        tasks,
        batch,
        size,
        threads,
        rounds,
        seconds,
        peer or [],
        precision,
        scaling,
        (json, markdown, plot),
    )
