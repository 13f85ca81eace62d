"""Montages of wells: composites, strips of channels and nucleus-centred crops, with labels and a scale bar in um."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from dssl_bio.imaging.compose import colour_of, composite, scale_bar_um

Rgb = NDArray[np.uint8]

GAP_PX, TEXT_PX, INK, PAPER = 6, 15, (20, 20, 20), (255, 255, 255)


@dataclass(frozen=True)
class Panel:
    """One well as it is shown.

    Attributes:
        title: lines over it, such as plate, well and compound.
        picture: (C, H, W); 255 is the upper limit of the plate's channel.
        crops: (N, C, h, w) of its cells, as many as there are; may be empty.
    """

    title: tuple[str, ...]
    picture: NDArray[np.uint8]
    crops: NDArray[np.uint8]


def montage(panels: Sequence[Panel], channels: tuple[str, ...], pixel_size_um: float, *,
            width_px: int = 300) -> Rgb:
    """A page (H, W, 3) with one row a well: the composite, each channel in its colour, and cells.

    All pictures are drawn at one scale and one brightness, so that what differs on the page differs in the wells; the
    scale bar of the first composite holds for every site.

    Args:
        panels: wells, in order.
        channels: names of the C channels.
        pixel_size_um: side of a pixel.
        width_px: width of a composite and of a strip's picture.

    Raises:
        ValueError: there are no panels.
    """
    if not panels:
        raise ValueError("a montage needs at least one well")
    side = math.ceil(math.sqrt(max(len(panel.crops) for panel in panels)))
    rows = [_row(panel, channels, pixel_size_um, width_px, side) for panel in panels]
    widest = max(row.shape[1] for row in rows)
    head = _heading(channels, width_px, widest, has_crops=any(len(panel.crops) for panel in panels))
    return _stacked([head, *(_filled(row, widest) for row in rows)])


def crops_at(site: NDArray[np.generic], centres: Sequence[tuple[float, float]], size: int) -> NDArray[np.generic]:
    """Squares (N, C, size, size) of a site (C, H, W) about centres (y, x); black beyond the border of the site."""
    half = size // 2
    padded = np.pad(site, ((0, 0), (half, size - half), (half, size - half)))
    corners = [(max(0, min(round(y), site.shape[1])), max(0, min(round(x), site.shape[2]))) for y, x in centres]
    cut = [padded[:, y:y + size, x:x + size] for y, x in corners]
    return np.stack(cut) if cut else np.zeros((0, len(site), size, size), site.dtype)


def bar_with_length(rgb: Rgb, pixel_size_um: float) -> Rgb:
    """The picture with a white bar of a round length in its lower right corner and that length in um above it."""
    height, width = rgb.shape[:2]
    length_um = scale_bar_um(width, pixel_size_um)
    length = max(1, round(length_um / pixel_size_um))
    image = Image.fromarray(rgb)
    draw = ImageDraw.Draw(image)
    right, bottom = width - max(4, width // 32), height - max(4, height // 32)
    thickness = max(2, height // 100)
    draw.rectangle((right - length - 1, bottom - thickness - 1, right + 1, bottom + 1), fill=(0, 0, 0))
    draw.rectangle((right - length, bottom - thickness, right, bottom), fill=(255, 255, 255))
    draw.text((right - length / 2, bottom - thickness - 3), f"{length_um:g} um", fill=(255, 255, 255), anchor="ms",
              font=ImageFont.load_default(max(10, height // 22)), stroke_width=1, stroke_fill=(0, 0, 0))
    return np.asarray(image)


def _row(panel: Panel, channels: tuple[str, ...], pixel_size_um: float, width_px: int, side: int) -> Rgb:
    scale = width_px / panel.picture.shape[2]
    whole = _resized(composite(panel.picture, channels), scale)
    parts = [bar_with_length(whole, pixel_size_um / scale)]
    if len(channels) > 1:
        parts += [_resized(_tinted(panel.picture[k], name, channels), scale) for k, name in enumerate(channels)]
    if len(panel.crops):
        parts.append(_grid([composite(crop, channels) for crop in panel.crops], whole.shape[0], side))
    return _stacked([_text_line(" \u00b7 ".join(panel.title), sum(p.shape[1] + GAP_PX for p in parts) - GAP_PX),
                     _side_by_side(parts)])


def _tinted(plane: NDArray[np.uint8], channel: str, channels: tuple[str, ...]) -> Rgb:
    colour = np.array(colour_of(channel, channels), dtype=np.float32) / 255
    return (plane[..., None] * colour).round().astype(np.uint8)


def _heading(channels: tuple[str, ...], width_px: int, width: int, has_crops: bool) -> Rgb:
    names = ["composite" if len(channels) > 1 else channels[0], *(channels if len(channels) > 1 else ())]
    line = Image.new("RGB", (width, TEXT_PX + 8), PAPER)
    draw = ImageDraw.Draw(line)
    for k, name in enumerate([*names, *(["cells"] if has_crops else [])]):
        draw.text((k * (width_px + GAP_PX) + 2, 3), name, fill=INK, font=ImageFont.load_default(TEXT_PX))
    return np.asarray(line)


def _text_line(text: str, width: int) -> Rgb:
    line = Image.new("RGB", (width, TEXT_PX + 8), PAPER)
    ImageDraw.Draw(line).text((2, 3), text, fill=INK, font=ImageFont.load_default(TEXT_PX))
    return np.asarray(line)


def _grid(pictures: list[Rgb], height: int, side: int) -> Rgb:
    """Square pictures in a grid of `side` by `side` of a height; the same for all wells, so that cells compare."""
    size = max(1, (height - (side - 1) * 2) // side)
    canvas = np.full((height, side * (size + 2) - 2, 3), 255, np.uint8)
    for k, picture in enumerate(pictures):
        y, x = (k // side) * (size + 2), (k % side) * (size + 2)
        canvas[y:y + size, x:x + size] = np.asarray(Image.fromarray(picture).resize((size, size)))
    return canvas


def _resized(rgb: Rgb, scale: float) -> Rgb:
    size = (max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale)))
    method = Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(rgb).resize(size, method))


def _side_by_side(parts: list[Rgb]) -> Rgb:
    gap = np.full((parts[0].shape[0], GAP_PX, 3), 255, np.uint8)
    joined = [parts[0]]
    for part in parts[1:]:
        joined += [gap, part]
    return np.concatenate(joined, axis=1)


def _filled(rgb: Rgb, width: int) -> Rgb:
    return np.pad(rgb, ((0, 0), (0, width - rgb.shape[1]), (0, 0)), constant_values=255)


def _stacked(rows: list[Rgb]) -> Rgb:
    return np.concatenate([np.pad(row, ((0, GAP_PX // 2), (0, 0), (0, 0)), constant_values=255) for row in rows])
