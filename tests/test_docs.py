"""What docs/architecture.md names is there, and what is there it names."""

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
PACKAGE = REPOSITORY / "mario_tui"
TEXT = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")


def modules() -> set[str]:
    return {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"}


def test_every_file_has_its_line() -> None:
    lines = re.findall(r"^\| `([\w/]+\.py)` \| [^|]+ \|$", TEXT, re.MULTILINE)
    assert len(lines) == len(set(lines)), "one line each"
    assert modules() - set(lines) == set(), "these have no line"
    assert set(lines) - modules() == set(), "these are gone"


def test_every_place_that_it_names_is_there() -> None:
    named = set(re.findall(r"`((?:[\w.]+/)*\w+\.py)`", TEXT))
    assert named
    assert {name for name in named if not (PACKAGE / name).is_file()} == set()
    others = set(re.findall(r"\b((?:tests|docs|benchmarks)/[\w./]+\.\w+)", TEXT))
    others |= {f"docs/{link}" for link in re.findall(r"\]\(([^)#:]+)\)", TEXT)}
    assert {name for name in others if not (REPOSITORY / name).exists()} == set()


def test_every_name_that_it_gives_is_in_its_file() -> None:
    """`Name` (`file.py`), and `file.py` (`Name`)."""
    pairs = [(file, name) for name, file in re.findall(r"`([\w.]+)` \(`([\w/]+\.py)`\)", TEXT)]
    pairs += re.findall(r"`([\w/]+\.py)` \(`([\w.]+)`\)", TEXT)
    assert len(pairs) > 5
    missing = [
        (file, name)
        for file, name in pairs
        if not all(re.search(rf"\b{part}\b", (PACKAGE / file).read_text(encoding="utf-8")) for part in name.split("."))
    ]
    assert missing == []


PAGES = sorted(REPOSITORY.glob("*.md")) + sorted((REPOSITORY / "docs").glob("*.md"))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and GitLab make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if link.startswith("https:"):
            continue
        place, _, anchor = link.partition("#")
        target = (page.parent / place).resolve() if place else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


def test_the_readme_is_read_in_three_minutes() -> None:
    assert len((REPOSITORY / "README.md").read_text(encoding="utf-8").splitlines()) <= 150
