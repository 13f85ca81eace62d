import json
import queue

import numpy as np
import pytest

from dssl_bio.studies import jobs as jobs_module
from dssl_bio.studies.jobs import Job, run_jobs
from dssl_bio.studies.result import Interval
from dssl_bio.studies.synthetic import SyntheticConfig, synthetic_jobs, synthetic_study
from dssl_bio.studies.synthetic_data import synthetic_pairs
from dssl_bio.studies.synthetic_jobs import authors_penalty, latent_r2
from dssl_bio.studies.synthetic_plane import dominance


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


def test_settings_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match="parts"):
        SyntheticConfig(parts=("figure",))
    with pytest.raises(ValueError, match="learning_rate"):
        SyntheticConfig(learning_rate=-1)
