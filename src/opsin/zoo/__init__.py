"""Well-known networks, one file per paper."""

from opsin.zoo.airbench import airbench94, airbench95
from opsin.zoo.alexnet import alexnet, alexnet_2012
from opsin.zoo.c3d import c3d
from opsin.zoo.char_cnn import char_cnn
from opsin.zoo.ctc_cnn import ctc_cnn
from opsin.zoo.densenet import densenet121
from opsin.zoo.ds_cnn import ds_cnn
from opsin.zoo.efficientnet import efficientnet_b0
from opsin.zoo.efficientnet_lite import (
    efficientnet_lite0,
    efficientnet_lite1,
    efficientnet_lite2,
    efficientnet_lite3,
    efficientnet_lite4,
)
from opsin.zoo.efficientnet_lite_det import fcos_efficientnet_lite0
from opsin.zoo.egomotion import egomotion
from opsin.zoo.fcn import fcn_resnet50
from opsin.zoo.googlenet import googlenet, googlenet_2014
from opsin.zoo.kim_cnn import kim_cnn
from opsin.zoo.lenet5 import lenet5
from opsin.zoo.lenet5_1998 import lenet5_1998
from opsin.zoo.lraspp import lraspp_mobilenet_v3_large
from opsin.zoo.m5 import m5
from opsin.zoo.mlperf_tiny import mlperf_tiny_ds_cnn, mlperf_tiny_resnet8, mlperf_tiny_vww
from opsin.zoo.mobilenet_v1 import mobilenet_v1
from opsin.zoo.mobilenet_v2 import mobilenet_v2
from opsin.zoo.mobilenet_v3 import mobilenet_v3_large, mobilenet_v3_small
from opsin.zoo.pilotnet import pilotnet
from opsin.zoo.r2plus1d import r2plus1d
from opsin.zoo.registry import Entry, create, find, frames, kind, names
from opsin.zoo.resnet import resnet18, resnet34, resnet50, resnet101, resnet152, resnext50_32x4d, wide_resnet50_2
from opsin.zoo.resnet1d import resnet1d
from opsin.zoo.resnet9 import resnet9, resnet9_half
from opsin.zoo.resnet_cifar import (
    resnet20_cifar,
    resnet32_cifar,
    resnet44_cifar,
    resnet56_cifar,
    resnet110_cifar,
    resnet1202_cifar,
)
from opsin.zoo.shufflenet_v2 import shufflenet_v2_x1_0
from opsin.zoo.sound_cnn import sound_cnn
from opsin.zoo.sphereface import sphereface10_half, sphereface20
from opsin.zoo.squeezenet import squeezenet1_1
from opsin.zoo.ssd import ssd300_vgg16, ssdlite320_mobilenet_v3_large
from opsin.zoo.tcn_efficientnet_lite0 import tcn_efficientnet_lite0
from opsin.zoo.towers import towers_concat, towers_film, towers_product
from opsin.zoo.unet import unet, unet_light
from opsin.zoo.vgg import vgg11, vgg11_bn, vgg13, vgg13_bn, vgg16, vgg16_bn, vgg19, vgg19_bn

__all__ = [
    "Entry", "airbench94", "airbench95", "alexnet", "alexnet_2012", "c3d", "char_cnn", "create", "ctc_cnn",
    "densenet121", "ds_cnn", "efficientnet_b0", "efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2",
    "efficientnet_lite3", "efficientnet_lite4", "egomotion", "fcn_resnet50", "fcos_efficientnet_lite0", "find",
    "frames", "googlenet", "googlenet_2014", "kim_cnn", "kind", "lenet5", "lenet5_1998",
    "lraspp_mobilenet_v3_large", "m5", "mlperf_tiny_ds_cnn", "mlperf_tiny_resnet8", "mlperf_tiny_vww",
    "mobilenet_v1", "mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small", "names", "pilotnet", "r2plus1d",
    "resnet1d", "resnet9", "resnet9_half", "resnet18", "resnet20_cifar", "resnet32_cifar", "resnet34",
    "resnet44_cifar", "resnet50", "resnet56_cifar", "resnet101", "resnet110_cifar", "resnet152", "resnet1202_cifar",
    "resnext50_32x4d", "shufflenet_v2_x1_0", "sound_cnn", "sphereface10_half", "sphereface20", "squeezenet1_1",
    "ssd300_vgg16", "ssdlite320_mobilenet_v3_large", "tcn_efficientnet_lite0", "towers_concat", "towers_film",
    "towers_product", "unet", "unet_light", "vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19",
    "vgg19_bn", "wide_resnet50_2",
]  # fmt: skip
