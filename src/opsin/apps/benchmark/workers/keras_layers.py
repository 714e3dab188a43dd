"""Keras on TensorFlow or JAX, with channels last, the only layout that both support on CPUs.

TensorFlow runs the step as a graph, or compiled by XLA. JAX compiles it by XLA, with donated buffers for the state.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from opsin.apps.benchmark.workers.worker import Arrays, BenchmarkJob, named_outputs, serve

layers = keras.layers
BACKEND = os.environ["KERAS_BACKEND"]
LOWEST = float(np.finfo(np.float32).min)
LAYERS: dict[str, Callable[[], Any]] = {
    "relu": layers.ReLU, "relu6": lambda: layers.ReLU(6.0), "add": layers.Add, "multiply": layers.Multiply,
    "flatten": layers.Flatten, "concat": layers.Concatenate, "hard_swish": lambda: layers.Activation("hard_swish"),
    "silu": lambda: layers.Activation("silu"), "tanh": lambda: layers.Activation("tanh"),
    "sigmoid": lambda: layers.Activation("sigmoid"),
    "global_avg_pool2d": lambda: layers.GlobalAveragePooling2D(keepdims=True),
}  # fmt: skip


class Network:
    """The Keras model of a list of layers, with its weights."""

    def __init__(self, description: dict[str, Any], weights: Arrays, batch: int) -> None:
        self.weights = weights
        channels, height, width = description["input"]
        self.shapes = {0: description["input"], **{step["output"]: step["shape"] for step in description["steps"]}}
        images = keras.Input((height, width, channels), batch)
        self.values = {0: images}
        self.flattened: dict[int, list[int]] = {}
        """Shapes before flattening, by number: with channels last, the features come in another order."""
        for step in description["steps"]:
            self.values[step["output"]] = self._value(step)
        self.model = keras.Model(images, [self.values[number] for number, _ in description["outputs"]])

    def _value(self, step: dict[str, Any]) -> Any:
        x, op = [self.values[number] for number in step["inputs"]], step["op"]
        if op == "flatten":
            self.flattened[step["output"]] = self.shapes[step["inputs"][0]]
        if op in LAYERS:
            return LAYERS[op]()(x if len(x) > 1 else x[0])
        build: Callable[[dict[str, Any], Any], Any] = getattr(self, f"_{op}")
        return build(step, x[0])

    def _conv2d(self, step: dict[str, Any], x: Any) -> Any:
        attrs, channels = step["attrs"], self.shapes[step["inputs"][0]][0]
        x, padding = self._pad_window(step, x, attrs["kernel"], 0.0)
        weight, bias = self._parameters(step)
        arguments = {"strides": attrs["stride"], "padding": padding, "dilation_rate": attrs["dilation"]}
        if attrs["groups"] == channels == step["shape"][0] > 1:
            layer = layers.DepthwiseConv2D(attrs["kernel"], use_bias=bool(bias), **arguments)
            weight = weight.transpose(2, 3, 0, 1)
        else:
            out = step["shape"][0]
            layer = layers.Conv2D(out, attrs["kernel"], groups=attrs["groups"], use_bias=bool(bias), **arguments)
            weight = weight.transpose(2, 3, 1, 0)
        return self._with(layer, x, [weight, *bias])

    def _linear(self, step: dict[str, Any], x: Any) -> Any:
        weight, bias = self._parameters(step)
        if shape := self.flattened.get(step["inputs"][0]):
            weight = weight.reshape(-1, *shape).transpose(0, 2, 3, 1).reshape(len(weight), -1)
        return self._with(layers.Dense(len(weight), use_bias=bool(bias)), x, [weight.T, *bias])

    def _batch_norm(self, step: dict[str, Any], x: Any) -> Any:
        attrs = step["attrs"]
        layer = layers.BatchNormalization(momentum=1 - attrs["momentum"], epsilon=attrs["eps"])
        return self._with(layer, x, [self.weights[name] for name in step["parameters"].values()])

    def _max_pool2d(self, step: dict[str, Any], x: Any) -> Any:
        attrs = step["attrs"]
        x, padding = self._pad_window(step, x, attrs["window"], LOWEST)
        return layers.MaxPooling2D(attrs["window"], attrs["stride"], padding)(x)

    def _avg_pool2d(self, step: dict[str, Any], x: Any) -> Any:
        attrs = step["attrs"]
        if attrs["ceil_mode"] or np.any(attrs["padding"]):
            raise ValueError("Keras averages over padded borders in another way")
        return layers.AveragePooling2D(attrs["window"], attrs["stride"])(x)

    def _adaptive_avg_pool2d(self, step: dict[str, Any], x: Any) -> Any:
        return layers.AdaptiveAveragePooling2D(tuple(step["attrs"]["size"]))(x)

    def _scale(self, step: dict[str, Any], x: Any) -> Any:
        return layers.Rescaling(step["attrs"]["factor"])(x)

    def _slice(self, step: dict[str, Any], x: Any) -> Any:
        attrs = step["attrs"]
        channels, rows, columns = (
            slice(*c) for c in zip(*(attrs[k][1:] for k in ("starts", "stops", "steps")), strict=True)
        )
        return x[:, rows, columns, channels]

    def _pad(self, step: dict[str, Any], x: Any) -> Any:
        batch, channels, rows, columns = zip(step["attrs"]["low"], step["attrs"]["high"], strict=True)
        return keras.ops.pad(x, (batch, rows, columns, channels))

    def _pad_window(self, step: dict[str, Any], x: Any, window: list[int], fill: float) -> tuple[Any, str]:
        """Return `x` with padding, and the padding mode of the layer: "same" if equivalent, otherwise "valid"."""
        attrs, sizes = step["attrs"], zip(self.shapes[step["inputs"][0]][1:], step["shape"][1:], strict=True)
        padding, is_same = [], True
        extents = [(k - 1) * d + 1 for k, d in zip(window, attrs.get("dilation", (1, 1)), strict=True)]
        for (size, out), stride, extent, (low, _) in zip(
            sizes, attrs["stride"], extents, attrs["padding"], strict=True
        ):
            total = max(0, (out - 1) * stride + extent - size)
            padding.append((low, max(0, total - low)))
            is_same = is_same and out == -(-size // stride) and low == total // 2
        if not np.any(padding):
            return x, "valid"
        if is_same:
            return x, "same"
        return keras.ops.pad(x, ((0, 0), *padding, (0, 0)), constant_values=fill), "valid"

    def _parameters(self, step: dict[str, Any]) -> tuple[Any, list[Any]]:
        """Return the weight, and a list with the bias if there is one."""
        names = step["parameters"]
        return self.weights[names["weight"]], [self.weights[names["bias"]]] if "bias" in names else []

    def _with(self, layer: Any, x: Any, weights: list[Any]) -> Any:
        y = layer(x)
        layer.set_weights(weights)
        return y


class KerasSession:
    """A Keras model. The two backends build the step in different ways."""

    def __init__(self, job: BenchmarkJob) -> None:
        self.job, self.backend = job, importlib.import_module(BACKEND)
        if job.network["loss"] != "cross_entropy":
            raise ValueError("only classifiers are built in Keras")
        self._set_threads()
        weights, inputs = job.arrays()
        self.model = Network(job.network, weights, job.batch).model
        self.images = keras.ops.convert_to_tensor(np.ascontiguousarray(inputs["inputs"].transpose(0, 2, 3, 1)))
        self.labels = keras.ops.convert_to_tensor(inputs["labels"])
        self.loss_weights = [weight for _, weight in job.network["outputs"]]
        if job.task == "train":
            self.optimizer = keras.optimizers.SGD(job.rate, momentum=job.momentum)
            self.optimizer.build(self.model.trainable_variables)
        self.prepare()

    def _set_threads(self) -> None:
        raise NotImplementedError

    def prepare(self) -> None:
        """Build the step."""
        raise NotImplementedError

    def step(self) -> Any:
        raise NotImplementedError

    def loss(self, outputs: Any, labels: Any) -> Any:
        """Return the cross-entropy, with the weighted losses of auxiliary classifiers."""
        cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        terms = [
            weight * cross_entropy(labels, logits)
            for weight, logits in zip(self.loss_weights, _all(outputs), strict=True)
        ]
        return sum(terms[1:], terms[0])

    def results(self) -> Arrays:
        first = np.array(self.step())
        return named_outputs([first]) if first.ndim else {"losses": np.array([first, np.array(self.step())])}

    def info(self) -> dict[str, Any]:
        return {"version": f"{self.backend.__version__} (Keras {keras.__version__})"}


class TensorFlow(KerasSession):
    def _set_threads(self) -> None:
        self.backend.config.threading.set_intra_op_parallelism_threads(self.job.threads)
        self.backend.config.threading.set_inter_op_parallelism_threads(1)

    def prepare(self) -> None:
        train = self.job.task == "train"
        self.run = self.backend.function(self._train if train else self._infer, jit_compile=self.job.mode == "XLA")

    def step(self) -> Any:
        return self.run(self.images, self.labels).numpy()

    def _train(self, images: Any, labels: Any) -> Any:
        with self.backend.GradientTape() as tape:
            loss = self.loss(self.model(images, training=True), labels)
        variables = self.model.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    def _infer(self, images: Any, _: Any) -> Any:
        return _all(self.model(images, training=False))[0]


class Jax(KerasSession):
    def _set_threads(self) -> None:
        """Set the number of threads. JAX reads it from the environment (NPROC)."""

    def prepare(self) -> None:
        model = self.model
        self.state = [
            [v.value for v in variables] for variables in (model.trainable_variables, model.non_trainable_variables)
        ]
        if self.job.task == "train":
            self.state.append([v.value for v in self.optimizer.variables])
            self.run = self.backend.jit(self._train, donate_argnums=0)
        else:
            self.run = self.backend.jit(self._infer)

    def step(self) -> Any:
        if self.job.task == "train":
            loss, self.state = self.run(self.state, self.images, self.labels)
            return loss.block_until_ready()
        return np.asarray(self.run(self.state, self.images))

    def _train(self, state: Any, images: Any, labels: Any) -> Any:
        def loss_of(trainable: Any, untrained: Any) -> Any:
            outputs, untrained = self.model.stateless_call(trainable, untrained, images, training=True)
            return self.loss(outputs, labels), untrained

        trainable, untrained, optimizer_state = state
        (loss, untrained), gradients = self.backend.value_and_grad(loss_of, has_aux=True)(trainable, untrained)
        trainable, optimizer_state = self.optimizer.stateless_apply(optimizer_state, gradients, trainable)
        return loss, [trainable, untrained, optimizer_state]

    def _infer(self, state: Any, images: Any) -> Any:
        return _all(self.model.stateless_call(*state, images, training=False)[0])[0]


def _all(outputs: Any) -> Any:
    """Return the outputs as a list. Keras returns a single output without one."""
    return outputs if isinstance(outputs, list | tuple) else [outputs]


if __name__ == "__main__":
    serve(TensorFlow if BACKEND == "tensorflow" else Jax)
