"""U-Net: Ronneberger, Fischer & Brox, "U-Net: convolutional networks for biomedical image segmentation", MICCAI 2015;
and a light network of the same shape.

A contracting path halves the image four times while it doubles the channels, and an expanding path does the reverse. At
each resolution, the features of the contracting path are appended to those of the expanding path, which have seen more
of the image but have lost the details.

`unet` has the channels of the paper's figure 1, 64 to 1,024: 31,037,698 parameters for two classes. Unlike the paper,
and as is usual today, convolutions are padded, so that the result has the size of the image, and batch normalization
(Ioffe & Szegedy 2015) follows each of them; weights start after He et al. 2015. Images are divisible by 16.

`unet_light` is made for CPUs: the contracting path is EfficientNet-Lite0 without its head, whose published weights it
starts from if they are asked for, and the expanding path has depthwise separable convolutions (Sifre 2014) and nearest
neighbours instead of transposed convolutions. One convolution of the image itself supplies the details of the full
resolution. It also sees the image with standardized contrast, so that edges in dim images count as much as in bright
ones. The network takes images of any size.
"""

from __future__ import annotations

from functools import partial

from opsin import ops
from opsin.base.errors import ShapeError
from opsin.ir import Tensor, show
from opsin.nn import BatchNorm2d, Conv2d, ConvTranspose2d, Layer, MaxPool2d, ReLU, ReLU6, Sequential
from opsin.nn.initializers import kaiming_normal
from opsin.ops.sliding import image
from opsin.zoo.efficientnet_lite import conv as lite_conv
from opsin.zoo.efficientnet_lite import norm as lite_norm
from opsin.zoo.efficientnet_lite import stage_layers
from opsin.zoo.registry import register
from opsin.zoo.sizes import resized_like

HALVINGS = 4

MIN_VARIANCE = 1e-4
"""Added to the variance of an image, so that noise in an image of one value is not enlarged: about 1 of 255 levels."""

conv = partial(Conv2d, bias=False, weight_init=kaiming_normal)
conv3x3 = partial(conv, kernel_size=3, padding=1)


def double_conv(channels: int) -> Sequential:
    """Return two 3 × 3 convolutions, each with batch normalization and ReLU."""
    return Sequential(conv3x3(channels), BatchNorm2d(), ReLU(), conv3x3(channels), BatchNorm2d(), ReLU())


class Up(Layer):
    """Double the resolution of x, halve its channels to `channels`, and merge it with the features of that size."""

    def __init__(self, channels: int) -> None:
        self.up = ConvTranspose2d(channels, 2, stride=2)
        self.conv = double_conv(channels)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return self.conv(ops.concat([skip, self.up(x)], 1))


class UNet(Layer):
    """Images N × C × H × W, with sides divisible by 16 → logits N × `classes` × H × W.

    The convolutions at the full resolution have `width` channels.
    """

    def __init__(self, classes: int, width: int = 64) -> None:
        widths = [width << level for level in range(HALVINGS + 1)]
        self.down = [double_conv(channels) for channels in widths]
        self.pool = MaxPool2d(2)
        self.up = [Up(channels) for channels in widths[-2::-1]]
        self.classifier = Conv2d(classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        _need_divisible(x)
        skips = [self.down[0](x)]
        for block in self.down[1:]:
            skips.append(block(self.pool(skips[-1])))
        x = skips.pop()
        for up in self.up:
            x = up(x, skips.pop())
        return self.classifier(x)


def _need_divisible(x: Tensor) -> None:
    _, _, size = image("unet", x.type)
    if any(side % 2**HALVINGS for side in size):
        raise ShapeError(
            f"U-Net halves images {HALVINGS} times and takes sides divisible by {2**HALVINGS}, but was given "
            f"{show(size)}; resize the images"
        )


class LiteEncoder(Layer):
    """EfficientNet-Lite0 without its head, with its names; `features` computes five resolutions."""

    LEVELS = (1, 2, 3, 5, 7)
    """How many of the stages are done where the resolution is about to be halved: 1/2, 1/4, … 1/32."""

    def __init__(self) -> None:
        self.conv_stem, self.bn1, self.act1 = lite_conv(32, 3, 2), lite_norm(), ReLU6()
        self.blocks = stage_layers(1.0, 1.0)

    def features(self, x: Tensor) -> list[Tensor]:
        """Return the features of 1/2, 1/4, 1/8, 1/16 and 1/32 of the resolution of the images `x`."""
        outputs = [self.act1(self.bn1(self.conv_stem(x)))]
        for block in self.blocks:
            outputs.append(block(outputs[-1]))
        return [outputs[level] for level in self.LEVELS]


class LightUp(Layer):
    """Enlarge x to the size of the features `skip`, and merge both by a depthwise separable convolution."""

    def __init__(self, channels: int, out: int) -> None:
        self.conv_dw, self.conv_pw = conv3x3(channels, groups=channels), conv(out, 1)
        self.bn, self.act = BatchNorm2d(), ReLU6()

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        both = ops.concat([skip, resized_like(x, skip, "nearest")], 1)
        return self.act(self.bn(self.conv_pw(self.conv_dw(both))))


def standardized(x: Tensor) -> Tensor:
    """Return images N × C × H × W, each with mean 0 and variance 1 over all its values."""
    centred = ops.subtract(x, ops.mean(x, (1, 2, 3), keepdims=True))
    variance = ops.mean(ops.square(centred), (1, 2, 3), keepdims=True)
    return ops.multiply(centred, ops.rsqrt(ops.add(variance, MIN_VARIANCE)))


class Detail(Layer):
    """Features of the images `x` at their full resolution, of their values as they are and `standardized`."""

    def __init__(self, channels: int) -> None:
        self.conv, self.bn, self.act = conv3x3(channels), BatchNorm2d(), ReLU6()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(self.conv(ops.concat([x, standardized(x)], 1))))


class LightUNet(Layer):
    """Images N × C × H × W of any size → logits N × `classes` × H × W."""

    SKIPS = (112, 40, 24, 16, 16)
    """Channels of the encoder at 1/16, 1/8, 1/4 and 1/2 of the resolution, and of the details."""
    WIDTHS = (128, 96, 64, 32, 32, 16)
    """Channels of the decoder at 1/32, and at the resolutions above."""

    def __init__(self, classes: int) -> None:
        self.backbone = LiteEncoder()
        self.detail = Detail(self.SKIPS[-1])
        self.neck = Sequential(conv(self.WIDTHS[0], 1), BatchNorm2d(), ReLU6())
        before, after = self.WIDTHS[:-1], self.WIDTHS[1:]
        self.up = [LightUp(a + skip, b) for a, skip, b in zip(before, self.SKIPS, after, strict=True)]
        self.classifier = Conv2d(classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        *skips, deepest = self.detail(x), *self.backbone.features(x)
        y = self.neck(deepest)
        for up in self.up:
            y = up(y, skips.pop())
        return self.classifier(y)


unet = register("unet", UNet, (3, 256, 256), 2, "segmentation")
unet_light = register("unet_light", LightUNet, (3, 224, 224), 21, "segmentation", backbone="efficientnet_lite0")
