import pytest

from dssl_bio.evaluation import maps
from tests.evaluation.profile_screen import amides, amides_division


@pytest.fixture(scope="session")
def amides_screen(tmp_path_factory):
    return amides(tmp_path_factory.mktemp("amides"))


@pytest.fixture(scope="session")
def division(amides_screen):
    return amides_division(amides_screen)


@pytest.fixture(scope="session", autouse=True)
def maps_by_principal_components():
    """UMAP compiles itself for half a minute in every process; one slow test asks for it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(maps, "find_spec", lambda name: None)
        yield
