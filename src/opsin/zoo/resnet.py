"""ResNet: He, Zhang, Ren & Sun, "Deep residual learning for image recognition", CVPR 2016; and its wide and grouped
variants.

A block computes the difference to its input, y = F(x) + x, so a network of a hundred layers starts like a shallow one.
The networks are those of the paper's table 1: one 7 × 7 convolution, four stages of blocks that halve the image and
double the channels, the mean of each channel, one linear layer. Shortcuts that change the shape are 1 × 1 convolutions
(the paper's option B).

- Wide ResNet: Zagoruyko & Komodakis, "Wide residual networks", BMVC 2016: the inner channels of a block doubled.
- ResNeXt: Xie, Girshick, Dollár, Tu & He, "Aggregated residual transformations for deep neural networks", CVPR 2017:
  the 3 × 3 convolution in 32 groups of 4 channels ("32x4d") in the first stage, twice as many per group in each
  following stage.

Unlike the paper:
- In a bottleneck the 3 × 3 convolution has the stride, not the first 1 × 1, which would skip three quarters of its
  input. All libraries do so, and ResNeXt's authors, too.
- Names of parameters, and initial values (He et al. 2015 by fan-out), are torchvision's, so that its weights fit.
"""

from __future__ import annotations

from functools import partial

from opsin import ops
from opsin.ir import Tensor
from opsin.nn import BatchNorm2d, Conv2d, Flatten, GlobalAvgPool2d, Layer, Linear, MaxPool2d, ReLU, Sequential
from opsin.nn.initializers import kaiming_normal_fan_out
from opsin.zoo.registry import register

conv = partial(Conv2d, bias=False, weight_init=kaiming_normal_fan_out)


class Block(Layer):
    """y = relu(F(x) + x): `residual` is F; if it changes the shape, the shortcut is a 1 × 1 convolution."""

    expansion: int
    """The factor from the nominal channels of a stage to the output channels of its blocks."""

    def __init__(self, channels: int, stride: int, project: bool, dilation: int = 1) -> None:
        self.relu = ReLU()
        self.downsample = None
        if project:
            self.downsample = Sequential(conv(channels * self.expansion, 1, stride), BatchNorm2d())

    def residual(self, x: Tensor) -> Tensor:
        """Compute F(x)."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(ops.add(self.residual(x), self.downsample(x) if self.downsample else x))


class BasicBlock(Block):
    """Two 3 × 3 convolutions: figure 5 of the paper, left."""

    expansion = 1

    def __init__(self, channels: int, stride: int, project: bool, dilation: int = 1) -> None:
        super().__init__(channels, stride, project)
        self.conv1, self.bn1 = conv(channels, 3, stride, dilation, dilation), BatchNorm2d()
        self.conv2, self.bn2 = conv(channels, 3, 1, dilation, dilation), BatchNorm2d()

    def residual(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        return self.bn2(self.conv2(x))


class Bottleneck(Block):
    """A 3 × 3 convolution between 1 × 1 convolutions that reduce and restore the channels: figure 5, right."""

    expansion = 4
    groups, width = 1, 64
    """Groups of the 3 × 3 convolution, and the channels of each group in the first stage."""

    def __init__(self, channels: int, stride: int, project: bool, dilation: int = 1) -> None:
        super().__init__(channels, stride, project)
        inner = channels * self.width // 64 * self.groups
        self.conv1, self.bn1 = conv(inner, 1), BatchNorm2d()
        self.conv2, self.bn2 = conv(inner, 3, stride, dilation, dilation, self.groups), BatchNorm2d()
        self.conv3, self.bn3 = conv(channels * self.expansion, 1), BatchNorm2d()

    def residual(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        return self.bn3(self.conv3(x))


class WideBottleneck(Bottleneck):
    """The block of Wide ResNet-50-2."""

    width = 128


class GroupedBottleneck(Bottleneck):
    """The block of ResNeXt "32x4d"."""

    groups, width = 32, 4


class Backbone(Layer):
    """ResNet without its classifier; `depths` are the numbers of blocks of the four stages.

    If `dilated`, the last two stages keep the resolution of the second, an eighth of the image's: their convolutions
    have no stride but larger and larger gaps between their weights, so that pretrained weights see the same pixels as
    before (Yu & Koltun, "Multi-scale context aggregation by dilated convolutions", ICLR 2016).
    """

    def __init__(self, block: type[Block], depths: tuple[int, int, int, int], dilated: bool = False) -> None:
        def stage(channels: int, depth: int, stride: int, dilations: tuple[int, int] = (1, 1)) -> Sequential:
            project = channels != 64 or block.expansion != 1
            first = block(channels, stride, project, dilations[0])
            return Sequential(first, *(block(channels, 1, False, dilations[1]) for _ in range(1, depth)))

        self.conv1, self.bn1, self.relu = conv(64, 7, stride=2, padding=3), BatchNorm2d(), ReLU()
        self.maxpool = MaxPool2d(3, stride=2, padding=1)
        self.layer1 = stage(64, depths[0], stride=1)
        self.layer2 = stage(128, depths[1], stride=2)
        if dilated:
            self.layer3 = stage(256, depths[2], stride=1, dilations=(1, 2))
            self.layer4 = stage(512, depths[3], stride=1, dilations=(2, 4))
        else:
            self.layer3 = stage(256, depths[2], stride=2)
            self.layer4 = stage(512, depths[3], stride=2)

    def stages(self, x: Tensor) -> list[Tensor]:
        """Return the output of each of the four stages for the images `x`."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        outputs = []
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)
            outputs.append(x)
        return outputs


class ResNet(Backbone):
    """Images N × C × H × W of any size → N × `classes`."""

    def __init__(self, block: type[Block], depths: tuple[int, int, int, int], classes: int) -> None:
        super().__init__(block, depths)
        self.avgpool, self.flatten = GlobalAvgPool2d(), Flatten()
        self.fc = Linear(classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.flatten(self.avgpool(self.stages(x)[-1])))


resnet18 = register("resnet18", partial(ResNet, BasicBlock, (2, 2, 2, 2)))
resnet34 = register("resnet34", partial(ResNet, BasicBlock, (3, 4, 6, 3)))
resnet50 = register("resnet50", partial(ResNet, Bottleneck, (3, 4, 6, 3)))
resnet101 = register("resnet101", partial(ResNet, Bottleneck, (3, 4, 23, 3)))
resnet152 = register("resnet152", partial(ResNet, Bottleneck, (3, 8, 36, 3)))
wide_resnet50_2 = register("wide_resnet50_2", partial(ResNet, WideBottleneck, (3, 4, 6, 3)))
resnext50_32x4d = register("resnext50_32x4d", partial(ResNet, GroupedBottleneck, (3, 4, 6, 3)))
