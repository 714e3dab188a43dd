"""Operations on 8-bit integers, which stand for real numbers: real = scale · (q - zero).

Activations have one scale and one zero point for a tensor, weights one scale for each output channel and the zero
point 0 (Jacob et al., "Quantization and training of neural networks for efficient integer-arithmetic-only inference",
2018; Krishnamoorthi, "Quantizing deep convolutional networks for efficient inference", 2018). Scales are known when a
graph is quantized, so most operations hold whole numbers that are made of them: see `fixed_point`.

The results are defined to the bit: NumPy, machine code and exported programs compute the same. They have no gradient;
`fake_quantize` has one, which simulates their rounding on real numbers while a network is trained.
"""
