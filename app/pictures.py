"""Pictures of cells: what a person wants to see of them, and each as a file of its own that a browser fetches lazily.

A page only names a picture's address; it is composed when it is scrolled to, kept here for others, and kept by the
browser for as long as the bundle is the same.
"""

import re
from collections.abc import Sequence
from html import escape
from typing import NamedTuple
from urllib.parse import quote, urlencode

import numpy as np
import streamlit as st
from dssl_bio.app import cards, login, words
from dssl_bio.app.resources import served, tables
from numpy.typing import NDArray
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from dssl_bio.errors import DsslBioError
from dssl_bio.imaging.compose import colour_of, composite, enlarged, png, scale_bar_um, with_scale_bar
from dssl_bio.retrieval.pictures import control_row, place_of
from dssl_bio.retrieval.tables import PICTURE, PICTURES, Tables
from dssl_bio.vocabulary import PLATE

SHOWN_PX = 96  # at least; the browser enlarges pictures smoothly, and for nothing
BRIGHTNESS = (0.4, 3.0, 0.1)
ZOOMS = (1, 2, 4)
KEPT = {"Cache-Control": "private, max-age=86400, immutable"}
NUMBER = re.compile(r"\d{1,9}")


class Display(NamedTuple):
    """Which channels are laid over each other, how bright, and how much of the picture."""

    shown: tuple[str, ...]
    brightness: float
    zoom: int


def display_settings(bundle: Tables, width_px: int) -> Display:
    """Asks which channels are shown, how bright, and how near."""
    channels = bundle.channels
    left, middle, right = st.columns([2.6, 1.2, 1.2], vertical_alignment="center")
    shown = left.pills("Channels", channels, selection_mode="multi", default=list(channels), key="channels")
    brightness = middle.slider("Contrast", BRIGHTNESS[0], BRIGHTNESS[1], 1.0, BRIGHTNESS[2], key="brightness",
                               help="Multiplies every channel of every picture by the same factor, so that pictures "
                                    "stay comparable.")
    zoom = right.select_slider("Zoom", list(ZOOMS), 1, key="zoom", format_func=lambda factor: f"{factor}x",
                               help="The middle of every picture, enlarged.")
    keys = [(name, colour_of(name, channels)) for name in channels]
    alone = " A channel alone is shown in grey." if len(shown) == 1 else ""
    bar = f"bar {scale_bar_um(width_px // zoom, bundle.pixel_size_um):g} µm.{alone}" if bundle.pixel_size_um > 0 else ""
    st.html(cards.channel_key(keys) + f'<span class="dssl-key">{bar}</span>')
    return Display(tuple(name for name in channels if name in shown), brightness, zoom)


def pair(path: str, entry: int, name: str, display: Display) -> str:
    """An entry's cells beside untreated cells of the same plate, as HTML; nothing where it has no picture."""
    bundle = tables(path)
    if PICTURE not in bundle.entries or bundle.entries[PICTURE].iloc[entry] < 0:
        return ""
    place = place_of(bundle.entries, entry)
    number, caption = int(bundle.entries[PICTURE].iloc[entry]), ", ".join(filter(None, ("treated", place)))
    shown = [_figure(path, number, display, caption, f"Cells treated with {words.shortened(name)}")]
    plate = str(bundle.entries[PLATE].iloc[entry]).split(";")[0] if PLATE in bundle.entries else ""
    row = control_row(bundle.controls, plate)
    if row is None:
        shown.append("<figure><figcaption>No untreated well of this plate has a picture.</figcaption></figure>")
    else:
        beside = place_of(bundle.controls, row)
        shown.append(_figure(path, int(bundle.controls[PICTURE].iloc[row]), display,
                             ", ".join(filter(None, ("untreated", beside))),
                             f"Untreated cells of the same plate, {beside}"))
    return f'<div class="dssl-pair">{"".join(shown)}</div>'


def strip(path: str, entries: Sequence[tuple[int, str]], display: Display) -> str:
    """Cells of several entries beside each other, each over its caption, as HTML; those without one are left out."""
    bundle = tables(path)
    return row_of(path, [(int(bundle.entries[PICTURE].iloc[entry]), caption) for entry, caption in entries
                         if PICTURE in bundle.entries], display)


def row_of(path: str, numbers: Sequence[tuple[int, str]], display: Display | None = None) -> str:
    """Pictures by their numbers beside each other, each over its caption, as HTML; all channels by default."""
    seen = display or Display(tables(path).channels, 1.0, 1)
    shown = "".join(_figure(path, number, seen, words.shortened(caption, 60), f"Cells: {words.shortened(caption)}")
                    for number, caption in numbers if number >= 0)
    return f'<div class="dssl-grid dssl-pair dssl-strip">{shown}</div>' if shown else ""


def address(path: str, number: int, display: Display) -> str:
    """Where a picture is fetched, beside the page."""
    bundle = tables(path)
    name = next(name for name, folder in served().items() if str(folder) == path)
    asked = {"channels": ",".join(display.shown), "contrast": f"{display.brightness:g}", "zoom": display.zoom,
             "bundle": bundle.id}
    if told := login.pass_of(name, number):
        asked["pass"] = told
    return f"./pictures/{quote(name, safe='')}/{number}.png?{urlencode(asked)}"


def _figure(path: str, number: int, display: Display, caption: str, alt: str) -> str:
    return (f'<figure><img src="{escape(address(path, number, display))}" alt="{escape(words.spoken(alt))}" '
            f'loading="lazy" width="160" height="160"><figcaption>{escape(caption)}</figcaption></figure>')


async def answered(request: Request) -> Response:
    """A picture, or a sentence why there is none at this address."""
    folder = served().get(request.path_params["bundle"])
    number, asked = request.path_params["number"], request.query_params
    if folder is None or not NUMBER.fullmatch(number):
        return PlainTextResponse("No such picture.", 404)
    if not login.has_pass(request.path_params["bundle"], number, asked.get("pass", "")):
        return PlainTextResponse("Sign in first.", 401)
    try:
        channels = tables(str(folder)).channels
        display = Display(tuple(name for name in channels if name in asked.get("channels", "").split(",")),
                          float(asked.get("contrast", "1")), int(asked.get("zoom", "1")))
    except (DsslBioError, ValueError):
        return PlainTextResponse("No such picture.", 404)
    low, high, _ = BRIGHTNESS
    if not low <= display.brightness <= high or display.zoom not in ZOOMS:
        return PlainTextResponse("No such picture.", 404)
    picture = await run_in_threadpool(drawn, str(folder), int(number), channels, display)
    if picture is None:
        return PlainTextResponse("No such picture.", 404)
    return Response(picture, media_type="image/png", headers=KEPT)


@st.cache_resource(show_spinner=False, max_entries=8)
def stored(path: str) -> NDArray[np.uint8] | None:
    """The pictures of a bundle, read from disk as they are looked at; its model, which takes seconds, is not needed."""
    file = tables(path).folder / PICTURES
    return np.load(file, mmap_mode="r", allow_pickle=False) if file.is_file() else None


@st.cache_resource(show_spinner=False, max_entries=2_000)
def drawn(path: str, number: int, channels: Sequence[str], display: Display) -> bytes | None:
    """A picture as it is shown, with its scale bar; kept, since several people look at the same ones."""
    every = stored(path)
    if every is None or number >= len(every):
        return None
    pixels = _middle(np.asarray(every[number]), display.zoom)
    rgb = enlarged(composite(pixels, channels, display.shown, round(display.brightness, 1)), SHOWN_PX)
    size = tables(path).pixel_size_um
    if size > 0:
        rgb = with_scale_bar(rgb, size * pixels.shape[2] / rgb.shape[1])
    return png(rgb)


def _middle(pixels: np.ndarray, zoom: int) -> np.ndarray:
    height, width = (length // zoom for length in pixels.shape[1:])
    top, left = (pixels.shape[1] - height) // 2, (pixels.shape[2] - width) // 2
    return pixels[:, top:top + height, left:left + width]
