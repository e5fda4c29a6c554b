"""Warning that all maps of a layer of an adaptive network are zero."""

from __future__ import annotations

from skdeconv._utils.warnings import warn
from skdeconv.exceptions import ZeroMapsWarning


def warn_of_silent_layer(number, coding, network, images, switches) -> None:
    """Warn that all maps of a layer are zero, unless all images are, and say which ``lam`` helps.

    Parameters
    ----------
    number : int
        The layer, counted from 1.
    coding : AdaptiveCoding
        Parameters with which its maps were inferred.
    network : AdaptiveNetwork
        The network up to this layer.
    images : Collection
        The images.
    switches : list of list of ndarray
        For each image, the switches of the layers below.
    """
    needed = network.lam_min(number, images, switches)
    if needed is None:
        return
    needed /= coding.scale
    reason = "is too small for these images" if coding.lam <= needed else "is hardly large enough"
    warn(
        f"All maps are zero: lam={coding.lam} of layer {number} {reason}. With these filters maps "
        f"become non-zero above lam={needed:.3g}.",
        ZeroMapsWarning,
    )
