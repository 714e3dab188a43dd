"""LeNet-5 on MNIST in plain PyTorch, as a tutorial writes it: from the four files to a saved model.

    python bench/mnist_torch.py FOLDER OUT [--epochs 3] [--seed 0] [--threads 2]

Everything is in memory, so that no loader slows it down: 60,000 images, scaled and centred, in batches of 64; AdamW
with one cycle up to 0.004 and weight decay 0.01, PyTorch's fused form. `mnist_command.py` times it as a process.
"""

from __future__ import annotations

import argparse
import gzip
from pathlib import Path

import numpy as np
import torch
from peers import LeNet5

BATCH, RATE, DECAY = 64, 0.004, 0.01


def read(folder: Path, name: str, header: int) -> torch.Tensor:
    """The bytes of an IDX file behind its header."""
    packed = folder / f"{name}.gz"
    content = gzip.decompress(packed.read_bytes()) if packed.exists() else (folder / name).read_bytes()
    return torch.from_numpy(np.frombuffer(content, np.uint8, offset=header).copy())


def part(folder: Path, name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (N 1 28 28, from 0 to 1) and labels of one part."""
    images = read(folder, f"{name}-images-idx3-ubyte", 16).reshape(-1, 1, 28, 28).float() / 255
    return images, read(folder, f"{name}-labels-idx1-ubyte", 8).long()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folder", type=Path)
    options.add_argument("out", type=Path)
    options.add_argument("--epochs", type=int, default=3)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--threads", type=int, default=2)
    chosen = options.parse_args()
    torch.manual_seed(chosen.seed)
    torch.set_num_threads(chosen.threads)
    images, labels = part(chosen.folder, "train")
    mean, deviation = images.mean(), images.std()
    images = ((images - mean) / deviation).contiguous(memory_format=torch.channels_last)
    network = LeNet5().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY, fused=True)
    steps = len(images) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps * chosen.epochs, pct_start=0.25)
    for _ in range(chosen.epochs):
        order = torch.randperm(len(images))
        for step in range(steps):
            chunk = order[step * BATCH : (step + 1) * BATCH]
            optimizer.zero_grad(set_to_none=True)
            torch.nn.functional.cross_entropy(network(images[chunk]), labels[chunk]).backward()
            optimizer.step()
            schedule.step()
    torch.save(network.state_dict(), chosen.out)
    network.eval()
    images, labels = part(chosen.folder, "t10k")
    with torch.inference_mode():
        right = (network((images - mean) / deviation).argmax(1) == labels).float().mean()
    print(f"{right:.4f}")


if __name__ == "__main__":
    main()
