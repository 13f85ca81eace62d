"""The routes of the HTTP interface; `dssl-bio serve --api` has uvicorn run `application`.

It only reads: no request changes anything, nothing sent is kept, and no address but this server's is ever asked.
"""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import anyio.to_thread
from dssl_bio.app.api import engine, factors, forms, guard, page
from dssl_bio.app.api.engine import Engine, Engines
from dssl_bio.app.password import Password, password_of_server
from dssl_bio.app.served import bundles_of_server
from fastapi import FastAPI, File, Form, Query, UploadFile
from fastapi.responses import HTMLResponse
from starlette.middleware.trustedhost import TrustedHostMiddleware

from dssl_bio import __version__
from dssl_bio.chem.standardize_many import Standardizer
from dssl_bio.errors import MoleculeError
from dssl_bio.vocabulary import CHANNELS

HOSTS_VARIABLE = "DSSL_BIO_HOSTS"
THREADS = 8
SUMMARY = "Molecule-phenotype retrieval: what will this molecule do to cells, and what have we seen that looks like it?"
REFUSED: dict[int | str, dict[str, Any]] = {
    400: {"model": forms.Problem, "description": "The body is no JSON or no form."},
    404: {"model": forms.Problem, "description": "No such bundle or entry."},
    413: {"model": forms.Problem, "description": "The body is too large."},
    422: {"model": forms.Problem, "description": "A field or a molecule does not fit."},
    429: {"model": forms.Problem, "description": "Too many requests are under way."},
}
MAX_FILE_BYTES = 40_000_000


def application() -> FastAPI:
    """The application of the bundles that the environment names."""
    hosts = [host for host in os.environ.get(HOSTS_VARIABLE, "").split(",") if host]
    pool = Standardizer(n_workers=2, time_limit_s=engine.TIME_LIMIT_S)  # lives as long as the server
    app = create(bundles_of_server(), pool, hosts)
    app.add_middleware(Password, password=password_of_server())
    return app


def create(bundles: dict[str, Path], pool: Standardizer, hosts: Sequence[str] = ()) -> FastAPI:
    """The application of some bundles.

    Args:
        bundles: folders by the name under which they are asked for; the first is asked when a request names none.
        pool: standardises what is sent.
        hosts: names that a request may call this server by, any when empty; with another one a page that a browser
            shows could reach a server on its own machine.
    """
    engines = Engines(bundles, pool)
    app = FastAPI(title="DSSL-Bio", version=__version__, summary=SUMMARY, description=page.ABOUT, docs_url=None,
                  redoc_url=None, lifespan=few_threads, responses=REFUSED)
    app.add_middleware(guard.Guard)
    if hosts:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))
    guard.install(app)
    _add_reading(app, engines)
    _add_asking(app, engines)
    _add_factors(app, engines)

    @app.get("/", include_in_schema=False, response_class=HTMLResponse)
    @app.get("/docs", include_in_schema=False, response_class=HTMLResponse)
    def described() -> str:
        return page.html(app.openapi())

    return app


@asynccontextmanager
async def few_threads(_: FastAPI) -> AsyncIterator[None]:
    """Works at few requests at once: more would only take each other's processor and memory."""
    anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
    yield


def _add_reading(app: FastAPI, engines: Engines) -> None:
    @app.get("/health", tags=["server"])
    def health() -> forms.Health:
        """That the server answers, and the bundles it serves."""
        return forms.Health(status="ok", version=__version__, bundles=[one.facts() for one in engines.by_name.values()])

    @app.get("/retrieve", tags=["molecule to phenotypes"])
    def retrieve_one(
        molecule: Annotated[str, Query(max_length=forms.MAX_TEXT, examples=["CC(=O)Oc1ccccc1C(=O)O"],
                                       description="SMILES, or a name or InChIKey known to the bundle.")],
        bundle: forms.BundleName = None, dose_um: forms.DoseUm = None, top_k: forms.TopK = forms.DEFAULT_TOP,
    ) -> forms.PhenotypesFound:
        """Phenotypes that cells should show, given one molecule; what is no molecule is refused."""
        found = engines.named(bundle).phenotypes_of([molecule], dose_um, top_k)
        if found.answers[0].status == "error":
            raise MoleculeError(found.answers[0].message)
        return found


def _add_factors(app: FastAPI, engines: Engines) -> None:
    @app.get("/factors/molecule", tags=["factors"])
    def of_molecule(
        molecule: Annotated[str, Query(max_length=forms.MAX_TEXT, examples=["CCO"],
                                       description="SMILES, or a name or InChIKey known to the bundle.")],
        bundle: forms.BundleName = None,
    ) -> forms.FactorsFound:
        """What only the structure tells of a molecule: named factors as percentiles, and a weight for each atom."""
        return factors.of_molecule(engines.named(bundle), molecule)

    @app.get("/factors/phenotype", tags=["factors"])
    def of_phenotype(
        entry_key: Annotated[str, Query(max_length=forms.MAX_NAME, description="As hits name it.")],
        bundle: forms.BundleName = None,
    ) -> forms.FactorsFound:
        """What only the cells tell of a phenotype: named factors as percentiles."""
        return factors.of_entry(engines.named(bundle), entry_key)


def _add_asking(app: FastAPI, engines: Engines) -> None:
    @app.post("/retrieve", tags=["molecule to phenotypes"])
    def retrieve_many(asked: forms.MoleculesAsked) -> forms.PhenotypesFound:
        """Phenotypes of up to a hundred molecules; one that is none gets its own message and the rest goes on."""
        return engines.named(asked.bundle).phenotypes_of(asked.molecules, asked.dose_um, asked.top_k)

    @app.post("/phenotype-to-molecules/entry", tags=["phenotype to molecules"])
    def of_entry(asked: forms.EntryAsked) -> forms.MoleculesFound:
        """Molecules that should give a phenotype of the bundle."""
        return engines.named(asked.bundle).molecules_of_entry(asked.entry_key, asked.top_k)

    @app.post("/phenotype-to-molecules/profile", tags=["phenotype to molecules"])
    def of_profile(asked: forms.ProfileAsked) -> forms.MoleculesFound:
        """Molecules that should give a normalised profile of one's own; for bundles that read profiles."""
        return engine.own_profile(engines.named(asked.bundle), asked.profile, asked.top_k)

    @app.post(guard.IMAGES_PATH, tags=["phenotype to molecules"])
    def of_images(
        DNA: Treated = None, ER: Treated = None, RNA: Treated = None, AGP: Treated = None,
        Mito: Treated = None, untreated_DNA: Untreated = None, untreated_ER: Untreated = None,
        untreated_RNA: Untreated = None, untreated_AGP: Untreated = None,
        untreated_Mito: Untreated = None,
        pixel_size_um: Annotated[float | None, Form(gt=0, le=20, allow_inf_nan=False, description="Of your images; "
                                                    "the bundle's when left out.")] = None,
        light: Annotated[forms.Light, Form(description=forms.LIGHT)] = "corrected",
        bundle: Annotated[str | None, Form(max_length=forms.MAX_NAME)] = None,
        top_k: Annotated[int, Form(ge=1, le=forms.MAX_TOP)] = forms.DEFAULT_TOP,
    ) -> forms.MoleculesFound:
        """Molecules that should give cells of one's own: one TIFF a channel, told by the field's name, never by order.

        Untreated cells of the same plate set the scale of brightness, as each plate's do in a screen. Uneven light is
        to be corrected before, or divided out here by what the screen's plates had (`light`).
        """
        one: Engine = engines.named(bundle)
        treated = dict(zip(CHANNELS, (DNA, ER, RNA, AGP, Mito), strict=True))
        untreated = dict(zip(CHANNELS, (untreated_DNA, untreated_ER, untreated_RNA, untreated_AGP, untreated_Mito),
                             strict=True))
        return engine.own_images(one, _read(treated), _read(untreated), pixel_size_um, top_k, light)


Treated = Annotated[UploadFile | None, File(description="TIFF of this channel, treated cells.")]
Untreated = Annotated[UploadFile | None, File(description="TIFF of this channel, untreated cells of the same plate.")]


def _read(files: dict[str, UploadFile | None]) -> dict[str, bytes]:
    """Contents by channel; the files' own names are not looked at."""
    contents = {}
    for channel, file in files.items():
        if file is None:
            continue
        content = file.file.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise guard.HTTPException(413, f"the file of {channel} is larger than {MAX_FILE_BYTES:,} bytes")
        contents[channel] = content
    return contents
