"""C3D: Tran, Bourdev, Fergus, Torresani & Paluri, "Learning spatiotemporal features with 3D convolutional networks",
ICCV 2015.

Convolutions of 3 × 3 × 3 with pooling over space and time between them; the first pooling keeps all moments. The
paper's network has eight convolutions of up to 512 filters and two layers of 4,096 units, for a million clips. This one
has the five stages with one convolution each and fewer filters, batch normalization, and the mean over space and time
instead of the layers of units, so that it can be trained on hundreds of clips: 886,946 parameters for two classes.
"""

from __future__ import annotations

from opsin.ir import Tensor
from opsin.nn import BatchNorm3d, Conv3d, Dropout, Flatten, GlobalAvgPool3d, Layer, Linear, MaxPool3d, ReLU, Sequential
from opsin.nn.initializers import kaiming_normal
from opsin.zoo.clips import frame_count, to_clips
from opsin.zoo.registry import register

WIDTHS = (16, 32, 64, 128, 192)


class C3D(Layer):
    """Square frames below each other, N × 3 × (T·S) × S → logits N × `classes`; S is at least 32."""

    def __init__(self, classes: int) -> None:
        self.convolutions = [Conv3d(w, 3, padding=1, bias=False, weight_init=kaiming_normal) for w in WIDTHS]
        self.norms = [BatchNorm3d() for _ in WIDTHS]
        self.head = Sequential(GlobalAvgPool3d(), Flatten(), Dropout(0.5), Linear(classes))
        self.act = ReLU()

    def forward(self, x: Tensor) -> Tensor:
        moments, x = frame_count(x), to_clips(x)
        for number, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            x = self.act(norm(convolution(x)))
            if number < len(WIDTHS) - 1:
                step = 2 if number and moments > 1 else 1
                x, moments = MaxPool3d((step, 2, 2))(x), moments // step
        return self.head(x)


c3d = register("c3d", C3D, (3, 16 * 112, 112), 2, kind="video", input_options={"side": 112, "frames": 16})
