"""Maps of images in two dimensions, by their features: principal components, t-SNE, and how far a map can be trusted.

The results are bit-identical for any number of threads, NumPy's included; they may differ between processors.
"""

from opsin.explain.embedding.neighbours import trustworthiness
from opsin.explain.embedding.pca import principal_components
from opsin.explain.embedding.tsne import tsne

__all__ = ["principal_components", "trustworthiness", "tsne"]
