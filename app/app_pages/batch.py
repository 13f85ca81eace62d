"""Page: many molecules at once, from a file or pasted; a table to look at and to take along."""

import base64
import tempfile
from functools import partial
from pathlib import Path
from urllib.parse import quote

import pandas as pd
import streamlit as st
from dssl_bio.app import cards, jobs, query, share, words
from dssl_bio.app.resources import dark, opened, searcher, standardizer, tables, waiting

from dssl_bio.chem.depict import svg
from dssl_bio.chem.standardize_many import Outcome, Question
from dssl_bio.errors import MoleculeError, QueryError
from dssl_bio.retrieval.queries import ENDINGS, queries_of
from dssl_bio.retrieval.spreadsheet import INSTALLED, xlsx

PASTED = "pasted"
JOB, FOLDER = "batch_job", "batch_folder"
UPLOAD_MB = 50
MAX_TOP, DEFAULT_TOP = 50, 5
SHOWN = 200
MAX_PASTED = 2_000_000


def ask(path: str) -> None:
    """File or text, and how many hits of each."""
    bundle = tables(path)
    with st.form("batch", border=True):
        left, right = st.columns(2, gap="large")
        file = left.file_uploader("A file of molecules", type=[ending.lstrip(".") for ending in (*ENDINGS, ".gz")],
                                  max_upload_size=UPLOAD_MB,
                                  help="CSV or TSV with a column of SMILES, SMI, SDF, Parquet; text also gzipped.")
        pasted = right.text_area("Or paste SMILES, one a line", height=120, max_chars=MAX_PASTED, key=PASTED,
                                 placeholder="CC(=O)Oc1ccccc1C(=O)O\nCn1cnc2c1c(=O)n(C)c(=O)n2C")
        doses = query.doses_of(bundle)
        count, dose, button = st.columns([1, 1, 2], vertical_alignment="bottom")
        top = count.number_input("Hits of each", 1, MAX_TOP, DEFAULT_TOP)
        dose_um = query.dose_box(dose, doses) if doses else None
        if not button.form_submit_button("Search all", type="primary"):
            return
    stop()
    with query.sentences(), waiting(path):
        folder = jobs.new_folder()
        if file is not None:
            asked, total = jobs.queries_of_upload(file.name, file.getvalue(), Path(folder.name))
        else:
            lines = [line.strip() for line in pasted.splitlines() if line.strip()]
            if not lines:
                raise QueryError("give a file, or paste a SMILES a line")
            asked, total = queries_of(lines), len(lines)
        if total is not None and total > jobs.MAX_MOLECULES:
            raise QueryError(f"about {total:,} molecules; a page takes {jobs.MAX_MOLECULES:,}, the command line any "
                             "number: dssl-bio retrieve BUNDLE --input FILE --out hits.csv")
        st.session_state[FOLDER] = folder  # the file goes when the session does
        st.session_state[JOB] = (path, int(top), dose_um, jobs.start(searcher(path, dose_um), asked, standardizer(),
                                                                     int(top), total))
    st.rerun()


def stop() -> None:
    """Ends what this session had started."""
    if JOB in st.session_state:
        st.session_state[JOB][-1].stopped.set()


@st.fragment(run_every=0.5)
def watch() -> None:
    """How far it has come, and a button to stop it; the whole page follows when it is done."""
    job: jobs.Job = st.session_state[JOB][-1]
    if job.finished:
        st.rerun()
    bar, button = st.columns([5, 1], vertical_alignment="center")
    of = f" of about {job.total:,}" if job.total else ""
    bar.progress(min(1.0, job.done / job.total) if job.total else 0.0, f"{job.done:,}{of} molecules asked")
    if button.button("Stop", icon=":material/stop:"):
        job.stopped.set()
        st.rerun(scope="fragment")


def result(path: str, top_k: int, dose_um: float | None, job: jobs.Job) -> None:
    """The table, and what can be taken along."""
    table = job.table
    if job.error:
        st.error(words.plain(job.error))
    if table.empty:
        st.info("No molecule was found in what you gave.")
        return
    stopped = " Stopped before the end." if job.stopped.is_set() else ""
    st.html(cards.figures([("molecules asked", f"{job.done:,}"), ("could not be read", f"{job.failed:,}"),
                           ("with a hit of q up to 0.05", f"{table.loc[table['q'] <= 0.05, 'query'].nunique():,}")]))
    st.markdown("The best hit of each molecule." + stopped + " "
                + words.plain(words.null_sentence(opened(path).null)))
    first = table[table["rank"].isna() | (table["rank"] == 1)].head(SHOWN)
    st.dataframe(_shown(path, first), hide_index=True, row_height=72, height=560, alt="The best hit of each molecule",
                 column_config={
                     "structure": st.column_config.ImageColumn("Structure", width="small"),
                     "query": st.column_config.TextColumn("Asked", width="medium"),
                     "best hit": "Best hit", "mechanism": "Mechanism", "message": "What is wrong",
                     "open": st.column_config.LinkColumn("All hits", display_text="open", width="small"),
                     "cosine": st.column_config.NumberColumn("Cosine", format="%.3f", help=words.COSINE),
                     "p": st.column_config.TextColumn("p", help=words.P),
                     "q": st.column_config.TextColumn("q", help=words.Q)})
    if len(first) == SHOWN:
        st.caption(f"The first {SHOWN} molecules are shown; the files hold all.")
    downloads(table)
    line = ["dssl-bio", "retrieve", share.bundle_argument(path), "--input", "FILE", "--top-k", str(top_k),
            *(["--dose-um", f"{dose_um:g}"] if dose_um is not None else []), "--out", "hits.csv"]
    share.command_line(line)


def downloads(table: pd.DataFrame) -> None:
    """The whole table in three forms; texts that a spreadsheet would run are made harmless."""
    with st.container(horizontal=True, gap="small"):
        for ending, kind in ((".csv", "text/csv"), (".parquet", "application/vnd.apache.parquet")):
            st.download_button(ending[1:].upper(), partial(_written, table, ending), f"hits{ending}", kind,
                               icon=":material/download:", on_click="ignore")
        if INSTALLED:
            st.download_button("XLSX", lambda: xlsx(table), "hits.xlsx", on_click="ignore", icon=":material/download:",
                               mime="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")


def _written(table: pd.DataFrame, ending: str) -> bytes:
    """A file as the command line writes it."""
    from dssl_bio.retrieval.output import rows_to

    with tempfile.TemporaryDirectory(prefix="dssl-bio-") as folder:
        path = Path(folder) / f"hits{ending}"
        with rows_to(path) as write:
            write(table)
        return path.read_bytes()


def _shown(path: str, rows: pd.DataFrame) -> pd.DataFrame:
    """Rows as the page shows them: drawn, p and q in words, a link to all hits of each."""
    null = opened(path).null
    failed = rows["status"] != "ok"
    floor = rows["p"] <= null.resolution * (1 + 1e-9)
    p = [words.p_text(value, null) if value == value else "" for value in rows["p"].astype(float)]
    q = [("at most " if low else "") + words.number(value) if value == value else ""
         for low, value in zip(floor, rows["q"].astype(float), strict=True)]
    asked = rows["query"].astype(str)
    name = rows["compound"].fillna(rows["molecule_id"]).fillna("")
    bundle = quote(str(st.query_params.get("bundle", "")))
    return pd.DataFrame({
        "structure": _drawings(tuple("" if bad else text for bad, text in zip(failed, asked, strict=True)), dark()),
        "query": asked.map(lambda text: words.shortened(text, 80)), "best hit": name,
        "mechanism": rows["mechanism"].fillna(""),
        "cosine": rows["score"].astype(float), "p": p, "q": q,
        "open": [None if bad else f"./?bundle={bundle}&molecule={quote(text, safe='')}"
                 for bad, text in zip(failed, asked, strict=True)],
        "message": rows["message"].where(failed, "")})


@st.cache_data(show_spinner=False, max_entries=64)
def _drawings(texts: tuple[str, ...], on_dark: bool) -> list[str | None]:
    """Drawings as data addresses; none where a text is a title rather than a structure."""
    outcomes = standardizer().standardized(map(Question, texts))
    return [_drawn(outcome, on_dark) for outcome in outcomes]


def _drawn(outcome: Outcome, on_dark: bool) -> str | None:
    if isinstance(outcome, MoleculeError):
        return None
    try:
        drawing = svg(outcome, 150, 96, dark=on_dark)
    except MoleculeError:
        return None
    return "data:image/svg+xml;base64," + base64.b64encode(drawing.encode()).decode()


def page() -> None:
    """Ask, wait, look."""
    _, path = cards.begin("Batch", "Many molecules at once: the phenotypes that each should give, as a table.")
    ask(path)
    if JOB not in st.session_state:
        return
    asked, top_k, dose_um, job = st.session_state[JOB]
    if asked != path:
        return
    if job.finished:
        result(path, top_k, dose_um, job)
    else:
        watch()


page()
