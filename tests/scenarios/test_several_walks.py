"""Several walks for one resource, from outside: what is configured, what the plan says, what the manifest shows."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.scenarios.conftest import SandboxProcess, Workplace

OPTIONS = ("--time-scale", "3600", "--records", "1500")


def by(sandbox: SandboxProcess, source: str, walk: str) -> None:
    """Let *source* of the written configuration be read by *walk*, with small pages."""
    head = f"[sources.{source}]\n"
    text = sandbox.config.read_text()
    assert head in text
    sandbox.config.write_text(text.replace(head, f'{head}walk = "{walk}"\npage_size = 20\n'))


def parts(workplace: Workplace, resource: str) -> list[Mapping[str, object]]:
    """The full walks of the newest run."""
    manifest = [each for each in workplace.manifests() if each["resource"] == resource][-1]
    assert manifest["verdict"] == "complete", manifest["reason"]
    found = manifest["walks"]
    assert isinstance(found, list)
    return [walk for walk in found if walk["phase"] == "full"]


@pytest.mark.parametrize("sandbox", [OPTIONS], indirect=True)
@pytest.mark.parametrize(("source", "walk"), [("centris", "windows"), ("ims", "ranges")])
def test_the_second_full_harvest_is_cut_where_the_first_has_learned(
    sandbox: SandboxProcess, workplace: Workplace, source: str, walk: str
) -> None:
    by(sandbox, source, walk)
    command = ("run", "-c", str(sandbox.config), "--source", source, "--mode", "full")
    for _ in range(2):
        done = workplace.run(*command)
        assert done.returncode == 0, done.stderr
        checked = workplace.run("verify", "out", "--against", sandbox.url)
        assert checked.returncode == 0, checked.stdout
    of_one = [part for part in parts(workplace, "Property") if str(part["id"]).startswith("w00")]
    assert len(of_one) > 2
    low, high = ("since", "until") if walk == "windows" else ("above", "below")
    begins = {part[low] for part in of_one} - {None}
    assert begins
    assert begins <= {part[high] for part in of_one}
    planned = workplace.run("plan", "-c", str(sandbox.config), "--source", source, "--offline", "--mode=full")
    assert planned.returncode == 0, planned.stderr
    assert walk in planned.stdout
