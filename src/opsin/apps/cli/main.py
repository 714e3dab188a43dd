"""The front door: what the commands are called, what they take, and how they end.

Nothing heavy is imported here; a command's module is loaded when the command is called.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from typing import Annotated

import typer

from opsin import __version__
from opsin.apps.cli import data as data_commands
from opsin.apps.cli import inspection, train_options
from opsin.apps.cli.lazy import command
from opsin.apps.cli.output import INTERRUPTED, print_error, print_warning
from opsin.apps.cli.streams import OutputLost, prepare
from opsin.apps.cli.terminal import is_plain, is_wide, settle_size
from opsin.base.errors import OpsinError

BROKEN_PIPE = 141
"""The exit code where nobody reads the output any more: 128 + the number of SIGPIPE, as shells have it."""

app = typer.Typer(
    name="opsin",
    help="Convolutional networks for the computer you have: train, measure and use them without a GPU.",
    epilog="Begin with: opsin train digits",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(train_options.train)
app.command()(train_options.runs)
app.command()(inspection.describe)
app.command()(inspection.profile)
app.command()(inspection.tune)
app.add_typer(data_commands.app)

ModelFile = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A model file, an ONNX file, or the name of a network with published weights, such as efficientnet_lite0.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def _version(wanted: bool) -> None:
    if wanted:
        print(f"opsin {__version__}")
        raise typer.Exit


@app.callback()
def opsin(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


@app.command()
def predict(
    model: ModelFile,
    images: Annotated[
        list[str],
        typer.Argument(metavar="IMAGE", help="Image files, folders of them, or - for one on standard input."),
    ],
    top: Annotated[int, typer.Option(min=1, metavar="N", help="So many labels for each image, the likeliest.")] = 5,
    json: AsJson = False,
) -> int:
    """Say what a model sees in images: the label, its probability and the runners-up, or that it does not know."""
    return command("predict")(model, images, json, top)


@app.command()
def evaluate(
    model: ModelFile,
    data: Annotated[str, typer.Argument(metavar="DATA", help="Labelled images, as `opsin train` takes them.")],
    json: AsJson = False,
    report: Annotated[
        str | None,
        typer.Option(metavar="FILE.html", help="Make the whole report, too: a page with images, in about a minute."),
    ] = None,
) -> int:
    """Measure a model on labelled images that it was not trained on."""
    return command("evaluate")(model, data, json, report)


@app.command()
def bench(
    networks: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NETWORK[:BATCH]]…",
            show_default="the usual ones, with usual batches",
            help="Names of networks, each with its own batches where --batch does not suit: resnet18 lenet5:1,64.",
        ),
    ] = None,
    train: Annotated[bool, typer.Option("--train", help="Training steps only.")] = False,
    infer: Annotated[bool, typer.Option("--infer", help="Inference only.")] = False,
    batch: Annotated[
        str | None,
        typer.Option(metavar="N,N", show_default="16 in train_options, 1 in inference", help="Images at once."),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", show_default="what each was made for", help="Rows and columns of an image."),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, metavar="N", show_default="every core", help="Threads, the same for all.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, metavar="N", help="How many turns everybody has.")] = 9,
    seconds: Annotated[
        float, typer.Option(min=0.01, metavar="S", help="How long a turn takes, at least a call.")
    ] = 0.5,
    peer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=PYTHON",
            show_default=False,
            help="The interpreter that has pytorch, onnxruntime, openvino, mnn, tensorflow or jax. May be repeated. "
            "Others are compared if they are installed here.",
        ),
    ] = None,
    scaling: Annotated[
        bool,
        typer.Option(
            "--scaling", help="Instead: how Opsin's time grows with batch, size of images, depth, and fewer threads."
        ),
    ] = False,
    json: Annotated[str | None, typer.Option("--json", metavar="FILE", help="Write all figures, too.")] = None,
    markdown: Annotated[str | None, typer.Option(metavar="FILE", help="Write tables in Markdown, too.")] = None,
    plot: Annotated[str | None, typer.Option(metavar="FILE.svg", help="Draw the results, too.")] = None,
) -> int:
    """Measure Opsin's speed against PyTorch, ONNX Runtime, OpenVINO, MNN, TensorFlow and JAX, in turns."""
    tasks = [task for task, wanted in (("train", train), ("infer", infer)) if wanted]
    return command("bench")(
        networks or [], tasks, batch, size, threads, rounds, seconds, peer or [], scaling, (json, markdown, plot)
    )


def run(arguments: Sequence[str]) -> int:
    """Does what the command line says; the exit code: 0, 1 for a failure, 2 for a request that makes no sense."""
    settle_size()
    app.rich_markup_mode = "rich" if is_wide() else None
    try:
        code = app(arguments, prog_name="opsin", standalone_mode=False, color=False if is_plain() else None)
    except typer.TyperException as error:
        if not error.format_message():  # `opsin` alone, which has shown its help
            return 0
        command = getattr(getattr(error, "ctx", None), "command_path", "opsin")
        print_error(f"{error.format_message()}\n`{command} --help` shows what it takes.")
        return error.exit_code
    except OpsinError as error:
        print_error(str(error))
        return error.exit_code
    except MemoryError:
        print_error("there is not enough memory; try a smaller batch, or smaller images")
        return 1
    if code == INTERRUPTED:
        print_error("interrupted")
    return code if isinstance(code, int) else 0


def main() -> None:
    """The console script."""
    prepare()
    warnings.showwarning = lambda message, *_: print_warning(str(message))  # what it says, without lines of the program
    try:
        code = run(sys.argv[1:])
        sys.stdout.flush()
    except OutputLost as lost:
        code = BROKEN_PIPE if lost.quiet else 1
        if not lost.quiet:
            print_error(f"the output cannot be written: {lost}; make room, or send it elsewhere")
    except KeyboardInterrupt:
        code = INTERRUPTED
        print_error("interrupted")
    sys.exit(code)
