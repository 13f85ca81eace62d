"""Summaries as tables of the page: each number with its interval, chance and the replicate ceiling beside it."""

from typing import Any

from dssl_bio.evaluation.page import CHANCE, OTHER, OURS, Cell, Row, Table, decimal, percent
from dssl_bio.evaluation.summary import TOP_K

TITLES = {
    "shared representation": "DisentangledSSL, shared", "kernel_ridge": "kernel ridge on fingerprints (tuned)",
    "nearest_neighbour": "nearest fingerprint neighbour", "descriptors": "physico-chemical descriptors",
    "cell_count": "cell count only", "plate_only": "plate identity only", "order_only": "order only (5 neighbours)",
    "mean_profile": "mean profile", "specific representation": "DisentangledSSL, specific (should be chance)",
    "replicates, by profile": "replicates, by profile", "replicates, by shared representation":
    "replicates, by shared representation", "random": "random vectors",
}
COLUMNS = ["method", "queries", "gallery", "top-1", "top-5", "top-10", "MRR", "median rank / gallery"]


def retrieval_table(records: list[dict[str, Any]], ours: tuple[str, ...], titles: dict[str, str] = TITLES) -> Table:
    """Records of one direction, setting and subset; chance of the first method's questions comes last."""
    rows = [Row(_cells(titles.get(record["method"], record["method"]), record),
                OURS if record["method"] in ours else OTHER) for record in records]
    if records:
        rows.append(Row(_chance_cells(records[0]), CHANCE))
    return Table(COLUMNS, rows)


def mechanism_summary_table(records: list[dict[str, Any]], ours: tuple[str, ...],
                            titles: dict[str, str] = TITLES) -> Table:
    """Mechanism records of one direction."""
    columns = ["method", "queries", "precision@10", "prevalence", "times prevalence", "among annotated: prevalence",
               "times", "mAP", "mAP by chance"]
    rows = []
    for record in records:
        cells = [Cell(titles.get(record["method"], record["method"])), Cell(f"{record['n_queries']:,}"),
                 percent(record["precision_at_10"]), Cell(f"{100 * record['prevalence']:.1f} %"),
                 Cell(f"{record['times_prevalence']:.1f}"), Cell(f"{100 * record['prevalence_annotated']:.1f} %"),
                 Cell(f"{record['times_prevalence_annotated']:.1f}"), decimal(record["map"]),
                 Cell(f"{record['map']['chance']:.3f}")]
        rows.append(Row(cells, OURS if record["method"] in ours else OTHER))
    return Table(columns, rows)


def batch_table(records: list[dict[str, Any]]) -> Table:
    """Plate and biology of several descriptions of the same wells (see `batch_effects`)."""
    columns = ["wells described by", "same plate", "chance", "replicates on other plates", "chance", "mechanism",
               "chance"]
    names = [name for base in ("same_plate", "replicates", "mechanism") for name in (base, f"{base}_chance")]
    rows = [Row([Cell(record["representation"]), *(_share(record[name]) for name in names)], OTHER)
            for record in records]
    return Table(columns, rows)


def _share(value: float | None) -> Cell:
    return Cell("" if value is None else f"{100 * value:.1f} %")


def _cells(title: str, record: dict[str, Any]) -> list[Cell]:
    return [Cell(title), Cell(f"{record['n_queries']:,}"), Cell(f"{record['n_entries']:,.0f}"),
            *(percent(record[f"top_{k}"]) for k in TOP_K), decimal(record["mrr"]), decimal(record["median_rank"])]


def _chance_cells(record: dict[str, Any]) -> list[Cell]:
    shares = [Cell(f"{100 * record[f'top_{k}']['chance']:.1f} %") for k in TOP_K]
    return [Cell("chance (exact)"), Cell(f"{record['n_queries']:,}"), Cell(f"{record['n_entries']:,.0f}"), *shares,
            Cell(f"{record['mrr']['chance']:.3f}"), Cell(f"{record['median_rank']['chance']:.3f}")]
