"""Small images that sparse maps and random filters have drawn, and collections of arrays."""

import weakref

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


class Reading:
    """Images that are read on access: how many of them are alive, at most, and how many reads."""

    def __init__(self, images):
        self.images, self.alive, self.most, self.n_read = images, 0, 0, 0

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        image = self.images[i].copy()
        self.n_read += 1
        self.alive += 1
        self.most = max(self.most, self.alive)
        weakref.finalize(image, self._gone)
        return image

    def _gone(self):
        self.alive -= 1
