"""Passing a result on: its address, the same question on the command line, and a page to print."""

import shlex
from collections.abc import Sequence
from urllib.parse import urlencode, urlsplit

import streamlit as st
from dssl_bio.app import query, words
from dssl_bio.app.resources import Answer, opened, tables, trust

from dssl_bio.retrieval.report import query_report

LOCAL = ("localhost", "127.0.0.1", "::1")


def bar(path: str, found: Answer) -> None:
    """Buttons under a result."""
    line = command(path, found)  # made here, for a download is made outside of the session
    with st.container(horizontal=True, gap="small"):
        with st.popover("Share", icon=":material/share:"):
            st.caption("The address of this result")
            st.code(address(), language=None, wrap_lines=True)
            command_line(line)
        st.download_button("Report", lambda: report(path, found, shlex.join(line)), "report.html", "text/html",
                           icon=":material/print:", on_click="ignore",
                           help="One page to print or to keep: open it in a browser and print it, to PDF if you like.")


def command_line(parts: Sequence[str]) -> None:
    """A command that gives what the page shows, to be copied."""
    st.caption("The same on the command line")
    st.code(shlex.join(parts), language="bash", wrap_lines=True)


def address() -> str:
    """This page's address with its question; what is typed is encoded."""
    url = urlsplit(st.context.url or "")
    asked = {name: value for name, value in st.query_params.to_dict().items() if value}
    return f"{url.scheme}://{url.netloc}{url.path or '/'}?{urlencode(asked)}" if url.netloc else f"?{urlencode(asked)}"


def command(path: str, found: Answer) -> list[str]:
    """The `dssl-bio retrieve` line that gives these hits."""
    dose = query.dose_um(tables(path))
    parts = ["dssl-bio", "retrieve", bundle_argument(path), "--smiles", found.identified.molecule.smiles, "--top-k",
             str(query.top_k()), *(["--dose-um", f"{dose:g}"] if dose is not None else [])]
    return parts


def bundle_argument(path: str) -> str:
    """How a command names the bundle; its whole path is told only to its own machine."""
    on_this_machine = (urlsplit(st.context.url or "").hostname or LOCAL[0]) in LOCAL
    return path if on_this_machine else tables(path).folder.name


def report(path: str, found: Answer, line: str) -> str:
    """The printable page of a result; `line` is its command."""
    bundle = opened(path)
    told, figures = trust(path, found.identified.molecule.smiles, found.identified.molecule.inchikey)
    notes = [words.changes_sentence(found.identified), words.standing(found.identified),
             figures or told,
             words.null_sentence(bundle.null)]
    return query_report(bundle, found.identified, found.hits, notes=notes, warning=words.origin_sentence(tables(path)),
                        command=line, definitions={"Cosine": words.COSINE, "p": words.P, "q": words.Q})
