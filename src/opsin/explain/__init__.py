"""What a network computes for an image, and why it gives its answer: feature maps, gradients, explanations."""
