"""Five channels as one picture that a person can read."""

import io
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

PALETTE = {
    "DNA": (64, 132, 255),
    "ER": (0, 178, 130),
    "RNA": (240, 228, 66),
    "AGP": (240, 150, 30),
    "Mito": (224, 36, 64),
}
"""The usual Cell Painting hues (nuclei blue, ER green, RNA yellow, actin and Golgi orange, mitochondria red), moved to
where people with any of the three kinds of colour blindness tell them apart (Okabe and Ito 2008)."""

OTHER_CHANNELS = ((180, 180, 180), (120, 200, 235), (200, 160, 230))
"""For channels of another stain, in their order."""

WHITE = (255, 255, 255)


def colour_of(channel: str, channels: Sequence[str]) -> tuple[int, int, int]:
    """The colour of a channel; one that is not of Cell Painting takes the next of OTHER_CHANNELS."""
    if channel in PALETTE:
        return PALETTE[channel]
    others = [name for name in channels if name not in PALETTE]
    return OTHER_CHANNELS[others.index(channel) % len(OTHER_CHANNELS)]


def composite(picture: NDArray[np.uint8], channels: Sequence[str], shown: Sequence[str] | None = None,
              brightness: float = 1.0) -> NDArray[np.uint8]:
    """Channels in their colours, laid over each other.

    Colours are joined as light on a screen, 1 - (1 - a)(1 - b): where channels meet it grows brighter and never
    overflows, and the order of channels does not matter. The more channels, the dimmer each (as 1 / sqrt of their
    number), or cells stained by all of them would be white. One alone is shown in grey, which the eye reads best.

    Args:
        picture: (C, H, W); 255 is the upper limit of the plate's channel.
        channels: names of the C channels.
        shown: those to lay over each other; all by default, black when empty.
        brightness: factor on every channel before colouring; the same for pictures that are to be compared.

    Returns:
        (H, W, 3) RGB.

    Raises:
        ValueError: the number of channels differs, or a channel to be shown is not there.
    """
    if picture.ndim != 3 or len(picture) != len(channels):
        raise ValueError(f"expected ({len(channels)}, H, W) for {', '.join(channels)}, got {picture.shape}")
    shown = list(channels) if shown is None else list(shown)
    unknown = [name for name in shown if name not in channels]
    if unknown:
        raise ValueError(f"no channel {unknown[0]!r}; there are {', '.join(channels)}")
    dimming = min(1.0, 1.3 / math.sqrt(max(1, len(shown))))
    dark = np.ones((*picture.shape[1:], 3), dtype=np.float32)
    for name in shown:
        light = np.clip(picture[list(channels).index(name)].astype(np.float32) * (brightness / 255), 0, 1)
        colour = np.array(WHITE if len(shown) == 1 else colour_of(name, channels), dtype=np.float32) / 255
        dark *= 1 - light[..., None] * colour * dimming
    return ((1 - dark) * 255).round().astype(np.uint8)


def scale_bar_um(width_px: int, pixel_size_um: float) -> float:
    """The longest of 1, 2, 5, 10, 20, 50 ... micrometres that fills at most a third of a picture's width."""
    room = width_px * pixel_size_um / 3
    decade = 10.0 ** math.floor(math.log10(room))
    return max(step * decade for step in (1.0, 2.0, 5.0) if step * decade <= room)


def with_scale_bar(rgb: NDArray[np.uint8], pixel_size_um: float) -> NDArray[np.uint8]:
    """The picture with a white bar of `scale_bar_um` in its lower right corner."""
    height, width = rgb.shape[:2]
    length = max(1, round(scale_bar_um(width, pixel_size_um) / pixel_size_um))
    thickness, margin = max(1, height // 64), max(2, width // 32)
    marked = rgb.copy()
    bottom, right = height - margin, width - margin
    marked[bottom - thickness - 1:bottom + 1, right - length - 1:right + 1] = 0  # seen on bright cells too
    marked[bottom - thickness:bottom, right - length:right] = 255
    return marked


def enlarged(rgb: NDArray[np.uint8], at_least_px: int) -> NDArray[np.uint8]:
    """The picture with smooth edges at the smallest whole multiple that is at least so wide; never made smaller."""
    height, width = rgb.shape[:2]
    factor = max(1, -(-at_least_px // width))
    if factor == 1:
        return rgb
    image = Image.fromarray(rgb).resize((width * factor, height * factor), Image.Resampling.BICUBIC)
    return np.asarray(image)


def png(rgb: NDArray[np.uint8]) -> bytes:
    """A picture (H, W, 3) as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, format="PNG", compress_level=3)
    return buffer.getvalue()
