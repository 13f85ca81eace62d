"""Which molecules do anything at all, where the screen says so."""

import pandas as pd

from dssl_bio.screens.screen import Screen
from dssl_bio.vocabulary import MOLECULE_ID

INDUCTION = "Induction"
ACTIVE_FROM_PER_CENT = 5.0
"""Induction is the share of features that a well changes, in per cent; from 5 % the laboratory calls it active."""


def known_activity(screen: Screen) -> "pd.Series[bool]":
    """Active or not by molecule_id: the largest Induction of its wells; empty where the screen has no such column."""
    if INDUCTION not in screen.wells:
        return pd.Series(dtype="boolean")
    induction = pd.to_numeric(screen.wells[INDUCTION], errors="coerce")
    largest = induction.groupby(screen.wells[MOLECULE_ID]).max().dropna()
    return largest >= ACTIVE_FROM_PER_CENT
