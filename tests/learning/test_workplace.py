"""Training never removes what it did not make, and says when it throws a stopped training away."""

import pytest

from dssl_bio.errors import RunError
from dssl_bio.learning.config import TrainConfig
from dssl_bio.learning.run import Run
from dssl_bio.learning.workplace import move_into_place, unfinished, workplace
from tests.retrieval.small_bundle import small_run, small_screen


def begun(folder, resume=False, screen_id="s"):
    lines = []
    return workplace(folder, TrainConfig(), screen_id, resume, lines.append), lines


@pytest.mark.parametrize("make", [
    lambda path: path.write_text("three years"),
    lambda path: (path.mkdir(), (path / "thesis.txt").write_text("three years")),
])
def test_a_users_file_or_folder_of_the_working_name_is_refused_and_kept(tmp_path, make):
    work = unfinished(tmp_path / "run")
    make(work)
    for resume, message in ((False, "holds no training; move it away"), (True, "nothing to resume: .*holds no")):
        with pytest.raises(RunError, match=message):
            begun(tmp_path / "run", resume)
    assert "three years" in (work / "thesis.txt" if work.is_dir() else work).read_text()


def test_what_could_be_resumed_is_thrown_away_with_a_line(tmp_path):
    work, lines = begun(tmp_path / "run")
    assert lines == []
    assert begun(tmp_path / "run")[1] == []  # it was stopped before its first epoch
    (work / "step_1_state").mkdir()
    assert begun(tmp_path / "run", resume=True) == (work, [])
    _, (line,) = begun(tmp_path / "run")
    assert "run.partial is thrown away" in line and "--resume" in line
    assert not (work / "step_1_state").exists()


def test_a_damaged_plan_or_another_one_is_not_resumed(tmp_path):
    work, _ = begun(tmp_path / "run")
    with pytest.raises(RunError, match="another screen"):
        begun(tmp_path / "run", resume=True, screen_id="t")
    (work / "plan.json").write_text("{")
    with pytest.raises(RunError, match="plan.json is damaged"):
        begun(tmp_path / "run", resume=True)


def test_a_new_run_replaces_the_old_one_and_no_folder_of_the_user(tmp_path):
    screen = small_screen(tmp_path)
    first = small_run(screen, tmp_path / "run").id
    users = tmp_path / "run.retired"
    users.mkdir()
    (users / "thesis.txt").write_text("three years")
    before = sorted(tmp_path.iterdir())
    assert small_run(screen, tmp_path / "run", seed=1).id != first
    assert sorted(tmp_path.iterdir()) == before
    assert (users / "thesis.txt").read_text() == "three years"


def test_what_came_while_training_ran_is_not_replaced(tmp_path):
    work, _ = begun(tmp_path / "run")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("three years")
    with pytest.raises(RunError, match="expected a run folder"):
        move_into_place(work, tmp_path / "run")
    assert work.is_dir() and (tmp_path / "run" / "thesis.txt").is_file()


def test_an_old_run_comes_back_when_the_new_one_cannot_be_moved(tmp_path):
    run = small_run(small_screen(tmp_path), tmp_path / "run")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(OSError, match="No such file"):
        move_into_place(tmp_path / "run.partial", tmp_path / "run")
    assert Run.open(tmp_path / "run").id == run.id
    assert sorted(tmp_path.iterdir()) == before
