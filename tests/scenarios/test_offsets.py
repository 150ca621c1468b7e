"""Offset pages, from outside: many in flight, what the manifest says of them, and what reads a set they cannot read."""

from __future__ import annotations

import pytest

from tests.scenarios.conftest import SandboxProcess, Workplace

OPTIONS = ("--time-scale", "3600", "--records", "1200")


def by_offset(sandbox: SandboxProcess, source: str, pager: str) -> None:
    """Let *source* of the written configuration walk by *pager*, with small pages."""
    head = f"[sources.{source}]\n"
    text = sandbox.config.read_text()
    assert head in text
    sandbox.config.write_text(text.replace(head, f'{head}walk = "{pager}"\npage_size = 40\n'))


def walks(workplace: Workplace, resource: str) -> list[dict[str, object]]:
    (manifest,) = [each for each in workplace.manifests() if each["resource"] == resource]
    assert manifest["verdict"] == "complete", manifest["reason"]
    found = manifest["walks"]
    assert isinstance(found, list)
    return [walk for walk in found if walk["phase"] == "full"]


@pytest.mark.parametrize("sandbox", [OPTIONS], indirect=True)
def test_ims_by_offset_is_complete_and_says_how_many_seams_it_checked(
    sandbox: SandboxProcess, workplace: Workplace
) -> None:
    """Several databases, keys of one and of two members, an exactly full last page, pages of 40."""
    by_offset(sandbox, "ims", "offset")
    done = workplace.run("run", "-c", str(sandbox.config), "--source", "ims")
    assert done.returncode == 0, done.stderr
    for resource in ("Property", "Member", "Office"):
        assert {walk["pager"] for walk in walks(workplace, resource)} == {"offset"}
    assert sum(int(str(walk["seams"])) for walk in walks(workplace, "Property")) >= 1200 // 40 - 3
    checked = workplace.run("verify", "out", "--against", sandbox.url)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("sandbox", [OPTIONS], indirect=True)
def test_spark_by_page_numbers_is_complete(sandbox: SandboxProcess, workplace: Workplace) -> None:
    by_offset(sandbox, "spark", "numbered")
    done = workplace.run("run", "-c", str(sandbox.config), "--source", "spark")
    assert done.returncode == 0, done.stderr
    assert walks(workplace, "listings")[0]["pager"] == "numbered"
    checked = workplace.run("verify", "out", "--against", sandbox.url)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("sandbox", [OPTIONS], indirect=True)
def test_where_the_server_refuses_large_offsets_the_rest_is_read_by_value(
    sandbox: SandboxProcess, workplace: Workplace
) -> None:
    """FAULTS P16: nothing is missing, nothing is written twice, and the manifest names the walk that read it."""
    by_offset(sandbox, "ims", "offset")
    sandbox.set_faults([{"match": {"provider": "ims", "resource": "Property"}, "fault": "cap:200"}])
    done = workplace.run("run", "-c", str(sandbox.config), "--source", "ims")
    assert done.returncode == 0, done.stderr
    assert "windows" in {walk["pager"] for walk in walks(workplace, "Property")}
    checked = workplace.run("verify", "out", "--against", sandbox.url)
    assert checked.returncode == 0, checked.stdout
