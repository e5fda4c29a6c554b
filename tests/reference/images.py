"""Small images that sparse maps and random filters have drawn, and collections of arrays."""

import numpy as np

from skdeconv.datasets import make_sparse_images
from skdeconv.layouts import Images


def images_of(*shape, n_samples=4, **options):
    """Images of the given shape."""
    options = {"n_filters": 2, "filter_size": 3, "density": 0.03, "random_state": 0} | options
    return make_sparse_images(n_samples, shape, **options).images


def collection(stack):
    """A channels-first stack as the collection that estimators work on."""
    sizes = np.broadcast_to(stack.shape[2:], (len(stack), 2))
    return Images(np.moveaxis(stack, 1, -1), sizes, stack.shape[1], stack.dtype)
