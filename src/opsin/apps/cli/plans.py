"""`opsin describe --memory` and `--plan`: what a training step and a prediction take, before either runs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import typer

from opsin.apps.cli.output import percent, print_heading, print_json, print_table
from opsin.apps.cli.subject import Subject, find_subject
from opsin.apps.cli.units import parse_bytes
from opsin.backends.native.codegen import host
from opsin.backends.native.tuning_cache import tuned_algorithms
from opsin.base.errors import UsageError
from opsin.base.processors import processors
from opsin.compiler.algorithm_names import algorithm
from opsin.compiler.execution_plan import ExecutionPlan, make_plan
from opsin.compiler.memory_limit import plan_within_memory
from opsin.compiler.memory_report import MemoryReport, memory_report
from opsin.compiler.recompute import macs
from opsin.ir import show


def run(
    what: str,
    limit: str | None,
    size: str | None,
    classes: int | None,
    batch: int,
    threads: int | None,
    exact: bool,
    infer: bool,
    wanted: tuple[bool, bool, bool],
) -> int:
    """Prints the memory, the plan, or both; `wanted` are --memory, --plan and --json."""
    memory, plan, as_json = wanted
    if limit is not None and not memory:
        raise UsageError(f"'{limit}' says how much memory training may take, and goes with --memory")
    most = None if limit is None else parse_bytes(limit)
    subject, count = find_subject(what, size, classes), threads or processors()
    timed = {} if exact else tuned_algorithms(host().target)
    train = _plan(subject, batch, count, exact, timed, most)
    predict = make_plan(subject.graph, batch, host().target, not exact, timed)
    if as_json:
        print_json(_data(subject, batch, count, train, predict, plan))
        return 0
    print_heading(subject.name, f": {batch} images of {show(subject.input_shape)} at once, {count} threads")
    if memory:
        _print_memory(memory_report(train, count), memory_report(predict, count))
        _print_limit(train, count, most)
    if plan:
        _print_plan(predict if infer else train, count)
    return 0


def _plan(
    subject: Subject, batch: int, threads: int, exact: bool, timed: dict[str, str], most: int | None
) -> ExecutionPlan:
    """Of the training step, within `most` bytes if that is given."""
    step = subject.step()
    if most is None:
        return make_plan(step, batch, host().target, not exact, timed)
    return plan_within_memory(step, batch, host().target, threads, most, not exact, timed)


def _print_memory(train: MemoryReport, predict: MemoryReport) -> None:
    """A line a purpose, and for the training step one a stage."""
    purposes = {
        "parameters": "parameters", "optimizer": "AdamW's two moments of each", "statistics": "running statistics",
        "inputs": "images and labels", "prepared": "weights prepared once, constants",
        "activations": "activations kept for the backward pass", "others": "other results, gradients, working memory",
        "scratch": "the threads' own",
    }  # fmt: skip
    rows = [
        (words, _megabytes(getattr(train, name)), _megabytes(getattr(predict, name)))
        for name, words in purposes.items()
    ]
    typer.echo()
    print_table(("memory", "to train", "to predict"), [*rows, _cells("in all", train.total, predict.total)], left=(0,))
    typer.echo()
    stages = [_cells(s.name, s.forward, s.backward, s.kept) for s in train.stages]
    print_table(("in training, at most", "forward", "backward", "kept"), stages, left=(0,))
    typer.secho(
        "\nForward and backward: results, gradients and working memory in use when the layer has its turn.\n"
        "kept: what it makes for the backward pass. The process itself takes about 60 MB more.",
        dim=True,
    )


def _print_limit(plan: ExecutionPlan, threads: int, most: int | None) -> None:
    if most is None:
        if not plan.is_complete:
            typer.echo(
                "\nActivations and normalisations are computed again in the backward pass, as they would take much\n"
                "memory; with --memory 16GB, or as much as you have, they are kept."
            )
        return
    extra = plan.recomputed / (macs(plan.graph) - plan.recomputed)
    taken = f"{_megabytes(plan.bytes_with(threads))} of the {_megabytes(most)} allowed"
    if plan.is_complete:
        typer.echo(f"\n{taken}: nothing has to be computed again.")
    else:
        price = f"{plan.recomputed / 1e6:,.1f} million multiply-adds more in a step ({percent(extra)})"
        typer.echo(
            f"\n{taken}: activations of the forward pass are computed again in the backward pass,\n"
            f"{price if plan.recomputed else 'which takes no multiply-add more'}. The results are the same bits."
        )


def _print_plan(plan: ExecutionPlan, threads: int) -> None:
    """The groups, and a line for each call in them."""
    rows = []
    for number, group in enumerate(plan.groups):
        how = "once" if number < plan.setup else "image by image" if group.by_sample else "by blocks"
        for place, call in enumerate(group.calls):
            fused = f" with {', '.join(call.fused)}" if call.fused else ""
            head = f"{number} {how}" if place == 0 else ""
            name = algorithm(call.spec) + (", timed" if call.tuned and call.macs else "")
            rows.append((head, call.scope or "(network)", call.direction, name, call.label + fused))
    typer.echo()
    print_table(("group", "layer", "direction", "algorithm", "computes"), rows, left=(0, 1, 2, 3, 4))
    typer.echo(
        f"\n{len(rows)} calls in {len(plan.groups)} groups, of {len({call.spec for call in plan.calls})} different "
        f"kernels; {_megabytes(plan.bytes_with(threads))}"
    )
    if any(call.tuned for call in plan.calls):
        typer.secho("timed: chosen by timing on this machine (opsin tune); the others by the model", dim=True)


def _data(
    subject: Subject, batch: int, threads: int, train: ExecutionPlan, predict: ExecutionPlan, calls: bool
) -> dict[str, Any]:
    found: dict[str, Any] = {"name": subject.name, "batch": batch, "threads": threads}
    for name, plan in (("training", train), ("prediction", predict)):
        memory = memory_report(plan, threads)
        found[name] = {
            "memory": {**asdict(memory), "total": memory.total},
            "macs": macs(plan.graph) - plan.recomputed,
            "recomputed_macs": plan.recomputed,
        }
        if calls:
            found[name]["calls"] = [
                {
                    "group": number, "once": number < plan.setup, "layer": call.scope, "direction": call.direction,
                    "algorithm": algorithm(call.spec), "timed": call.tuned, "operation": call.label,
                    "fused": list(call.fused), "macs": call.macs,
                }
                for number, group in enumerate(plan.groups) for call in group.calls
            ]  # fmt: skip
    return found


def _cells(name: str, *counts: int) -> tuple[str, ...]:
    return name, *map(_megabytes, counts)


def _megabytes(count: int) -> str:
    """`3.14 MB`, `750 MB`: all in one unit, so that they can be compared."""
    return f"{count / 1e6:,.2f} MB" if count < 1e7 else f"{count / 1e6:,.0f} MB"
