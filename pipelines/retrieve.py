"""`dssl-bio retrieve`: from molecules to the phenotypes they should give."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from .common import OK, PARTIAL, QUIET, SEED, command, progress_bar, reporter

if TYPE_CHECKING:
    import pandas as pd

    from dssl_bio.retrieval.significance import Null

FEW = 50


@command
def retrieve(
    bundle: Path = typer.Argument(..., help="Bundle folder made by `dssl-bio index`."),
    smiles: list[str] | None = typer.Option(None, "--smiles", help="A molecule; may be repeated."),
    input_: Path | None = typer.Option(None, "--input", help="CSV, TSV, SMI, SDF (also .gz) or Parquet of molecules."),
    smiles_column: str | None = typer.Option(None, "--smiles-column", help="Its column of SMILES."),
    dose_um: float | None = typer.Option(None, "--dose-um", help="Ask at this dose: among entries at the doses nearest "
                                                                 "to it, and by a model that reads doses as well."),
    top_k: int = typer.Option(10, "--top-k", min=1, help="Hits of each molecule."),
    out: Path | None = typer.Option(None, "--out", help="File to write: .csv, .parquet or .json. A table otherwise."),
    workers: int | None = typer.Option(None, "--workers", min=1, help="Processes that read molecules; all cores."),
    seed: int = SEED,
    quiet: bool = QUIET,
) -> int:
    """Find the phenotypes nearest to molecules: the cells they should make.

    The score is the cosine of the shared representations. p is how often an unrelated pair of the bundle's null
    scores as high, q its Benjamini-Hochberg value over the query's gallery; neither is the probability of being wrong
    about a mechanism. A line that is no molecule becomes a row with its reason. Nothing here is random: --seed
    changes nothing and is taken because every command takes it.

    Example: dssl-bio retrieve bundles/mine --input library.smi --top-k 5 --out hits.csv

    Exit status 2: hits were written, and some molecules failed (their rows say why).
    """
    from dssl_bio.chem.standardize_many import Standardizer
    from dssl_bio.errors import QueryError
    from dssl_bio.retrieval.output import rows_to
    from dssl_bio.retrieval.queries import QueryFile, queries_of

    if bool(smiles) == (input_ is not None):
        raise QueryError("give molecules with --smiles or with --input FILE, one of the two")
    if smiles_column and input_ is None:
        raise QueryError("--smiles-column belongs to --input")
    file = QueryFile.open(input_, smiles_column) if input_ is not None else None
    total = file.total if file is not None else len(smiles or [])
    few = total is not None and total <= FEW
    report, failed, asked = reporter(quiet), 0, 0
    with ExitStack() as stack:
        write = stack.enter_context(rows_to(out)) if out is not None else None
        pool = stack.enter_context(Standardizer(1 if few else workers))  # starts while the bundle is read
        # The library that searches loads here: what was wrong with the question has been said by now.
        from threadpoolctl import threadpool_limits

        from dssl_bio.retrieval.applicability import read_expected, trust_lines
        from dssl_bio.retrieval.batch import ERROR
        from dssl_bio.retrieval.batch import retrieve as tables
        from dssl_bio.retrieval.bundle import Bundle
        from dssl_bio.retrieval.search import Searcher

        if not few:  # every core has its worker; threads of ours would only wait for them
            stack.enter_context(threadpool_limits(1))
        opened = Bundle.open(bundle)
        searcher = Searcher(opened, dose_um)
        bar = stack.enter_context(progress_bar("molecules", quiet or (few and out is None)))
        queries: Iterator = iter(file) if file is not None else queries_of(smiles or [])
        for rows in tables(searcher, queries, pool, top_k):
            if write is not None:
                write(rows)
            else:
                show(rows, opened.null)
                if few:
                    found = rows.loc[rows["status"] != ERROR, "query"]
                    for line in trust_lines(found, opened.molecules, read_expected(opened.folder)):
                        report(line)
            asked += int(((rows["rank"] == 1) | (rows["status"] == ERROR)).sum())
            failed += int((rows["status"] == ERROR).sum())
            bar(asked, max(asked, total) if total is not None else None)
        if not asked:
            raise QueryError(f"{input_} holds no molecule")
    null = opened.null
    report(f"null: {null.name}, {len(null.scores):,} draws; the smallest p it can tell is {null.resolution:.2g}")
    if words := searcher.dose_words():
        report(words)
    if opened.simulated:
        report("simulated: the phenotypes or the model's training data come from a simulated screen")
    report(f"{asked:,} molecules asked among {len(searcher.gallery):,} entries, {failed:,} failed"
           + (f"; written to {out}" if out is not None else ""))
    return PARTIAL if failed else OK


def show(rows: "pd.DataFrame", null: "Null") -> None:
    """Prints hits as a table."""
    import pandas as pd
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not console.is_terminal:
        console = Console(width=240)
    columns = ["query", "rank", "entry_key", "compound", "dose_um", "plate", "well", "mechanism", "score"]
    used = [name for name in columns if rows[name].notna().any()]
    table = Table(*used, "p", "q", "")
    for _, row in rows.iterrows():
        values = ["" if pd.isna(row[name]) else f"{row[name]:.3f}" if name == "score" else
                  f"{row[name]:g}" if name == "dose_um" else str(row[name]) for name in used]
        failed = row["status"] != "ok"
        p = "" if failed else p_in_words(row["p"], null, row["score"])
        q = "" if failed else f"{'<= ' if row['p'] <= null.resolution else ''}{row['q']:.2g}"
        # Text, because a SMILES such as C[N] would be read as markup
        table.add_row(*(Text(value) for value in (*values, p, q, f"error: {row['message']}" if failed else "")))
    console.print(table)


def p_in_words(p: float, null: "Null", score: float | None = None) -> str:
    """A p-value for a reader: below what the null resolves it is no number, or that of a fitted tail, named so."""
    if p > null.resolution:
        return f"{p:.2g}"
    fitted = None if score is None else null.fitted_p(score)
    words = f"not resolvable (<= {null.resolution:.2g})"
    return words if fitted is None else f"{words}; {fitted:.1g} by a fitted tail"
