"""AdaptiveCode: what it holds, which images and layers are chosen, and what is refused."""

import pickle

import numpy as np
import pytest
from reference.adaptive import dense_maps

from skdeconv import AdaptiveCode, SparseMaps


def assert_same_code(found, expected):
    assert type(found) is AdaptiveCode
    assert (found.n_layers, found.image_shapes) == (expected.n_layers, expected.image_shapes)
    for one, other in zip(found.maps, expected.maps, strict=True):
        assert one.map_shapes == other.map_shapes
        for a, b in zip(one.maps, other.maps, strict=True):
            np.testing.assert_array_equal(a.toarray(), b.toarray())
    for one, other in zip(found.switches, expected.switches, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_what_a_code_holds(net, code):
    assert (len(code), code.shape, code.n_layers) == (4, (4,), 3)
    assert repr(code) == "<AdaptiveCode of 4 images in 3 layers>"
    assert repr(code[0, :1]) == "<AdaptiveCode of 1 image in 1 layer>"
    assert code.image_shapes == [(12, 11)] * 4
    assert [one.map_shapes[0] for one in code.maps] == [(14, 13), (9, 8), (6, 9)]
    assert [one.maps[0].shape[1] for one in code.maps] == [4, 3, 5]
    shapes = [(7, 7, 2), (5, 8, 3), (6, 9, 5)]
    assert [layer[3].shape for layer in code.switches] == shapes
    assert {one.dtype for layer in code.switches for one in layer} == {np.dtype(np.uint8)}
    for layer, (maps, switches) in enumerate(zip(code.maps, code.switches, strict=True)):
        assert sum(one.nnz for one in maps.maps) > 0
        rows, columns, neighbours = net.pooling_[layer]
        for i in range(4):
            assert maps[i].data.all()
            assert switches[i].max() < rows * columns * neighbours
            # What is not zero stands where the switches point, one in a block at most.
            k, y, x = np.nonzero(dense_maps(code, i, layer + 1))
            place = (k % neighbours * rows + y % rows) * columns + x % columns
            chosen = switches[i][y // rows, x // columns, k // neighbours]
            np.testing.assert_array_equal(chosen, place)


@pytest.mark.parametrize(
    ("key", "chosen"),
    [
        (2, [2]), (-1, [3]), (np.int64(1), [1]), (slice(1, None), [1, 2, 3]),
        (slice(None, None, -2), [3, 1]), (slice(0, 0), []), ([3, 0, 0], [3, 0, 0]),
        (np.array([2, -2]), [2, 2]), (np.array([True, False, True, False]), [0, 2]),
        ([False, False, False, True], [3]), (Ellipsis, [0, 1, 2, 3]), ([], []),
    ],
    ids=str,
)  # fmt: skip
def test_images_are_chosen_as_in_an_array(key, chosen, code):
    key = np.array(key, dtype=int) if isinstance(key, list) and not key else key
    expected = AdaptiveCode(
        [SparseMaps([one.maps[i] for i in chosen], [one.map_shapes[i] for i in chosen])
         for one in code.maps],
        [[layer[i] for i in chosen] for layer in code.switches],
        [code.image_shapes[i] for i in chosen],
    )  # fmt: skip
    assert_same_code(code[key], expected)
    assert_same_code(code[key, :], expected)
    assert_same_code(code[key, ...], expected)
    if chosen:
        assert_same_code(code[key][:, :2], code[key, :2])


@pytest.mark.parametrize("layers", [slice(0, 2), slice(None, 2), slice(-3, -1), slice(0, 2, 1)])
def test_lowest_layers_are_chosen_by_a_slice(layers, net, code):
    lower = code[1:3, layers]
    assert (lower.n_layers, len(lower)) == (2, 2)
    np.testing.assert_array_equal(net.decode(lower), net.decode(code, 2)[1:3])
    np.testing.assert_array_equal(net.decode(lower, 1), net.decode(code[1:3], 1))
    assert_same_code(code[:, :9], code)


@pytest.mark.parametrize(
    "layers", [0, -1, slice(1, None), slice(0, 0), slice(None, None, 2), slice(None, None, -1),
               [0, 1], None, np.array([True, False, False])],
    ids=str,
)  # fmt: skip
def test_other_choices_of_layers_are_refused(layers, code):
    with pytest.raises(IndexError, match="layers must be a slice of the lowest ones"):
        code[:, layers]


@pytest.mark.parametrize(
    "key", [4, -5, [0, 7], "a", 1.5, True, (0, slice(1), 0), [True, False]], ids=str
)
def test_images_that_are_not_there(key, code):
    with pytest.raises(IndexError):
        code[key]


def test_codes_are_iterated_over_image_by_image(net, code):
    drawn = [net.decode(one)[0] for one in code]
    np.testing.assert_array_equal(drawn, net.decode(code))


def test_codes_survive_pickling(net, code):
    copy = pickle.loads(pickle.dumps(code))
    assert_same_code(copy, code)
    np.testing.assert_array_equal(net.decode(copy), net.decode(code))


def test_lengths_and_types_are_checked(code):
    maps, switches, shapes = code.maps, code.switches, code.image_shapes
    for one, other in ((maps[:2], switches), (maps, switches[:2]), ([], [])):
        with pytest.raises(ValueError, match=f"for each layer.*{len(one)} and {len(other)}"):
            AdaptiveCode(one, other, shapes)
    for one, other, sizes in (
        ([maps[0], maps[1][:3], maps[2]], switches, shapes),
        (maps, [*switches[:2], switches[2][:3]], shapes),
        (maps, switches, shapes[:3]),
    ):
        with pytest.raises(ValueError, match=r"the same length, got \[3, 4\]"):
            AdaptiveCode(one, other, sizes)
    with pytest.raises(TypeError, match="list of SparseMaps"):
        AdaptiveCode([*maps[:2], maps[2].to_dense()], switches, shapes)


def test_lists_of_a_code_are_its_own(code):
    maps, switches, shapes = list(code.maps), [list(one) for one in code.switches], [[12, 11]] * 4
    made = AdaptiveCode(maps, switches, shapes)
    maps.pop()
    switches[0].pop()
    shapes.pop()
    assert_same_code(made, code)
