"""What every test of the suite needs: the program, and room for thousands of connections."""

from __future__ import annotations

import pytest

import service


@pytest.fixture(autouse=True, scope="session")
def _machine() -> None:
    if not service.program().exists():
        pytest.skip(f"{service.program()} is not built")
    service.raise_file_limit()
