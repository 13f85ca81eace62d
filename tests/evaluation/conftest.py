import pytest

from tests.evaluation.profile_screen import amides, amides_division


@pytest.fixture(scope="session")
def amides_screen(tmp_path_factory):
    return amides(tmp_path_factory.mktemp("amides"))


@pytest.fixture(scope="session")
def division(amides_screen):
    return amides_division(amides_screen)
