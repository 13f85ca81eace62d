"""What an evaluation leaves behind: evaluation.json, ranks.parquet and one HTML page."""

from pathlib import Path
from typing import Any

from dssl_bio.artefact import new_folder, seal
from dssl_bio.evaluation.heldout import DIRECTIONS, LIBRARY, SETTINGS, WHOLE, WITHIN_BATCH, WITHIN_PLATE
from dssl_bio.evaluation.intervals import N_DRAWS
from dssl_bio.evaluation.page import Section, figure_html, render_page
from dssl_bio.evaluation.plots import probe_figure, rank_figure, recall_figure, tanimoto_figure
from dssl_bio.evaluation.protocols import SHARED, Evaluation
from dssl_bio.evaluation.summary import ACTIVE, ALL, ANNOTATED, SUBSETS, mechanism_summaries, summaries
from dssl_bio.evaluation.tables import TITLES, batch_table, mechanism_summary_table, retrieval_table
from dssl_bio.learning.run import Run
from dssl_bio.screens.screen import Screen

HEADLINED = (SHARED, "kernel_ridge")
RANKS, MECHANISMS, PROBES, PAGE = "ranks.parquet", "mechanisms.parquet", "probes.parquet", "evaluation.html"

SETTING_WORDS = {
    WHOLE: "The gallery is the entries of held-out molecules.",
    WITHIN_PLATE: "The gallery is the held-out entries on the query's own plate, plates with at least 10: what is "
                  "found here is not found by recognising the plate.",
    WITHIN_BATCH: "The same within the query's own experimental run (batch), where there are several.",
    LIBRARY: "The gallery is training and held-out entries together: what a user searches. A model that learnt the "
             "training molecules by heart puts them first, so this is harder.",
}
EXPLANATIONS = (
    "Every number is for molecules that no method has learnt from. The right answer is any entry of the same molecule; "
    "for phenotype → molecule it is the molecule that the well received.",
    "Ties count against the model. Chance is exact for the actual galleries and numbers of right answers.",
    "Top-k: share of queries whose best right answer is among the first k. MRR: mean of 1 / rank. Median rank is a "
    "fraction of the gallery, 0.5 by chance.",
    "Mechanism precision@10: share of the ten nearest held-out entries of other molecules with the query's annotated "
    "mechanism; queries are annotated and, where activity is known, active; inactive and unannotated entries stay in "
    "the gallery as wrong answers. Prevalence is what a random order reaches in that gallery; among annotated entries "
    "it is higher and the stricter comparison.",
    "A mean profile scores below chance from phenotype to molecule because all molecules tie, and ties count against.",
    "Specific representations know what the other side does not; near chance is what they should be.",
)


def explanations(n_draws: int) -> list[str]:
    """What the numbers of a page mean, with intervals by so many draws."""
    return [*EXPLANATIONS, f"Intervals are 95 %, bootstrap over molecules ({n_draws:,} draws)."]


def write_evaluation(evaluation: Evaluation, run: Run, screen: Screen, folder: Path, options: dict[str, Any],
                     seed: int = 0, n_draws: int = N_DRAWS) -> dict[str, Any]:
    """Summarises and writes an evaluation folder; an evaluation there is replaced when the new one is complete.

    Args:
        evaluation: what was found.
        run: what was evaluated.
        screen: on what.
        folder: to write.
        options: of the command, kept with the results.
        seed: of the bootstrap.
        n_draws: of the bootstrap.

    Returns:
        the record that is written as evaluation.json.
    """
    results = {"retrieval": summaries(evaluation.ranks, n_draws=n_draws, seed=seed),
               "mechanism": mechanism_summaries(evaluation.mechanisms, n_draws=n_draws, seed=seed),
               "probes": evaluation.probes.to_dict("records"), "facts": evaluation.facts,
               "batch_effects": evaluation.batches.astype(object).where(evaluation.batches.notna(), None)
               .to_dict("records")}
    config = {"seed": seed, "bootstrap_draws": n_draws, **options}
    with new_folder(folder, "evaluation") as work:
        evaluation.ranks.to_parquet(work / RANKS)
        evaluation.mechanisms.to_parquet(work / MECHANISMS)
        if len(evaluation.probes):
            evaluation.probes.to_parquet(work / PROBES)
        page = evaluation_page(evaluation, results, run, screen, config)
        (work / PAGE).write_text(page, encoding="utf-8")
        return seal(work, "evaluation", {"run": run.id, "screen": screen.id, "screen_name": screen.name},
                    simulated=simulated(run, screen), config=config, run_config=run.config.model_dump(mode="json"),
                    results=results)


def simulated(run: Run, screen: Screen) -> bool:
    """True when anything in it was simulated."""
    return run.simulated or screen.simulated


def evaluation_page(evaluation: Evaluation, results: dict[str, Any], run: Run, screen: Screen,
                    config: dict[str, Any]) -> str:
    """The page as HTML."""
    facts = evaluation.facts
    sections = [_headline(results), *_figures(evaluation), *_mechanism_sections(results), *_batches(results),
                *_other_sections(results)]
    title = f"Evaluation on {screen.name}" + (" (simulated)" if simulated(run, screen) else "")
    stopped = f", {facts['molecules']['valid']} more decided when to stop" if run.config.step_1.keep == "best" else ""
    subtitle = (f"{facts['molecules']['test']} held-out molecules, {facts['held_out_entries']} held-out entries of "
                f"{facts['entries']}; trained on {facts['molecules']['train']} molecules{stopped}. Run {run.id}.")
    provenance = [("screen", f"{screen.name} ({screen.id})"), ("run", run.id), *config.items(),
                  *((name, value) for name, value in facts.items() if name not in ("molecules", "notes")),
                  *(("note", note) for note in facts["notes"])]
    return render_page(title, subtitle, simulated(run, screen), sections,
                       explanations(config["bootstrap_draws"]), provenance)


def _headline(results: dict[str, Any]) -> Section:
    direction = DIRECTIONS[0]
    return Section(f"Held-out library, {direction}", SETTING_WORDS[WHOLE],
                   [_table(results, direction, WHOLE, ALL)])


def _other_sections(results: dict[str, Any]) -> list[Section]:
    found = []
    for setting in SETTINGS:
        for direction in DIRECTIONS:
            for subset in SUBSETS:
                table = _table(results, direction, setting, subset)
                if table.rows and (setting, direction, subset) != (WHOLE, DIRECTIONS[0], ALL):
                    queries = "" if subset == ALL else f", {subset} molecules alone"
                    found.append(Section(f"{setting[0].upper()}{setting[1:]}, {direction}{queries}",
                                         SETTING_WORDS[setting], [table], open=False))
    return found


def _table(results: dict[str, Any], direction: str, setting: str, subset: str) -> Any:
    chosen = [record for record in results["retrieval"]
              if (record["direction"], record["setting"], record["subset"]) == (direction, setting, subset)]
    return retrieval_table(chosen, (SHARED,))


def _mechanism_sections(results: dict[str, Any]) -> list[Section]:
    found = []
    for direction in DIRECTIONS:
        chosen = [record for record in results["mechanism"] if record["direction"] == direction]
        if chosen:
            found.append(Section(f"Same mechanism among the ten nearest, {direction}", "",
                                 [mechanism_summary_table(chosen, (SHARED,))]))
    return found


def _batches(results: dict[str, Any]) -> list[Section]:
    if not results["batch_effects"]:
        return []
    return [Section("Plate and biology, before and after", "Single wells of held-out molecules. Same plate: share of "
                    "the ten nearest wells of other molecules that lie on the own plate. Replicates: mean average "
                    "precision of the molecule's wells on other plates. Mechanism: share of the ten nearest wells of "
                    "other molecules on other plates with the same annotated mechanism. Beside each what chance gives. "
                    "A correction is good that lowers the first to chance and does not lower the others; sphering on "
                    "controls is shown whether or not the run uses it (profile.sphere).",
                    [batch_table(results["batch_effects"])])]


def _figures(evaluation: Evaluation) -> list[Section]:
    ranks = evaluation.ranks
    names = {name: TITLES.get(name, name) for name in dict.fromkeys(ranks["method"])}
    found = [
        Section("Recall among the first k", "Grey: what a random order gives, and where 95 % of random orders lie.",
                figures=[figure_html(recall_figure(ranks, names), "recall")]),
        Section("Distribution of ranks", "", figures=[figure_html(rank_figure(ranks, names), "ranks")]),
    ]
    if "tanimoto" in ranks:
        shown = [name for name in (SHARED, "kernel_ridge") if name in names]
        found.append(Section("How far from the training molecules", "Points: single queries of the shared "
                             "representation. Lines: medians of six groups of equal size.",
                             figures=[figure_html(tanimoto_figure(ranks, names, shown), "tanimoto")]))
    if len(evaluation.probes):
        found.append(Section("What each representation knows of the truth", "Linear probes over held-out wells, "
                             "cross-validated over molecules: R² for numbers, (balanced accuracy − chance) / "
                             "(1 − chance) for categories; 0 is nothing, 1 everything. Shared factors belong in the "
                             "shared representations, the others in their own side's specific one.",
                             figures=[figure_html(probe_figure(evaluation.probes), "probes")]))
    return found


def summary_lines(record: dict[str, Any]) -> list[str]:
    """The headline for a terminal: one line a method, then what ours and kernel ridge find of what has an effect.

    Over all molecules much of a library does nothing, and nothing can be found of that; so MRR of active queries
    (of annotated ones where activity is not known) follows, and how often the nearest share the mechanism.
    """
    results, direction = record["results"], DIRECTIONS[0]
    asked = [one for one in results["retrieval"] if (one["direction"], one["setting"]) == (direction, WHOLE)]
    lines = []
    for one in asked:
        if one["subset"] == ALL:
            shares = " / ".join(f"{100 * one[f'top_{k}']['value']:.1f}" for k in (1, 5, 10))
            lines.append(f"{_title(one)}: top-1/5/10 {shares} %, MRR {_mrr(one)}")
    for name in HEADLINED:
        of_subset = {one["subset"]: one for one in asked if one["method"] == name}
        subset = next((subset for subset in (ACTIVE, ANNOTATED) if subset in of_subset), None)
        if subset:
            one = of_subset[subset]
            lines.append(f"{_title(one)}, {one['n_queries']:,} queries of {subset} molecules: MRR {_mrr(one)}")
    for name in HEADLINED:
        for one in results["mechanism"]:
            if (one["direction"], one["method"]) == (direction, name):
                lines.append(f"{_title(one)}, {one['n_queries']:,} annotated queries: mechanism precision@10 "
                             f"{100 * one['precision_at_10']['value']:.1f} %, prevalence "
                             f"{100 * one['prevalence']:.1f} % ({one['times_prevalence']:.1f} times)")
    return lines


def _title(one: dict[str, Any]) -> str:
    return TITLES.get(one["method"], one["method"])


def _mrr(one: dict[str, Any]) -> str:
    mrr = one["mrr"]
    return f"{mrr['value']:.3f} [{mrr['low']:.3f}, {mrr['high']:.3f}] (chance {mrr['chance']:.3f})"
