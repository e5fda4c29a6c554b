"""Low-frequency maps in the forms of codes: where they are, and where they cannot be."""

import numpy as np
import pytest
from reference.low_frequency import layer_of, shaded
from scipy.sparse import csr_array

from skdeconv import DeconvNetLayer, SparseMaps, lam_min
from skdeconv.datasets import make_sparse_images
from skdeconv.exceptions import ZeroMapsWarning


@pytest.fixture
def data():
    return make_sparse_images(6, (20, 18), n_filters=3, filter_size=5, random_state=42)


@pytest.fixture
def images():
    return shaded(4, (9, 7))


@pytest.fixture
def layer(images):
    return layer_of().fit(images)


def test_low_frequency_maps_exist_only_with_low_frequency(layer, images):
    rows = layer.transform(images)
    layer.set_params(low_frequency=False)
    assert not hasattr(layer, "to_low_frequency")
    with pytest.raises(AttributeError, match="to_low_frequency"):
        layer.to_low_frequency(rows)
    with pytest.raises(ValueError, match=f"X has {rows.shape[1]} features"):
        layer.inverse_transform(rows)
    assert not any("low" in name for name in layer.get_feature_names_out())
    # Inference alone reads the parameter: filters of a fit without it serve as well.
    plain = layer_of(low_frequency=False).fit(images)
    plain.set_params(low_frequency=True)
    assert plain.transform(images).shape == rows.shape
    assert plain.to_low_frequency(rows).shape == (4, 11, 9, 1)


@pytest.mark.parametrize("flag", [True, np.True_, False, np.False_], ids=repr)
def test_flags_of_numpy_are_flags(flag, images):
    layer = layer_of(low_frequency=flag).fit(images)
    rows = layer.transform(images)
    assert hasattr(layer, "to_low_frequency") == bool(flag)
    assert rows.shape[1] == 11 * 9 * (3 if flag else 2)


def test_maps_hold_no_low_frequencies(layer, images):
    maps = layer.to_maps(layer.transform(images))
    sparse = SparseMaps([csr_array(maps[0].reshape(-1, 2))], [maps.shape[1:3]])
    for form in (maps, sparse):
        with pytest.raises(ValueError, match="X holds only sparse maps; pass codes"):
            layer.to_low_frequency(form)


def test_rows_of_sparse_maps_alone_are_refused(layer):
    positions = r"297 = 11 x 9 positions x 2 filters \+ 99 of the low-frequency maps"
    message = f"X has 198 features, .* {positions}"
    for method in (layer.to_maps, layer.to_low_frequency, layer.inverse_transform):
        with pytest.raises(ValueError, match=message):
            method(np.ones((1, 198)))


def test_too_small_a_lam_is_told_beside_low_frequency_maps(data):
    images = data.images[:3] + np.linspace(0, 3, 18)
    layer = DeconvNetLayer(3, 5, lam=4.0, low_frequency=True, max_iter=1, random_state=0)
    layer.fit(images)
    with pytest.warns(ZeroMapsWarning):
        rows = layer.set_params(lam=1e-6).transform(images)
    rest = images - layer.inverse_transform(rows)
    least = lam_min(rest, layer.filters_).min()
    with pytest.warns(ZeroMapsWarning, match=f"become non-zero above lam={least:.3g};"):
        layer.set_params(lam=0.99 * least).transform(images)
    layer.set_params(lam=1.1 * least, inference_tol=1e-6)
    assert layer.to_maps(layer.transform(images)).any()
    with pytest.warns(ZeroMapsWarning) as caught:
        layer.set_params(lam=1e-6).fit(images)
    least = lam_min(rest, layer.filters_).min()
    assert f"become non-zero above lam={least:.3g};" in str(caught[0].message)
