"""The light of an indexed screen, kept with its bundle, so that images of one's own can be corrected as its were."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from skimage.transform import resize

from dssl_bio.errors import QueryError, ScreenError
from dssl_bio.imaging.illumination import STORED_PX, Illumination
from dssl_bio.screens.screen import Images
from dssl_bio.vocabulary import PLATE

LIGHT = "illumination.safetensors"


@dataclass(frozen=True)
class MeanLight:
    """Mean over a screen's plates of what was divided out of their sites.

    Attributes:
        field: (C, h, w) relative brightness about 1, over the whole of the camera's field.
        dark: (C,) counts that are there without light.
        between_plates: (C,) root mean square of what plates differ from the mean by.
        n_plates: that were corrected.
    """

    field: NDArray[np.float32]
    dark: NDArray[np.float32]
    between_plates: NDArray[np.float32]
    n_plates: int

    @property
    def unevenness(self) -> float:
        """Root mean square of field - 1, of the most uneven channel."""
        return float((self.field - 1).std((1, 2)).max())

    def corrected(self, site: NDArray[np.uint16]) -> NDArray[np.uint16]:
        """A whole field of the camera (C, H, W) as even light would have shown it, as `ingest` corrects a plate's.

        Raises:
            QueryError: it has other channels.
        """
        if len(site) != len(self.field):
            raise QueryError(f"the light of {len(self.field)} channels is known, the image has {len(site)}")
        return self._known.corrector((site.shape[1], site.shape[2]))(site)

    def words(self) -> str:
        """What it is and how far it can be trusted."""
        between = f", plates differ from their mean by {100 * self.between_plates.max():.1f} %"
        return (f"the mean illumination of {self.n_plates} {'plate' if self.n_plates == 1 else 'plates'} (uneven by "
                f"{100 * self.unevenness:.1f} %{between if self.n_plates > 1 else ''})")

    def as_json(self) -> dict[str, Any]:
        """For the bundle's record."""
        return {"plates": self.n_plates, "unevenness": round(self.unevenness, 4),
                "between_plates": round(float(self.between_plates.max()), 4)}

    def save(self, path: Path) -> None:
        """Writes it."""
        save_file({"field": np.ascontiguousarray(self.field), "dark": self.dark, "between_plates": self.between_plates,
                   "n_plates": np.array([self.n_plates])}, path)

    @classmethod
    def read(cls, path: Path) -> "MeanLight":
        """The reverse of `save`."""
        stored = load_file(path)
        return cls(stored["field"], stored["dark"], stored["between_plates"], int(stored["n_plates"][0]))

    @cached_property
    def _known(self) -> Illumination:
        zero = np.zeros(len(self.field), np.float32)
        return Illumination(self.field, self.dark, zero, zero, "given")


def mean_light(images: Images) -> MeanLight | None:
    """The mean light of a screen's plates; None where none was corrected, or the screen is of an earlier version."""
    try:
        table = images.plates()
    except ScreenError:
        return None
    corrected = table[table["illumination"] != "none"]
    if not len(corrected):
        return None
    plates = corrected[PLATE].astype(str).unique()
    fields = np.stack([_coarse(images.illumination(plate)) for plate in plates])
    dark = corrected.assign(**{PLATE: corrected[PLATE].astype(str)}).pivot_table("dark", PLATE, "channel")
    mean = fields.mean(0)
    mean /= mean.mean((1, 2), keepdims=True)
    return MeanLight(mean.astype(np.float32), dark[list(images.channels)].mean().to_numpy(np.float32),
                     np.sqrt(((fields - mean) ** 2).mean((0, 2, 3))).astype(np.float32), len(plates))


def _coarse(field: NDArray[np.float32]) -> NDArray[np.float32]:
    """A field (C, h, w) on no finer grid than estimates have: given ones are as large as sites."""
    if max(field.shape[1:]) <= STORED_PX:
        return field
    return np.stack([resize(plane, (STORED_PX, STORED_PX), order=1, anti_aliasing=True) for plane in field])
