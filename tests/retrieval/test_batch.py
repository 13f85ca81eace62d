import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file
from scipy.stats import false_discovery_control

from dssl_bio.chem.standardize import standardize
from dssl_bio.chem.standardize_many import Standardizer
from dssl_bio.errors import BundleError
from dssl_bio.learning.run import Run
from dssl_bio.retrieval import batch
from dssl_bio.retrieval.build import build_bundle
from dssl_bio.retrieval.bundle import Bundle
from dssl_bio.retrieval.queries import queries_of
from dssl_bio.retrieval.search import Searcher
from tests.retrieval.small_bundle import DOSES_UM, SMILES, TWINS, small_run, small_screen

COLUMNS = ["query", "query_inchikey", "rank", "entry_key", "molecule_id", "compound", "dose_um", "plate", "well",
           "mechanism", "score", "p", "q", "status", "message"]
NEW = ["CC(=O)Oc1ccccc1C(=O)O", "O=C(C1CC1)NCCF", "[Na+].CC(=O)[O-]"]


@pytest.fixture(scope="module")
def pool():
    with Standardizer(1) as workers:
        yield workers


@pytest.fixture(scope="module")
def searcher(small_road):
    return Searcher(Bundle.open(small_road / "bundle"))


def rows_of(searcher, texts, pool, top_k=10):
    return pd.concat(batch.retrieve(searcher, queries_of(texts), pool, top_k), ignore_index=True)


def by_hand(folder, texts):
    """Entries of a bundle, and the scores (Q, N) of queries with them, by numpy from what lies on disk."""
    arrays = load_file(folder / "vectors.safetensors")
    queries = Run.open(folder / "run").embed_molecules([standardize(text) for text in texts]).shared
    return pd.read_parquet(folder / "entries.parquet"), queries.astype(float) @ arrays["entries.shared"].T.astype(float)


def test_rows_have_the_columns_of_the_contract(searcher, pool):
    assert list(batch.COLUMNS) == COLUMNS
    table = rows_of(searcher, ["CCO", "no molecule"], pool, 3)
    assert list(table) == COLUMNS
    assert table["rank"].tolist() == [1, 2, 3, pd.NA]


@pytest.mark.parametrize("name", ["bundle", "bundle_of_wells"])
def test_scores_p_and_q_are_those_computed_by_hand(small_road, pool, name):
    texts = [*SMILES, *NEW]
    entries, scores = by_hand(small_road / name, texts)
    null = load_file(small_road / name / "null.safetensors")["scores"]
    table = rows_of(Searcher(Bundle.open(small_road / name)), texts, pool, len(entries))
    assert len(table) == len(texts) * len(entries)
    for text, whole in zip(texts, scores, strict=True):
        hits = table[table["query"] == text]
        place = entries["entry_key"].tolist().index
        order = [place(key) for key in hits["entry_key"]]
        assert sorted(order) == list(range(len(entries)))
        assert hits["score"].to_numpy() == pytest.approx(whole[order], abs=2e-6)
        assert hits["rank"].tolist() == list(range(1, len(entries) + 1))
        assert (np.diff(hits["score"]) <= 0).all()
        p = np.array([(1 + sum(draw >= np.float32(score) for draw in null)) / (1 + len(null))
                      for score in hits["score"]])
        assert hits["p"].to_numpy() == pytest.approx(p)
        # Both bundles have one entry per molecule and dose, so nothing is deduplicated before BH. A score whose sixth
        # digit is rounded another way by another order of summation moves a q by one draw of the null.
        assert hits["q"].to_numpy() == pytest.approx(false_discovery_control(p), rel=0.01)


def test_what_a_hit_says_is_what_its_entry_says(small_road, searcher, pool):
    entries = pd.read_parquet(small_road / "bundle" / "entries.parquet").set_index("entry_key")
    table = rows_of(searcher, SMILES[:3], pool, 5)
    for _, row in table.iterrows():
        entry = entries.loc[row["entry_key"]]
        assert [row["molecule_id"], row["compound"], row["dose_um"], row["plate"], row["well"], row["mechanism"]] == [
            entry["molecule_id"], entry["Metadata_Compound"], entry["Metadata_Dose_um"], entry["Metadata_Plate"],
            entry["Metadata_Well"], entry["Metadata_MoA"]]
    assert table["query_inchikey"].unique().tolist() == [standardize(text).inchikey for text in SMILES[:3]]
    assert not table["entry_key"].str.contains("DMSO").any()


def test_equal_scores_come_in_the_order_of_their_keys(searcher, pool):
    table = rows_of(searcher, [*SMILES, *NEW], pool, 200)
    twins = {standardize(SMILES[number]).id for number in TWINS}
    for _, hits in table.groupby("query"):
        ordered = hits.sort_values(["score", "entry_key"], ascending=[False, True])
        assert hits["entry_key"].tolist() == ordered["entry_key"].tolist()
        for dose in DOSES_UM:
            pair = hits[hits["molecule_id"].isin(twins) & (hits["dose_um"] == dose)]
            assert pair["score"].nunique() == 1
            assert pair["entry_key"].is_monotonic_increasing
            assert pair["rank"].diff().iloc[1] == 1


def test_a_line_that_is_no_molecule_is_one_row_and_the_others_are_as_without_it(searcher, pool):
    good = rows_of(searcher, SMILES[:2], pool, 4)
    mixed = rows_of(searcher, ["C1CC", SMILES[0], "", "C" * 3_000, SMILES[1], "C" * 300], pool, 4)
    failed = mixed[mixed["status"] == "error"]
    assert failed["query"].tolist() == ["C1CC", "", "C" * 3_000, "C" * 300]
    for message, words in zip(failed["message"], ["not a valid SMILES", "empty", "2,000 are accepted", "300 atoms"],
                              strict=True):
        assert words in message
    rest = [name for name in COLUMNS if name not in ("query", "status", "message")]
    assert failed[rest].isna().all(axis=None)
    pd.testing.assert_frame_equal(mixed[mixed["status"] == "ok"].reset_index(drop=True), good, check_dtype=False)
    assert mixed["query"].drop_duplicates().tolist() == ["C1CC", SMILES[0], "", "C" * 3_000, SMILES[1], "C" * 300]


def test_a_text_that_is_asked_twice_is_answered_twice(searcher, pool):
    table = rows_of(searcher, ["CCO", "CCO"], pool, 3)
    assert table["rank"].tolist() == [1, 2, 3, 1, 2, 3]
    assert table["entry_key"][:3].tolist() == table["entry_key"][3:].tolist()


def test_one_at_a_time_gives_what_many_give(searcher, pool):
    texts = [*SMILES, *NEW]
    many = rows_of(searcher, texts, pool, 7)
    single = pd.concat([rows_of(searcher, [text], pool, 7) for text in texts], ignore_index=True)
    assert many["entry_key"].tolist() == single["entry_key"].tolist()
    assert many["score"].to_numpy() == pytest.approx(single["score"].to_numpy(), abs=2e-6)


def test_chunks_do_not_change_the_answer(searcher, pool, monkeypatch):
    texts = ["x", *SMILES, "y", *NEW]
    whole = rows_of(searcher, texts, pool, 3)
    monkeypatch.setattr(batch, "CHUNK", 4)
    pieces = list(batch.retrieve(searcher, queries_of(texts), pool, 3))
    assert len(pieces) == len(texts) // 4 + 1
    joined = pd.concat(pieces, ignore_index=True)
    assert joined["query"].tolist() == whole["query"].tolist()
    assert joined["entry_key"].fillna("").tolist() == whole["entry_key"].fillna("").tolist()


def test_top_k_beyond_the_gallery_gives_the_gallery(searcher, pool):
    assert len(rows_of(searcher, ["CCO"], pool, 10_000)) == len(searcher.gallery) == 2 * len(SMILES)


def test_queries_are_read_no_further_ahead_than_the_workers_need(searcher, pool, monkeypatch):
    monkeypatch.setattr(batch, "CHUNK", 32)
    read = []
    furthest = 0

    def texts():
        for number in range(1_500):
            read.append(number)
            yield "C" * (1 + number % 9) + "O"

    for number, rows in enumerate(batch.retrieve(searcher, queries_of(texts()), pool, 1), start=1):
        assert len(rows) == 32 or number == 47
        furthest = max(furthest, len(read) - 32 * number)
    assert len(read) == 1_500
    # Eight batches of 32 for the one worker, and the batch whose answers are being handed on
    assert furthest <= 9 * 32


def test_a_dose_keeps_the_entries_nearest_to_it(small_road, pool):
    bundle = Bundle.open(small_road / "bundle")
    for asked, dose in ((0.2, 1.0), (2.0, 1.0), (4.0, 10.0), (1e6, 10.0)):
        table = rows_of(Searcher(bundle, asked), [SMILES[0]], pool, 1_000)
        assert len(table) == len(SMILES)
        assert table["dose_um"].unique().tolist() == [dose]
    with pytest.raises(BundleError, match="must be positive, got -1 uM"):
        Searcher(bundle, -1)


def test_q_counts_a_molecule_at_a_dose_once(small_road, pool):
    """Entries of wells that repeat a molecule at a dose are one hypothesis: the best of them."""
    bundle = Bundle.open(small_road / "bundle_of_wells")
    doubled = bundle.entries.assign(Metadata_Dose_um=1.0)  # both wells of a molecule now share molecule and dose
    searcher = Searcher(type(bundle)(**{**bundle.__dict__, "entries": doubled}))
    table = rows_of(searcher, [SMILES[3]], pool, 1_000)
    best = table.drop_duplicates("molecule_id")
    assert len(best) == len(SMILES)
    assert best["q"].to_numpy() == pytest.approx(false_discovery_control(best["p"]))


def test_a_p_below_the_resolution_says_so(small_road, searcher, pool):
    table = rows_of(searcher, SMILES, pool, 50)
    null = searcher.bundle.null
    floor = table["p"] <= null.resolution
    assert (table["p"] > 0).all() and (table["q"] > 0).all()
    assert (table.loc[floor, "message"] == f"p not resolvable: none of the null's {len(null.scores):,} draws scores "
                                           "as high").all()
    assert (table.loc[~floor, "message"] == "").all()
    assert floor.any() and not floor.all()


def test_a_model_that_reads_doses_is_asked_at_the_dose(tmp_path, pool):
    """Rows are those of molecules embedded at that dose; without one, of molecules whose dose is not known."""
    screen = small_screen(tmp_path)
    run = small_run(screen, tmp_path / "run", dose=True, step_1={"epochs": 6, "batch_size": 16})
    build_bundle(run, screen, tmp_path / "bundle", report=lambda line: None)
    bundle = Bundle.open(tmp_path / "bundle")
    molecule = standardize(SMILES[3])
    for dose in (None, 1.0, 10.0):
        searcher = Searcher(bundle, dose)
        table = rows_of(searcher, [SMILES[3]], pool, 5)
        query = run.embed_molecules([molecule], dose).shared
        expected = np.sort((query @ bundle.vectors.shared[searcher.gallery].T)[0])[::-1][:5]
        assert table["score"].to_numpy(float) == pytest.approx(expected, abs=1e-5)
    assert not np.allclose(*(run.embed_molecules([molecule], dose).shared for dose in (1.0, 10.0)), atol=1e-3)
    words = [Searcher(bundle, dose).dose_words() for dose in (None, 10.0, 50.0)]
    assert "dose not known" in words[0] and "asked at 10 uM" in words[1] and "not to be trusted" in words[2]


def test_a_model_that_reads_no_doses_says_that_the_dose_only_chooses_entries(small_road):
    bundle = Bundle.open(small_road / "bundle")
    assert Searcher(bundle).dose_words() == "" and "does not read doses" in Searcher(bundle, 10.0).dose_words()
