"""Networks of several layers: their composition, switches, inference and projections to pixels."""

from skdeconv.networks._activations import (
    check_layer,
    reconstructed_separately,
    strongest,
    strongest_activations,
)
from skdeconv.networks._adaptive_network import AdaptiveNetwork, SizedNetwork, known_of, masked
from skdeconv.networks._encoding import (
    code_of,
    encode_images,
    image_of,
    maps_from_top,
    next_switches,
    present_layer,
    switches_of,
)
from skdeconv.networks._hierarchy import Hierarchy, next_images, typical_value, with_half_quadratic
from skdeconv.networks._projections import (
    cascaded,
    projected_to_first_layer,
    projected_to_pixels,
    reconstructed_images,
    strongest_fields,
)
from skdeconv.networks._silence import warn_of_silent_layer

__all__ = [
    "AdaptiveNetwork",
    "Hierarchy",
    "SizedNetwork",
    "cascaded",
    "check_layer",
    "code_of",
    "encode_images",
    "image_of",
    "known_of",
    "maps_from_top",
    "masked",
    "next_images",
    "next_switches",
    "present_layer",
    "projected_to_first_layer",
    "projected_to_pixels",
    "reconstructed_images",
    "reconstructed_separately",
    "strongest",
    "strongest_activations",
    "strongest_fields",
    "switches_of",
    "typical_value",
    "warn_of_silent_layer",
    "with_half_quadratic",
]
