"""Layouts of input and output: rows, stacks, lists and lazy sequences of images, and codes."""

from skdeconv.layouts._adaptive_code import AdaptiveCode
from skdeconv.layouts._codes import rows_of, stacked_rows
from skdeconv.layouts._collection import Collection, Images, full_shape
from skdeconv.layouts._containers import is_image_list, plain, unpacked
from skdeconv.layouts._images import (
    check_image_shape,
    check_images,
    check_one_width,
    check_range,
    check_unpaired,
    forget_features,
    images_in_layout,
    largest_modulus,
    without_size,
)
from skdeconv.layouts._layer_images import LayerImages
from skdeconv.layouts._present import (
    check_codes,
    map_shape_of,
    maps_of_rows,
    one_by_one,
    present_codes,
    present_mixed,
)
from skdeconv.layouts._resizing import resized, scaled
from skdeconv.layouts._sparse_maps import SparseMaps
from skdeconv.layouts._windows import in_windows

__all__ = [
    "AdaptiveCode",
    "Collection",
    "Images",
    "LayerImages",
    "SparseMaps",
    "check_codes",
    "check_image_shape",
    "check_images",
    "check_one_width",
    "check_range",
    "check_unpaired",
    "forget_features",
    "full_shape",
    "images_in_layout",
    "in_windows",
    "is_image_list",
    "largest_modulus",
    "map_shape_of",
    "maps_of_rows",
    "one_by_one",
    "plain",
    "present_codes",
    "present_mixed",
    "resized",
    "rows_of",
    "scaled",
    "stacked_rows",
    "unpacked",
    "without_size",
]
