"""Small images that sparse maps and random filters have drawn."""

from skdeconv.datasets import make_sparse_images


def images_of(*shape, n_samples=4, **options):
    """Images of the given shape."""
    options = {"n_filters": 2, "filter_size": 3, "density": 0.03, "random_state": 0} | options
    return make_sparse_images(n_samples, shape, **options).images
