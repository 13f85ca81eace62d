"""What a benchmark leaves behind: benchmark.json, summary.csv, ranks, folds, and one self-contained HTML page."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from dssl_bio.artefact import ERROR, seal, written_whole
from dssl_bio.evaluation.benchmark_ranks import REPLICATES, SEED, labelled
from dssl_bio.evaluation.catalogue import ACROSS, TITLES
from dssl_bio.evaluation.heldout import DIRECTIONS, WHOLE
from dssl_bio.evaluation.page import OTHER, OURS, Cell, Row, Section, Table, figure_html, render_page
from dssl_bio.evaluation.plots import rank_figure, recall_figure, tanimoto_figure
from dssl_bio.evaluation.report import SETTING_WORDS, explanations
from dssl_bio.evaluation.summary import ALL, SUBSETS
from dssl_bio.evaluation.tables import mechanism_summary_table, retrieval_table
from dssl_bio.screens.screen import Screen

RANKS, MECHANISMS, SUMMARY, PAGE = "ranks.parquet", "mechanisms.parquet", "summary.csv", "benchmark.html"
OUR_METHOD = "dssl"

MORE_EXPLANATIONS = (
    "A method with seeds: the mean over its seeds; the ensemble of the seeds (mean of their cosines) is a row of its "
    "own. A seed changes initial weights, minibatches and augmentation, never the folds.",
    "Differences are paired: the same questions of both methods, resampled by molecule. An interval that leaves out "
    "zero is a difference that other molecules of the same kind would be expected to show too.",
    "Scalers, principal components, kernels and models are fitted to training molecules of the fold alone. Gallery "
    "profiles are standardised by training molecules as the gallery measured them.",
    "Replicates: what the molecule's own repeated measurement finds in the same gallery, the ceiling of any method.",
)


def prepare_folder(folder: Path) -> None:
    """Refuses a folder that is something else; a benchmark that was begun there goes on.

    Raises:
        EvaluationError: the folder holds other things.
    """
    if not folder.exists():
        return
    begun = (folder / "benchmark.json").is_file() or (folder / "folds.parquet").is_file()
    if not folder.is_dir() or (any(folder.iterdir()) and not begun):
        raise ERROR["benchmark"](f"{folder} exists and is not a benchmark folder; choose another place")


def write_benchmark(folder: Path, screen: Screen, ranks: pd.DataFrame, mechanisms: pd.DataFrame,
                    results: dict[str, Any], table: pd.DataFrame, maps: tuple[dict[str, go.Figure], str],
                    config: dict[str, Any]) -> dict[str, Any]:
    """Writes tables and page beside the jobs, and last benchmark.json, which says that the folder is complete.

    Args:
        folder: of the benchmark.
        screen: what was asked.
        ranks: of `rank_tables`.
        mechanisms: of `rank_tables`.
        results: of `benchmark_results`, with `facts`.
        table: of `flat`.
        maps: of `entry_maps`.
        config: options of the command.

    Returns:
        the record.
    """
    (folder / "benchmark.json").unlink(missing_ok=True)
    for name, frame in ((RANKS, ranks), (MECHANISMS, mechanisms)):
        with written_whole(folder / name) as temporary:
            frame.to_parquet(temporary)
    with written_whole(folder / SUMMARY) as temporary:
        table.to_csv(temporary, index=False)
    with written_whole(folder / PAGE) as temporary:
        temporary.write_text(benchmark_page(screen, ranks, results, maps, config), encoding="utf-8")
    return seal(folder, "benchmark", {"screen": screen.id, "screen_name": screen.name}, simulated=screen.simulated,
                config=config, results=results)


def benchmark_page(screen: Screen, ranks: pd.DataFrame, results: dict[str, Any],
                   maps: tuple[dict[str, go.Figure], str], config: dict[str, Any]) -> str:
    """The page as HTML."""
    facts = results["facts"]
    titles = titles_of(results)
    sections = [*_headlines(results, titles), _differences(results, titles), *_figures(ranks, titles),
                *_maps(maps), *_mechanisms(results, titles), *_others(results, titles), _seeds(results, titles)]
    title = f"Benchmark on {screen.name}" + (" (simulated)" if screen.simulated else "")
    subtitle = (f"{facts['molecules']} molecules in {facts['n_folds']} folds by {facts['folds_by']}, galleries of "
                f"{facts['gallery']} entries; {len(facts['methods'])} methods, seeds {facts['seeds']}.")
    provenance = [("screen", f"{screen.name} ({screen.id})"), *config.items(),
                  ("replicate ceiling", facts["replicate_ceiling"]),
                  *(("could not run", f"{name}: {text}") for name, text in facts["left_out"].items()),
                  *(("seconds", f"{name}: {value}") for name, value in facts["seconds"].items())]
    return render_page(title, subtitle, screen.simulated, [one for one in sections if one.tables or one.figures],
                       [*explanations(config["bootstrap_draws"]), *MORE_EXPLANATIONS], provenance)


def titles_of(results: dict[str, Any]) -> dict[str, str]:
    """Title of every method in the results, ensembles and entry points among them."""
    found = {}
    for name in dict.fromkeys(record["method"] for record in results["retrieval"]):
        base, comma, rest = name.partition(", ")
        base, at, modality = base.partition(ACROSS)
        found[name] = (f"{TITLES.get(base, base).partition(',')[0]} from {modality}" if at
                       else TITLES.get(base, base)) + comma + rest
    return {**found, **({REPLICATES: "replicates (ceiling)"} if REPLICATES in found else {})}


def summary_lines(record: dict[str, Any]) -> list[str]:
    """The headline for a terminal: every direction, one line a method, then differences to the references."""
    titles = titles_of(record["results"])
    lines = []
    for direction in DIRECTIONS:
        chosen = _chosen(record["results"]["retrieval"], direction, WHOLE, ALL)
        if not chosen:
            continue
        chance = chosen[0]
        lines.append(f"{direction}, held-out library of {chance['n_entries']:.0f}: chance top-1/5/10 "
                     + " / ".join(f"{100 * chance[f'top_{k}']['chance']:.1f}" for k in (1, 5, 10))
                     + f" %, MRR {chance['mrr']['chance']:.3f}")
        for one in chosen:
            shares = " / ".join(f"{100 * one[f'top_{k}']['value']:.1f}" for k in (1, 5, 10))
            lines.append(f"  {titles[one['method']]}: {shares} %, MRR {one['mrr']['value']:.3f} "
                         f"[{one['mrr']['low']:.3f}, {one['mrr']['high']:.3f}]")
        for one in _chosen(record["results"]["differences"], direction, WHOLE, ALL):
            if one["method"].startswith(OUR_METHOD):
                lines.append(f"  {titles[one['method']]} minus {titles.get(one['reference'], one['reference'])}: MRR "
                             f"{_signed(one['mrr'], 3)}, top-10 {_signed(one['top_10'], 1, 100)} %")
    return lines


def _signed(number: dict[str, float], digits: int, times: float = 1) -> str:
    value, low, high = (f"{times * number[name]:+.{digits}f}" for name in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def _chosen(records: list[dict[str, Any]], direction: str, setting: str, subset: str) -> list[dict[str, Any]]:
    return [one for one in records
            if (one["direction"], one["setting"], one["subset"]) == (direction, setting, subset)]


def _ours(titles: dict[str, str]) -> tuple[str, ...]:
    return tuple(name for name in titles if name.partition(", ")[0] == OUR_METHOD)


def _headlines(results: dict[str, Any], titles: dict[str, str]) -> list[Section]:
    return [Section(f"Held-out library, {direction}", SETTING_WORDS[WHOLE],
                    [retrieval_table(chosen, _ours(titles), titles)])
            for direction in DIRECTIONS if (chosen := _chosen(results["retrieval"], direction, WHOLE, ALL))]


def _differences(results: dict[str, Any], titles: dict[str, str]) -> Section:
    tables = []
    for direction in DIRECTIONS:
        rows = []
        for one in _chosen(results["differences"], direction, WHOLE, ALL):
            if one["method"] == REPLICATES:
                continue
            shares = [Cell(f"{100 * one[f'top_{k}']['value']:+.1f}",
                           f"[{100 * one[f'top_{k}']['low']:+.1f}, {100 * one[f'top_{k}']['high']:+.1f}]")
                      for k in (1, 5, 10)]
            mrr = Cell(f"{one['mrr']['value']:+.3f}", f"[{one['mrr']['low']:+.3f}, {one['mrr']['high']:+.3f}]")
            rows.append(Row([Cell(titles[one["method"]]), Cell(titles.get(one["reference"], one["reference"])),
                             *shares, mrr], OURS if one["method"] in _ours(titles) else OTHER))
        if rows:
            columns = [f"method ({direction})", "minus", "top-1 (points)", "top-5", "top-10", "MRR"]
            tables.append(Table(columns, rows))
    return Section("Paired differences, held-out library", "", tables)


def _figures(ranks: pd.DataFrame, titles: dict[str, str]) -> list[Section]:
    table = labelled(ranks)
    names = {name: title for name, title in titles.items() if name in set(table["method"])}
    shown = [name for name in (f"{OUR_METHOD}", "kernel-ridge") if name in names] or list(names)[:1]
    return [
        Section("Recall among the first k", "Grey: what a random order gives, and where 95 % of random orders lie.",
                figures=[figure_html(recall_figure(table, names), "recall")]),
        Section("Distribution of ranks", "", figures=[figure_html(rank_figure(table, names), "ranks")]),
        Section("How far from the training molecules", f"Points: single queries of {names[shown[0]]}. Lines: medians "
                "of six groups of equal size.",
                figures=[figure_html(tanimoto_figure(table, names, shown), "tanimoto")]),
    ]


def _maps(maps: tuple[dict[str, go.Figure], str]) -> list[Section]:
    figures, how = maps
    return [Section(f"Map of the entries by {name}", f"Held-out and training entries of the first fold where our "
                    f"model puts them, or their profiles; {how}.", figures=[figure_html(figure, f"map-{name}")])
            for name, figure in figures.items()]


def _mechanisms(results: dict[str, Any], titles: dict[str, str]) -> list[Section]:
    found = []
    for direction in DIRECTIONS:
        chosen = [one for one in results["mechanism"] if one["direction"] == direction]
        if chosen:
            found.append(Section(f"Same mechanism among the ten nearest, {direction}", "",
                                 [mechanism_summary_table(chosen, _ours(titles), titles)]))
    return found


def _others(results: dict[str, Any], titles: dict[str, str]) -> list[Section]:
    found = []
    settings: Sequence[str] = list(dict.fromkeys(one["setting"] for one in results["retrieval"]))
    for setting in settings:
        for direction in DIRECTIONS:
            for subset in SUBSETS:
                chosen = _chosen(results["retrieval"], direction, setting, subset)
                if chosen and (setting, subset) != (WHOLE, ALL):
                    queries = "" if subset == ALL else f", {subset} molecules alone"
                    words = SETTING_WORDS.get(setting, "The best right entry among that many wrong ones drawn at "
                                                       "random from the held-out entries.")
                    found.append(Section(f"{setting[0].upper()}{setting[1:]}, {direction}{queries}", words,
                                         [retrieval_table(chosen, _ours(titles), titles)], open=False))
    return found


def _seeds(results: dict[str, Any], titles: dict[str, str]) -> Section:
    rows = [Row([Cell(f"{titles[one['method']]}, {one['direction']}"), Cell(str(one[SEED])),
                 *(Cell(f"{100 * one[f'top_{k}']:.1f} %") for k in (1, 5, 10)), Cell(f"{one['mrr']:.3f}")],
                OTHER) for one in results["by_seed"]]
    tables = [Table(["method", "seed", "top-1", "top-5", "top-10", "MRR"], rows)] if rows else []
    return Section("Single seeds, held-out library", "", tables, open=False)
