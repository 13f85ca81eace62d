"""Hits that a person keeps while looking: a collection of the session that can be saved and loaded."""

import json
from typing import Any

import pandas as pd
import streamlit as st
from dssl_bio.app import query, words
from dssl_bio.app.resources import tables

from dssl_bio.errors import QueryError
from dssl_bio.screens.entries import ENTRY_KEY

KEPT = "kept"
FORM = "dssl-bio collection"
MAX_KEPT = 500
MAX_NOTE = 500


def collection() -> list[dict[str, Any]]:
    """Kept hits of this session: bundle, entry, name, query, score, note."""
    kept: list[dict[str, Any]] = st.session_state.setdefault(KEPT, [])
    return kept


def keep_button(path: str, entry: int, name: str, score: float) -> None:
    """Keeps a hit, or lets it go."""
    bundle = tables(path)
    key, asked = str(bundle.entries[ENTRY_KEY].iloc[entry]), query.asked()
    place = next((i for i, item in enumerate(collection())
                  if (item["bundle"], item["entry"], item["query"]) == (bundle.id, key, asked)), None)
    label = "Keep" if place is None else "Kept"
    if st.button(label, key=f"keep_{entry}", icon=":material/bookmark_add:" if place is None else
                 ":material/bookmark_added:", type="tertiary", help=f"Keep {words.plain(words.shortened(name))} in the "
                 "collection of this session" if place is None else "Remove from the collection"):
        if place is not None:
            collection().pop(place)
        elif len(collection()) < MAX_KEPT:
            collection().append({"bundle": bundle.id, "entry": key, "name": name, "query": asked,
                                 "score": round(score, 6), "note": ""})
        st.rerun()


def saved(items: list[dict[str, Any]]) -> str:
    """A collection as JSON."""
    return json.dumps({"form": FORM, "version": 1, "hits": items}, ensure_ascii=False, indent=1) + "\n"


def loaded(text: bytes) -> list[dict[str, Any]]:
    """The reverse of `saved`.

    Raises:
        QueryError: not such a file.
    """
    try:
        record = json.loads(text)
        if record["form"] != FORM or record["version"] != 1:
            raise ValueError("another form or version")
        items = [{"bundle": str(item["bundle"]), "entry": str(item["entry"]), "name": str(item["name"])[:200],
                  "query": str(item["query"])[:2_000], "score": float(item["score"]),
                  "note": str(item.get("note", ""))[:MAX_NOTE]} for item in record["hits"][:MAX_KEPT]]
    except (ValueError, KeyError, TypeError, RecursionError) as cause:
        raise QueryError("this is not a collection saved by DSSL-Bio") from cause
    return items


def replace(before: list[dict[str, Any]], edited: pd.DataFrame) -> None:
    """Takes over notes and removals of an edited `as_table(before)`; a row that was added by hand is no hit."""
    after = [{**before[place], "note": str(note or "")[:MAX_NOTE]}
             for place, note in zip(edited.index.tolist(), edited["note"], strict=True)
             if isinstance(place, int) and 0 <= place < len(before)]
    if after != collection():
        st.session_state[KEPT] = after
        if len(after) != len(before):
            st.rerun()


def as_table(items: list[dict[str, Any]]) -> pd.DataFrame:
    """A collection as rows."""
    return pd.DataFrame(items, columns=["query", "name", "entry", "score", "note", "bundle"])
