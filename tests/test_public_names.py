"""The public names come when they are asked for, and no sooner."""

import subprocess
import sys

import pytest

import harvester


@pytest.mark.parametrize("name", harvester.__all__)
def test_every_public_name_can_be_had(name: str) -> None:
    assert getattr(harvester, name) is getattr(harvester, name)
    assert name in dir(harvester)


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'runn'"):
        _ = harvester.runn  # type: ignore[attr-defined]


def test_importing_the_package_loads_no_client() -> None:
    """``harvester --help`` and an embedding program that only reads a configuration need no HTTP client."""
    program = "import sys, harvester; print([name for name in ('aiohttp', 'rich', 'cyclopts') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_harvesting_into_a_pipe_loads_no_simulator() -> None:
    program = (
        "import sys; from harvester.cli.main import build_app; build_app(['run']); import harvester.api.harvest;"
        "print([name for name in sys.modules if name.startswith(('harvester.sandbox', 'aiohttp.web_app'))])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
