"""Schemathesis asks the HTTP interface whatever its own description allows, and some of what it does not."""

import pytest
import schemathesis
from dssl_bio.app.api.server import create
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import checks

from dssl_bio.chem.standardize_many import Standardizer

N_EXAMPLES = 12


@pytest.fixture(scope="module")
def described(profile_bundle, image_bundle):
    with Standardizer(2, 5.0) as pool:
        app = create({"profiles": profile_bundle, "images": image_bundle}, pool)
        yield schemathesis.openapi.from_asgi("/openapi.json", app)


OPERATIONS = ["GET /health", "GET /retrieve", "POST /retrieve", "POST /phenotype-to-molecules/entry",
              "POST /phenotype-to-molecules/profile", "POST /phenotype-to-molecules/images", "GET /factors/molecule",
              "GET /factors/phenotype"]


def label(operation):
    return f"{operation.method.upper()} {operation.path}"


def test_every_route_is_asked(described):
    assert sorted(label(found.ok()) for found in described.get_all_operations()) == sorted(OPERATIONS)


CASES = [(name, mode) for name in OPERATIONS for mode in schemathesis.GenerationMode
         if (name, mode.value) != ("GET /health", "negative")]  # it takes nothing that could be wrong


@pytest.mark.parametrize(("name", "mode"), CASES, ids=[f"{name} {mode.value}" for name, mode in CASES])
def test_no_answer_is_a_failure_of_the_server_or_another_than_described(name, mode, described):
    operation = next(found.ok() for found in described.get_all_operations() if label(found.ok()) == name)

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(max_examples=N_EXAMPLES, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))
    def asked(case):
        case.call_and_validate(checks=[checks.not_a_server_error, checks.status_code_conformance,
                                       checks.content_type_conformance, checks.response_schema_conformance])

    asked()
