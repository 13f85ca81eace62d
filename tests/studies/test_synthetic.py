import json
import queue

import numpy as np
import pytest

from dssl_bio.studies import jobs as jobs_module
from dssl_bio.studies.jobs import Job, run_jobs
from dssl_bio.studies.result import Interval, as_page
from dssl_bio.studies.synthetic import SyntheticConfig, step_1_key, synthetic_jobs, synthetic_study
from dssl_bio.studies.synthetic_data import synthetic_pairs
from dssl_bio.studies.synthetic_jobs import authors_penalty, latent_r2
from dssl_bio.studies.synthetic_plane import dominance
from dssl_bio.studies.synthetic_summary import summarize


def test_latents_are_drawn_as_the_released_generator_draws_them():
    random = np.random.RandomState(0)  # noqa: NPY002 - the released state
    pairs = synthetic_pairs(1000)
    for latent in (pairs.shared, pairs.specific_1, pairs.specific_2):
        assert np.allclose(latent, random.multivariate_normal(np.zeros(50), np.eye(50) * 0.5, size=1000))


def test_without_noise_the_shared_latent_is_linear_in_each_view_and_with_noise_it_is_not():
    def unexplained(noise, x):
        pairs = synthetic_pairs(3000, noise)
        view = getattr(pairs, x).astype(float)
        residual = pairs.shared - view @ np.linalg.lstsq(view, pairs.shared, rcond=None)[0]
        return residual.var() / pairs.shared.var()

    for x in ("x1", "x2"):
        assert unexplained(0.0, x) < 1e-6
        assert unexplained(0.5, x) == pytest.approx(0.25 / 0.75, abs=0.05)


def counted(settings, folder):
    (folder / "calls").open("a").write("x")
    return {"twice": 2 * settings["value"]}


def test_finished_jobs_are_not_run_again_and_changed_ones_are(tmp_path):
    jobs = [Job(f"job-{i}", counted, {"value": i}) for i in range(3)]
    assert [r["twice"] for r in run_jobs(jobs, tmp_path).values()] == [0, 2, 4]
    (tmp_path / "jobs" / "job-1.json").unlink()
    (tmp_path / "jobs" / "job-2.json").write_text("{ damaged")
    run_jobs(jobs, tmp_path)
    assert len((tmp_path / "calls").read_text()) == 5
    assert run_jobs([Job("job-0", counted, {"value": 7})], tmp_path)["job-0"]["twice"] == 14


def test_workers_take_turns_over_the_gpus(monkeypatch):
    taken = []
    monkeypatch.setattr(jobs_module.torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(jobs_module.torch.cuda, "set_device", taken.append)
    monkeypatch.setattr(jobs_module.torch, "set_num_threads", lambda n: None)
    monkeypatch.setattr(jobs_module.signal, "signal", lambda *_: None)
    numbers = queue.Queue()
    for number in range(3):
        numbers.put(number)
    for _ in range(3):
        jobs_module._start_worker(numbers)
    assert taken == [0, 1, 0]


def test_the_true_latent_is_read_wholly_and_an_independent_code_tells_nothing():
    pairs = synthetic_pairs(4000)
    found = latent_r2(pairs.specific_1, pairs)
    assert found["own"][0] > 0.99 and found["own"][1] > 0.9
    assert max(found["shared"]) < 0.05
    bent = latent_r2(np.sign(pairs.specific_1) * np.abs(pairs.specific_1) ** 0.3, pairs)["own"]
    assert bent[1] > 0.7
    independent = [(pairs.shared, pairs.specific_1), (pairs.shared, pairs.specific_2)]
    assert authors_penalty(independent, pairs) == pytest.approx(32, abs=0.5)  # the floor 2 sqrt(256)


def test_dominance_needs_more_own_and_less_shared_information():
    def point(own, shared, width=0.0):
        return "p", Interval(own, width, 3), Interval(shared, width, 3)

    assert dominance(point(0.7, 0.6), [point(0.71, 0.61), point(0.69, 0.59)]) == "not dominated"
    assert dominance(point(0.7, 0.6, 0.05), [point(0.71, 0.59, 0.05)]) == "dominated in the mean"
    assert dominance(point(0.7, 0.6, 0.005), [point(0.72, 0.58, 0.005)]) == "clearly dominated"
    assert Interval.of([0.1, 0.2, 0.3]).half_width == pytest.approx(4.303 * 0.1 / 3**0.5, rel=1e-3)


def test_a_small_study_reports_the_trade_off_and_takes_no_time_the_second_time(tmp_path):
    config = SyntheticConfig(n=4000, epochs=10, specific_epochs=8, learning_rate=3e-3, seeds=(0,), betas=(0.1,),
                             lambdas=(0.0, 1.0), parts=("beta", "lambda"))
    first = synthetic_study(config, tmp_path)
    assert len(list((tmp_path / "jobs").glob("*.json"))) == len(synthetic_jobs(config)) == 4
    codes = {job.key: json.loads(job.path(tmp_path).read_text())["result"]["accuracy"]
             for job in synthetic_jobs(config) if "step" in job.key}
    without, with_ = (next(v for k, v in codes.items() if f"lambda-{x}_" in k)["specific_1"] for x in (0, 1))
    assert without[0] > 0.6 and with_[0] > 0.6  # the specific code knows its own latent
    assert with_[1] < without[1] - 0.02         # and less of the shared one under the penalty
    assert synthetic_study(config, tmp_path).tables == first.tables


def made_up(config):
    """A result for every job, of numbers that are all different."""
    rng = np.random.default_rng(0)
    results = {}
    for job in synthetic_jobs(config):
        name = job.settings.get("method", "disentangled")
        codes = ["x1", "x2", "specific_1", "shared", "specific_2"]
        if "method" in job.settings:
            alone = job.settings["keep"] or name in ("clip", "dcca", "cloob", "siglip")
            codes = ["shared"] if alone else ["shared", "specific_1", "specific_2"]
        diagnostics = {f"specific_shared_{kind}_1": rng.random() for kind in ("club", "knn")}
        diagnostics["shared_information_lower_bound"] = rng.random()
        results[job.key] = {
            "accuracy": {code: rng.uniform(0.5, 0.8, 3).tolist() for code in codes}, "balance": [0.5] * 3,
            "r2": {part: rng.random(2).tolist() for part in ("own", "shared")}, "orthogonality": 40 * rng.random(),
            "loss": {"infonce": rng.random(), "dependence": rng.random(), "diagnostics": diagnostics},
            "cosine": rng.random(), "resultant_length": rng.random(), "seconds": 1.0, "processor_seconds": 2.0}
    return results


def test_summary_of_both_regimes_holds_every_table_with_differences_and_verdicts():
    config = SyntheticConfig(noises=(0.0, 0.5))
    results = made_up(config)
    found = summarize(config, results)
    tables = {table.title: table for table in found.tables}
    for regime in ("attainable (no noise)", "unattainable (noise 0.5)"):
        for title in ("Linear probes of views and true latents", "Shared code against beta",
                      "First specific code by penalty, in nats", "Every method", "Who dominates"):
            assert f"{title}, {regime}" in tables
    shared = tables["Shared code against beta, attainable (no noise)"].rows[1]
    mean = np.mean([results[step_1_key(0.0, 0.1, seed, "authors")]["accuracy"]["shared"][1] for seed in (0, 1, 2)])
    assert shared[8] == pytest.approx(mean - 0.768)  # Y_c less the authors' code at beta 0.1
    assert tables["Shared code against beta, unattainable (noise 0.5)"].rows[1][8] is None
    methods = {row[0]: row for row in tables["Every method, attainable (no noise)"].rows}
    assert {"clip", "dcca", "cloob", "siglip", "random_projection", "factorcl", "factorcl_sup"} <= set(methods)
    assert methods["joint_opt released a=1 lambda=1"][6:8] == [0.598, 0.592] and methods["chance"][1] == 0.5
    assert [check.name for check in found.checks] == ["T1", *(f"T{n}" for n in range(7, 15))]
    assert "Recommended by this measure" in " ".join(found.findings)
    assert as_page(found).count("<h2>") == len(found.tables) + 2  # and acceptance, settings


def test_published_points_are_judged_as_the_figure_shows_them():
    found = summarize(SyntheticConfig(), made_up(SyntheticConfig()))
    rows = next(table.rows for table in found.tables if table.title == "Who dominates, as published, figure 4b")
    verdict = {row[1]: row[4] for row in rows}
    assert all(verdict[f"dmvae #{n}"] != "not dominated" for n in (1, 2, 3, 4))
    assert verdict["focal #1"] != "not dominated"
    assert verdict["joint_opt a=0.1 #2"] == "not dominated"  # (0.627, 0.542): no two-step point tells less of Y_c


def test_settings_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match="parts"):
        SyntheticConfig(parts=("figure",))
    with pytest.raises(ValueError, match="learning_rate"):
        SyntheticConfig(learning_rate=-1)
