"""What `opsin train` and `opsin runs` take. Nothing heavy is imported here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from opsin.apps.cli.lazy import command
from opsin.base.errors import UsageError

PLAN, OPTIMIZATION, SURVIVE, OUT, MACHINE = "What to train", "How to train", "Going on", "What comes out", "The machine"
LARGEST = 4096
"""The side of the largest images that are asked for on purpose."""
KEPT = {"resume", "threads", "report"}
"""The options that a run takes when it goes on."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the command line says; None: nothing."""

    data: str | None = None
    network: str | None = None
    pretrained: bool | None = None
    size: int | None = None
    budget: str | None = None
    memory: str | None = None
    epochs: int | None = None
    batch: int | None = None
    learning_rate: float | None = None
    optimizer: str | None = None
    momentum: float | None = None
    weight_decay: float | None = None
    schedule: str | None = None
    flip: bool | None = None
    seed: int = 0
    augment: str | None = None
    ema: float | None = None
    smoothing: float | None = None
    class_weights: bool | None = None
    patience: int | None = None
    run: str | None = None
    resume: str | None = None
    checkpoint_minutes: float = 5.0
    out: str | None = None
    report: bool = True
    tensorboard: bool = False
    threads: int | None = None
    mirrored: bool = False
    exact: bool = False
    cache_size: str = "5GB"
    pixel_range: tuple[float, float] | None = None
    plan_only: bool = False
    search: bool = True


Data = Annotated[
    str | None,
    typer.Argument(
        metavar="DATA",
        show_default=False,
        help="Labelled images: 'digits' (built in), a folder of class folders, a zip of it, a CSV, IDX, NPZ, …",
    ),
]
Network = Annotated[
    str | None, typer.Option(metavar="NAME", help="The network's name.", rich_help_panel=PLAN, show_default=False)
]
Pretrained = Annotated[
    bool | None,
    typer.Option(
        "--pretrained/--from-scratch",
        help="Begin with published weights, or with none.",
        rich_help_panel=PLAN,
        show_default=False,
    ),
]
Size = Annotated[
    int | None,
    typer.Option(
        min=1, max=LARGEST, metavar="N", help="Bring images to N × N.", rich_help_panel=PLAN, show_default=False
    ),
]
PixelRange = Annotated[
    tuple[float, float] | None,
    typer.Option(
        metavar="BLACK WHITE",
        help="The values that become black and white in images of more than 8 bits, such as 0 4095.",
        rich_help_panel=PLAN,
        show_default="by all images",
    ),
]
Budget = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="How long all of it may take, such as 3min or 1h.",
        rich_help_panel=PLAN,
        show_default="10min",
    ),
]
Memory = Annotated[
    str | None, typer.Option(metavar="SIZE", help="The memory it may need, such as 2GB.", rich_help_panel=PLAN)
]
PlanOnly = Annotated[bool, typer.Option("--plan-only", help="Say what would be done, and end.", rich_help_panel=PLAN)]
Search = Annotated[
    bool, typer.Option("--search/--no-search", help="Try several recipes for a short time first.", rich_help_panel=PLAN)
]
Epochs = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="N", help="How often every image is seen.", rich_help_panel=OPTIMIZATION, show_default=False
    ),
]
Batch = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Images in one step.", rich_help_panel=OPTIMIZATION, show_default=False),
]
LearningRate = Annotated[
    float | None,
    typer.Option(
        metavar="RATE", help="The highest rate of the schedule.", rich_help_panel=OPTIMIZATION, show_default=False
    ),
]
Optimizer = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="gd (all images in every step), sgd, adam, adamw, adagrad or rmsprop.",
        rich_help_panel=OPTIMIZATION,
        show_default=False,
    ),
]
Momentum = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE", help="Of gd, sgd and rmsprop, such as 0.9.", rich_help_panel=OPTIMIZATION, show_default=False
    ),
]
WeightDecay = Annotated[
    float | None,
    typer.Option(
        metavar="NUMBER", help="How strongly weights are pulled towards 0.", rich_help_panel=OPTIMIZATION,
        show_default=False,
    ),
]  # fmt: skip
Schedule = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="How the learning rate changes: one_cycle, cosine, step or constant.",
        rich_help_panel=OPTIMIZATION,
        show_default=False,
    ),
]
Flip = Annotated[
    bool | None,
    typer.Option(
        "--flip/--no-flip", help="Mirror images at random, or never.", rich_help_panel=OPTIMIZATION, show_default=False
    ),
]
Seed = Annotated[int, typer.Option(min=0, metavar="N", help="Same seed and data: same bits.", rich_help_panel=PLAN)]
Augment = Annotated[
    str | None,
    typer.Option(
        metavar="LEVEL",
        help="Random changes of the images: none, light or strong.",
        rich_help_panel=OPTIMIZATION,
        show_default=False,
    ),
]
Ema = Annotated[
    float | None,
    typer.Option(
        metavar="DECAY", help="Keep the moving average of the parameters, such as 0.999.", rich_help_panel=OPTIMIZATION
    ),
]
Smoothing = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE", help="Spread this share of each label over all classes.", rich_help_panel=OPTIMIZATION
    ),
]
Mirrored = Annotated[
    bool,
    typer.Option("--mirrored", help="Answer with the mean over an image and its mirror image.", rich_help_panel=PLAN),
]
ClassWeights = Annotated[
    bool | None,
    typer.Option(
        "--class-weights/--no-class-weights",
        help="Weight rare classes more, or leave them as they are; very uneven classes are balanced by default.",
        rich_help_panel=OPTIMIZATION,
        show_default=False,
    ),
]
Patience = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        rich_help_panel=OPTIMIZATION,
        help="Stop after N epochs without a better result on validation, and keep the best model.",
    ),
]
Run = Annotated[
    str | None,
    typer.Option(
        metavar="FOLDER", help="A new folder for the run.", rich_help_panel=SURVIVE, show_default="runs/DATA-NUMBER"
    ),
]
Resume = Annotated[
    str | None,
    typer.Option(metavar="RUN", help="Go on with the run in this folder, however it ended.", rich_help_panel=SURVIVE),
]
CheckpointMinutes = Annotated[
    float,
    typer.Option(
        min=0,
        metavar="MINUTES",
        help="Between two checkpoints; each epoch makes one, too.",
        rich_help_panel=SURVIVE,
    ),
]
Out = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="Save the model here, too.", rich_help_panel=OUT, show_default="in the run"),
]
Report = Annotated[
    bool, typer.Option("--report/--no-report", help="Write an account of the model.", rich_help_panel=OUT)
]
Tensorboard = Annotated[
    bool, typer.Option("--tensorboard", help="Write curves for TensorBoard, too.", rich_help_panel=OUT)
]
Threads = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="N", help="Threads to compute with.", rich_help_panel=MACHINE, show_default="every core"
    ),
]
Exact = Annotated[
    bool,
    typer.Option("--exact", help="Keep to algorithms without Winograd's rounding.", rich_help_panel=MACHINE),
]
CacheSize = Annotated[
    str,
    typer.Option(
        metavar="SIZE", help="What decoded images may take on disk, of all data sets.", rich_help_panel=MACHINE
    ),
]


def train(
    context: typer.Context,
    data: Data = None,
    network: Network = None,
    pretrained: Pretrained = None,
    size: Size = None,
    pixel_range: PixelRange = None,
    budget: Budget = None,
    memory: Memory = None,
    plan_only: PlanOnly = False,
    search: Search = True,
    epochs: Epochs = None,
    batch: Batch = None,
    learning_rate: LearningRate = None,
    optimizer: Optimizer = None,
    momentum: Momentum = None,
    weight_decay: WeightDecay = None,
    schedule: Schedule = None,
    flip: Flip = None,
    seed: Seed = 0,
    augment: Augment = None,
    ema: Ema = None,
    smoothing: Smoothing = None,
    mirrored: Mirrored = False,
    class_weights: ClassWeights = None,
    patience: Patience = None,
    run: Run = None,
    resume: Resume = None,
    checkpoint_minutes: CheckpointMinutes = 5.0,
    out: Out = None,
    report: Report = True,
    tensorboard: Tensorboard = False,
    threads: Threads = None,
    exact: Exact = False,
    cache_size: CacheSize = "5GB",
) -> int:
    """Train a network and save it as a model file. What is not asked for is chosen by the images and this machine.

    Ctrl-C ends the training early and keeps a model; --resume goes on.
    """
    options = Options(**context.params)
    if resume:
        _check_resuming(context)
    elif data is None:
        raise UsageError("Missing argument 'DATA'.\n`opsin train --help` shows what it takes.")
    return command("train")(options)


def runs(
    folders: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FOLDER] | RUN RUN", help="A folder of runs, or two runs to compare.", show_default="runs"
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> int:
    """List what has been trained here, or compare two runs."""
    return command("runs")(folders or [], json)


def _check_resuming(context: typer.Context) -> None:
    """`UsageError` where a run that goes on is asked for something else than it began with."""
    for name in context.params:
        source = context.get_parameter_source(name)
        if name not in KEPT and source is not None and source.name == "COMMANDLINE":
            what = "DATA" if name == "data" else f"--{name.replace('_', '-')}"
            raise UsageError(f"a run goes on as it began; leave out {what}, or start a new run with it")
