import pytest

from tests.evaluation.profile_screen import amides


@pytest.fixture(scope="session")
def amides_screen(tmp_path_factory):
    return amides(tmp_path_factory.mktemp("amides"))
