"""One automot-serve with a small random checkpoint for all tests of a file."""

from __future__ import annotations

import pytest
from serving import missing_program, running_service


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Where the service listens: planning and metrics, among others."""
    missing = missing_program()
    if missing:
        pytest.skip(missing)
    with running_service(tmp_path_factory.mktemp("serve")) as found:
        yield found
