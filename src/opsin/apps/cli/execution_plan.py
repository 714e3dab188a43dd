"""`opsin describe --memory` and `--plan`: the memory and the kernel calls of a training step and a prediction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import typer

from opsin.apps.cli.output import print_heading, print_json, print_table
from opsin.apps.cli.subject import Subject, find_subject
from opsin.backends.native.codegen import host
from opsin.backends.native.tuning_cache import tuned_algorithms
from opsin.backends.options import CompileOptions
from opsin.base.errors import UsageError
from opsin.base.formatting import percent
from opsin.base.processors import processors
from opsin.base.units import parse_bytes
from opsin.compiler.algorithm_names import algorithm
from opsin.compiler.execution_plan import ExecutionPlan, make_plan
from opsin.compiler.memory_limit import plan_within_memory
from opsin.compiler.memory_report import PROCESS_BYTES, MemoryReport, memory_report
from opsin.compiler.precision import Precision, in_words, precision_named
from opsin.compiler.recompute import macs
from opsin.ir import show

PURPOSES = {
    "parameters": "parameters", "optimizer": "AdamW's two moments per parameter", "statistics": "running statistics",
    "inputs": "images and labels", "prepared": "prepared weights, constants",
    "activations": "activations saved for the backward pass", "others": "other results, gradients, workspace",
    "scratch": "workspace of the threads",
}  # fmt: skip
"""Attributes of a memory report, and what the table calls them."""

SAME_RESULTS = {
    Precision.FLOAT32: "The results are bit-identical.",
    Precision.BF16: "The results are the same up to rounding.",
}
"""What recomputation changes: in bfloat16, what stays in registers is not rounded."""


def run(
    name: str,
    limit: str | None,
    size: str | None,
    classes: int | None,
    batch: int,
    threads: int | None,
    arithmetic: tuple[bool, str],
    infer: bool,
    outputs: tuple[bool, bool, bool],
) -> int:
    """Print the memory, the plan, or both. `outputs` are the flags --memory, --plan and --json.

    `arithmetic` is whether Winograd's algorithm is allowed, and the precision.
    """
    memory, plan, as_json = outputs
    winograd, precision = arithmetic[0], precision_named(arithmetic[1])
    if limit is not None and not memory:
        raise UsageError(f"'{limit}' is a memory limit of training; use it with --memory")
    max_bytes = None if limit is None else parse_bytes(limit)
    subject, count = find_subject(name, size, classes), threads or processors()
    tuned = tuned_algorithms(host().target) if winograd else {}
    train = _training_plan(subject, batch, count, CompileOptions(winograd, tuned, max_bytes, precision))
    predict = make_plan(subject.graph, batch, host().target, winograd, tuned, precision)
    if as_json:
        print_json(_data(subject, batch, count, precision, {"training": train, "prediction": predict}, plan))
        return 0
    print_heading(
        subject.name, f": {batch} images of {show(subject.input_shape)} per step, {count} threads{in_words(precision)}"
    )
    if memory:
        _print_memory(memory_report(train, count), memory_report(predict, count))
        _print_limit(train, count, max_bytes, precision)
    if plan:
        _print_plan(predict if infer else train, count)
    return 0


def _training_plan(subject: Subject, batch: int, threads: int, options: CompileOptions) -> ExecutionPlan:
    """Plan the training step, within the memory of `options` if given."""
    step, target = subject.training_step(), host().target
    arithmetic = options.winograd, options.conv_algorithms or {}, options.precision
    if options.memory is None:
        return make_plan(step, batch, target, *arithmetic)
    return plan_within_memory(step, batch, target, threads, options.memory, *arithmetic)


def _print_memory(train: MemoryReport, predict: MemoryReport) -> None:
    """Print the memory by purpose, and for the training step by layer."""
    rows = [_row(text, getattr(train, name), getattr(predict, name)) for name, text in PURPOSES.items()]
    typer.echo()
    print_table(("memory", "training", "prediction"), [*rows, _row("total", train.total, predict.total)], left=(0,))
    typer.echo()
    stages = [_row(s.name, s.forward, s.backward, s.kept) for s in train.stages]
    print_table(("peak in training", "forward", "backward", "saved for backward"), stages, left=(0,))
    typer.secho(
        "\nforward, backward: results, gradients and workspace in use while the layer is computed.\n"
        f"saved for backward: what the layer stores for the backward pass. The process itself takes about "
        f"{_megabytes(PROCESS_BYTES)} more.",
        dim=True,
    )


def _print_limit(plan: ExecutionPlan, threads: int, max_bytes: int | None, precision: Precision) -> None:
    """Print how the plan meets the memory limit, and what that costs."""
    if max_bytes is None:
        if not plan.is_complete:
            typer.echo(
                "\nActivations and normalizations are recomputed in the backward pass, because they would take much\n"
                "memory. With --memory 16GB, or as much as you have, they are stored instead."
            )
        return
    usage = f"{_megabytes(plan.bytes_with(threads))} of the {_megabytes(max_bytes)} allowed"
    if plan.is_complete:
        typer.echo(f"\n{usage}: nothing has to be recomputed.")
        return
    extra = plan.recomputed / (macs(plan.graph) - plan.recomputed)
    cost = f"which adds {plan.recomputed / 1e6:,.1f} million MACs to a step ({percent(extra)})"
    typer.echo(
        f"\n{usage}: activations of the forward pass are recomputed in the backward pass,\n"
        f"{cost if plan.recomputed else 'which adds no MACs'}. {SAME_RESULTS[precision]}"
    )


def _print_plan(plan: ExecutionPlan, threads: int) -> None:
    """Print the groups of the plan, with a line for each kernel call."""
    rows = []
    for number, group in enumerate(plan.groups):
        partition = "once" if number < plan.setup else "per image" if group.by_sample else "per block"
        for index, call in enumerate(group.calls):
            fused = f" with {', '.join(call.fused)}" if call.fused else ""
            head = f"{number} {partition}" if index == 0 else ""
            name = algorithm(call.spec) + (", timed" if call.tuned and call.macs else "")
            rows.append((head, call.scope or "(network)", call.direction, name, call.label + fused))
    typer.echo()
    print_table(("group", "layer", "direction", "algorithm", "operations"), rows, left=(0, 1, 2, 3, 4))
    typer.echo(
        f"\n{len(rows)} calls in {len(plan.groups)} groups, of {len({call.spec for call in plan.calls})} different "
        f"kernels; {_megabytes(plan.bytes_with(threads))}"
    )
    if any(call.tuned for call in plan.calls):
        typer.secho("timed: chosen by `opsin tune` on this machine; the others by the heuristic", dim=True)


def _data(
    subject: Subject, batch: int, threads: int, precision: Precision, plans: Mapping[str, ExecutionPlan], calls: bool
) -> dict[str, Any]:
    data: dict[str, Any] = {"name": subject.name, "batch": batch, "threads": threads, "precision": precision}
    for name, plan in plans.items():
        memory = memory_report(plan, threads)
        data[name] = {
            "memory": {**asdict(memory), "total": memory.total},
            "macs": macs(plan.graph) - plan.recomputed,
            "recomputed_macs": plan.recomputed,
        }
        if calls:
            data[name]["calls"] = [
                {
                    "group": number, "once": number < plan.setup, "layer": call.scope, "direction": call.direction,
                    "algorithm": algorithm(call.spec), "timed": call.tuned, "operation": call.label,
                    "fused": list(call.fused), "macs": call.macs,
                }
                for number, group in enumerate(plan.groups) for call in group.calls
            ]  # fmt: skip
    return data


def _row(name: str, *counts: int) -> tuple[str, ...]:
    return name, *map(_megabytes, counts)


def _megabytes(count: int) -> str:
    """Return `3.14 MB` or `750 MB`, always in megabytes for comparison within a table."""
    return f"{count / 1e6:,.2f} MB" if count < 1e7 else f"{count / 1e6:,.0f} MB"
