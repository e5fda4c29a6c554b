"""What keeps single steps of the adaptive solver from stopping early."""

import numpy as np

from skdeconv.inference import adapt
from skdeconv.operators import Convolution


def test_a_single_step_gets_on_where_the_first_length_is_far_too_long():
    filters = np.abs(np.random.default_rng(0).standard_normal((2, 1, 3, 3))) + 0.5
    operator = Convolution(filters, (6, 7))
    matrix = operator.atoms(np.arange(np.prod(operator.maps_shape))).toarray()
    left, values, _ = np.linalg.svd(matrix)
    weak = np.flatnonzero(values > values[0] / 10)[-1]
    # Its correlation with the filters says far too little of their norm.
    image = 30 * (left[:, weak] + 1e-3 * left[:, 0]).reshape(1, *operator.images_shape)
    costs, maps = [1.5 * (image**2).sum()], None
    for _ in range(5):
        maps = adapt(operator, image, 3.0, (1, 1, 1), n_steps=1, init=maps)
        costs.append(maps.cost)
    assert (np.diff(costs) < 0).all()
