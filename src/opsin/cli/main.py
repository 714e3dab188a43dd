"""The front door: what the commands are called, what they take, and how they end.

Nothing heavy is imported here; a command's module is loaded when the command is called.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from opsin import __version__
from opsin.cli import data as data_commands
from opsin.cli.lazy import command
from opsin.cli.output import INTERRUPTED, print_error
from opsin.errors import OpsinError

app = typer.Typer(
    name="opsin",
    help="Convolutional networks for the computer you have: train, measure and use them without a GPU.",
    epilog="Begin with: opsin train digits",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
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
def train(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="'digits' (built in), a folder with MNIST's files, or a folder with one folder of pictures per class.",
        ),
    ],
    network: Annotated[str, typer.Option(metavar="NAME", help="The network's name.")] = "lenet5",
    epochs: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", show_default="by the data's size", help="How often every picture is seen."),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, metavar="N", help="Pictures in one training step.")] = 64,
    learning_rate: Annotated[
        float, typer.Option(metavar="RATE", help="The highest rate of the one-cycle schedule.")
    ] = 0.004,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="The same seed and data give the same bits.")] = 0,
    threads: Annotated[
        int | None, typer.Option(min=1, metavar="N", show_default="every core", help="Threads to compute with.")
    ] = None,
    out: Annotated[
        str | None, typer.Option(show_default="DATA.opsin", metavar="FILE", help="Where the model is saved.")
    ] = None,
) -> int:
    """Train a network and save it as a model file. Ctrl-C ends the training early and keeps the model."""
    return command("train")(data, network, epochs, batch, learning_rate, seed, threads, out)


@app.command()
def predict(
    model: ModelFile,
    pictures: Annotated[
        list[str],
        typer.Argument(metavar="PICTURE", help="Picture files, folders of them, or - for one on standard input."),
    ],
    json: AsJson = False,
) -> int:
    """Say what a model sees in pictures: the label, its probability, and the runners-up."""
    return command("predict")(model, pictures, json)


@app.command()
def evaluate(
    model: ModelFile,
    data: Annotated[str, typer.Argument(metavar="DATA", help="Labelled pictures, as `opsin train` takes them.")],
    json: AsJson = False,
) -> int:
    """Measure a model on labelled pictures that it was not trained on."""
    return command("evaluate")(model, data, json)


@app.command()
def describe(
    network_or_model: Annotated[
        str, typer.Argument(metavar="NETWORK|MODEL", help="A network's name, such as lenet5, or a model file.")
    ],
    input: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE", show_default="what it was made for", help="Channels, rows and columns: 3x224x224."
        ),
    ] = None,
    classes: Annotated[
        int | None,
        typer.Option(metavar="N", show_default="what it was made for", help="How many classes it tells apart."),
    ] = None,
    json: AsJson = False,
    diagram: Annotated[
        str | None, typer.Option(metavar="FILE.svg", help="Draw the architecture, too, as a picture in this file.")
    ] = None,
) -> int:
    """Show the layers of a network: shapes, parameters, multiply-adds, receptive fields, memory."""
    return command("describe")(network_or_model, input, classes, json, diagram)


def run(arguments: Sequence[str]) -> int:
    """Does what the command line says; the exit code: 0, 1 for a failure, 2 for a request that makes no sense."""
    try:
        code = app(arguments, prog_name="opsin", standalone_mode=False)
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
        print_error("there is not enough memory; try a smaller batch, or smaller pictures")
        return 1
    if code == INTERRUPTED:
        print_error("interrupted")
    return code if isinstance(code, int) else 0


def main() -> None:
    """The console script."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a name that cannot be shown ends no run
    sys.exit(run(sys.argv[1:]))
