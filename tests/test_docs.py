"""The site: every page in its place, nothing from elsewhere, and tables as the configs have it."""

import re

import pytest
import yaml
from pages import ROOT

from genlab import __version__

DOCS = ROOT / "docs"
MODELS = sorted((ROOT / "configs" / "model").glob("*.yaml"))
DATA = sorted((ROOT / "configs" / "data").glob("*.yaml"))
FAMILIES = [page for page in sorted((DOCS / "families").glob("*.md")) if page.stem != "index"]
ROOMS = ("metrics", "training", "experiment")
"""Rooms whose public modules all stand on the API's pages."""


def config():
    """The site's config, its tags of Python left alone."""
    return yaml.safe_load((ROOT / "mkdocs.yml").read_text())


def pages(nav):
    """The files that a navigation names."""
    for entry in nav:
        if isinstance(entry, str):
            yield entry
        else:
            for value in entry.values():
                yield from [value] if isinstance(value, str) else pages(value)


def header(file, key):
    """A line of the comment that a config begins with."""
    match = re.search(rf"^# {key}: (.*)$", file.read_text(), re.M)
    return match[1] if match else ""


def promise(file):
    """The first line of a config."""
    return file.read_text().splitlines()[0].removeprefix("# ")


def test_every_page_is_in_the_navigation_once():
    named = sorted(pages(config()["nav"]))
    assert named == sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))


def test_the_site_fetches_nothing():
    site = config()
    assert site["theme"]["font"] is False
    assert "extra_javascript" not in site
    assert all("//" not in sheet for sheet in site["extra_css"])
    fetched = r"!\[[^]]*\]\(https?:|\bsrc=.?https?:|url\(|@import"
    for file in [*DOCS.rglob("*.md"), DOCS / "style.css"]:
        assert not re.search(fetched, file.read_text()), file


@pytest.mark.parametrize("file", MODELS, ids=lambda file: file.stem)
def test_a_model_stands_on_one_family_page_as_its_config_has_it(file):
    count = header(file, "parameters").partition(" on ")[0]
    row = f"| `{file.stem}` | {promise(file)} | {count} | {header(file, 'paper')} |"
    on = [page.stem for page in FAMILIES if row in page.read_text()]
    assert len(on) == 1, f"one page under docs/families/ needs\n{row}"


@pytest.mark.parametrize("file", DATA, ids=lambda file: file.stem)
def test_a_data_set_stands_on_the_data_page_as_its_config_has_it(file):
    row = f"| `{file.stem}` | {promise(file)} |"
    assert row in (DOCS / "data.md").read_text(), f"docs/data.md needs\n{row}"


@pytest.mark.parametrize("room", ROOMS)
def test_the_api_has_a_room_with_all_that_is_in_it(room):
    assert f"::: genlab.{room}\n" in (DOCS / "api" / f"{room}.md").read_text()
    handler = config()["plugins"][1]["mkdocstrings"]["handlers"]["python"]["options"]
    assert handler["show_submodules"] is True
    assert handler["filters"] == "public"


def test_every_figure_of_the_family_pages_stands_in_the_configs_or_the_results():
    known = "".join(f.read_text() for f in (ROOT / "configs").rglob("*.yaml"))
    known += (DOCS / "compare.md").read_text() + (DOCS / "families" / "index.md").read_text()
    for page in FAMILIES:
        numbers = page.read_text().partition("## Numbers")[2].partition("## Where")[0]
        rows = [line for line in numbers.splitlines() if line.startswith("| `")]
        assert rows
        found = re.findall(r"\d+\.\d+|\d+,\d+", " ".join(rows))
        assert [n for n in found if n not in known] == [], page


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == __version__
    assert citation["title"] == "genlab"
    assert citation["license"] == "MIT"


def test_the_workflow_calls_what_a_change_must_pass():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    steps = [step.get("run", "") for job in workflow["jobs"].values() for step in job["steps"]]
    assert "make test" in steps
    assert "make docs" in steps
    versions = workflow["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert versions == ["3.11", "3.12"]


@pytest.mark.parametrize(
    "file", sorted((ROOT / ".github").rglob("*.yml")), ids=lambda file: file.name
)
def test_every_form_is_yaml_with_a_name(file):
    content = yaml.safe_load(file.read_text())
    assert content.get("name") or file.name == "config.yml"


def test_pre_commit_checks_what_make_lint_and_types_check():
    content = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    entries = [
        hook["entry"] for repo in content["repos"] for hook in repo["hooks"] if "entry" in hook
    ]
    programs = {entry.split()[0].rpartition("/")[2] for entry in entries}
    assert {"ruff", "mypy"} <= programs
