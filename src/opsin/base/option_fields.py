"""The options of training, each declared in one place. Nothing heavy is imported here: `opsin train --help` reads it.

The command line, the parameters of `ImageClassifier` and the table in `docs/training.md` follow from these fields. To
add an option, add a field here and use it where the plan is made; then run the tests, which print the new table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from typing import Any

from opsin.base.units import parse_bytes, parse_seconds

MAX_SIZE = 4096
"""The largest side of images, in pixels, that can be requested."""

MODEL, PLANNING, OPTIMIZATION, MACHINE = "Network and images", "Planning", "Optimization", "Machine"
"""Groups of options in the help."""

PRECISION_HELP = (
    "Precision of feature maps: float32, or bf16, which takes half the memory and is multiplied faster by some "
    "processors."
)

TRAIN_PRECISION_HELP = (
    f"{PRECISION_HELP[:-1]}; auto takes bf16 if a short training in both shows that it is faster and as good."
)

LEARNING_CURVE_HELP = (
    "Annotated images: train twice more, on a quarter and half of them; the report says what more images would bring."
)

INPUT_OPTIONS_HELP = (
    "How recordings, texts, signals and clips are read, such as rate=8000,seconds=2 or unit=bytes,length=200."
)


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Option:
    """How one field appears as an option.

    `shown_default` describes a default of None. `minimum` and `maximum` bound a number. `parse` turns the text of
    the command line into the field's value. `flags` replaces the flags of a boolean, "--name/--no-name" or, if the
    default is False, "--name". With `zoo_only`, the option is for networks of the zoo, not for a layer of the user.
    """

    help: str
    group: str
    metavar: str | None = None
    shown_default: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    parse: Callable[[str], Any] | None = None
    flags: str | None = None
    zoo_only: bool = False


def option(default: Any, help: str, group: str, metavar: str | None = None, **presentation: Any) -> Any:
    """Return a dataclass field that is an option; `presentation` are further attributes of `Option`."""
    return field(default=default, metadata={"option": Option(help=help, group=group, metavar=metavar, **presentation)})


def declared_options(options: type[Any]) -> Iterator[tuple[str, Any, Option]]:
    """Yield name, default and `Option` of each field of a dataclass that is an option."""
    for option_field in fields(options):
        if "option" in option_field.metadata:
            yield option_field.name, option_field.default, option_field.metadata["option"]


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class OptionFields:
    """The options of a training; None: Opsin chooses. `budget` is in seconds, `memory` in bytes.

    Only subclasses have objects. Methods that are not needed are not generated, because that takes time in every help.
    """

    network: str | None = option(None, "Name of the network, as `opsin describe` knows it.", MODEL, "NAME")
    pretrained: bool | None = option(
        None, "Start from published weights, or from random ones.", MODEL, flags="--pretrained/--from-scratch",
        zoo_only=True,
    )  # fmt: skip
    weights: str | None = option(
        None, "Start from the weights of a model file or a run, for this task or another one.", MODEL, "MODEL",
        zoo_only=True,
    )  # fmt: skip
    freeze: bool = option(
        False, "Annotated images: keep the layers with trained weights as they are; with --augment none, their "
        "outputs are computed once.", MODEL, zoo_only=True,
    )  # fmt: skip
    size: int | None = option(None, "Resize images to N × N pixels.", MODEL, "N", minimum=1, maximum=MAX_SIZE)
    budget: float | None = option(
        None, "Time limit for everything, report included, such as 3min or 1h.", PLANNING, "TIME",
        shown_default="10min", parse=parse_seconds,
    )  # fmt: skip
    memory: float | None = option(
        None, "Memory limit, such as 2GB.", PLANNING, "SIZE", shown_default="what is available", parse=parse_bytes,
        zoo_only=True,
    )  # fmt: skip
    search: bool = option(True, "Compare several recipes in short trials first.", PLANNING)
    qat: bool = option(
        False, "Quantization-aware training: a tenth more epochs, which round as predictions in int8 do.", PLANNING,
    )  # fmt: skip
    epochs: int | None = option(None, "Number of passes over the training images.", OPTIMIZATION, "N", minimum=1)
    batch: int | None = option(None, "Images per step.", OPTIMIZATION, "N", minimum=1)
    learning_rate: float | None = option(None, "Highest learning rate of the schedule.", OPTIMIZATION, "RATE")
    optimizer: str | None = option(
        None, "gd (all images in every step), sgd, adam, adamw, adagrad or rmsprop.", OPTIMIZATION, "NAME"
    )
    momentum: float | None = option(None, "Momentum of gd, sgd and rmsprop, such as 0.9.", OPTIMIZATION, "NUMBER")
    weight_decay: float | None = option(None, "Weight decay, such as 1e-4.", OPTIMIZATION, "NUMBER")
    schedule: str | None = option(
        None, "Learning rate schedule: one_cycle, cosine, step or constant.", OPTIMIZATION, "NAME"
    )
    augment: str | None = option(None, "Level of random augmentation: none, light or strong.", OPTIMIZATION, "LEVEL")
    flip: bool | None = option(None, "Flip images left to right at random, or never.", OPTIMIZATION)
    signed: str | None = option(
        None, "Numbers that change their sign in mirror images, such as a steering angle; images are then flipped.",
        OPTIMIZATION, "COLUMN,…", shown_default="none of them", zoo_only=True,
    )  # fmt: skip
    ema: float | None = option(
        None, "Decay of the moving average of the parameters that becomes the model, such as 0.999.", OPTIMIZATION,
        "NUMBER", zoo_only=True,
    )  # fmt: skip
    label_smoothing: float | None = option(
        None, "Share of each label that is spread over all classes, such as 0.1.", OPTIMIZATION, "NUMBER",
        zoo_only=True,
    )  # fmt: skip
    loss: str | None = option(
        None, "Loss of identities: cosface, arcface, triplet or contrastive; without labels: simclr, vicreg, barlow, "
        "rotation or autoencoder.", OPTIMIZATION, "NAME",
        shown_default="the task's", zoo_only=True,
    )  # fmt: skip
    class_weights: bool | None = option(
        None, "Give rare classes more weight in the loss, or treat all images alike.", OPTIMIZATION,
        shown_default="very uneven classes are balanced", zoo_only=True,
    )  # fmt: skip
    patience: int | None = option(
        None, "Stop after N epochs without a better validation result, and keep the best model.", OPTIMIZATION, "N",
        minimum=1, zoo_only=True,
    )  # fmt: skip
    seed: int = option(0, "The same seed, data and plan give bit-identical models.", OPTIMIZATION, "N", minimum=0)
    tta: bool = option(
        False, "Test-time augmentation: average the predictions for an image and its mirror image, in twice the time.",
        MODEL,
    )  # fmt: skip
    threads: int | None = option(None, "Number of threads.", MACHINE, "N", shown_default="every core", minimum=1)
    winograd: bool = option(
        True, "Allow Winograd's algorithm for convolutions, which rounds slightly differently.", MACHINE
    )
    precision: str = option("float32", TRAIN_PRECISION_HELP, MACHINE, "NAME")
