"""A small adaptive network, images and their code."""

import pytest
from reference.adaptive import net_of
from reference.images import images_of


@pytest.fixture(scope="package")
def images():
    """Small images."""
    return images_of(12, 11)


@pytest.fixture(scope="package")
def net(images):
    """A net of three layers with different sizes of filters and blocks."""
    pooling = (2, 2, 2), (2, 1, 1), None
    options = {"filter_size": (3, (3, 2), 2), "pooling": pooling, "lam": (4.0, 5.0, 6.0)}
    return net_of(4, 3, 5, n_inference_steps=10, **options).fit(images)


@pytest.fixture(scope="package")
def code(net, images):
    """Their code."""
    return net.encode(images)
