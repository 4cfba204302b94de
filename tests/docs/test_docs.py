"""The pages agree with the code: YAML blocks are valid, commands and links exist, the reference is up to date."""

import importlib.util
import re
import shlex
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from hilum.cli import VERBS
from hilum.experiment import Experiment, diagnose

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!`)\[[^\]\n]*\]\(([^)\s]+)\)")
COMMAND = re.compile(r"(?:^|[\s`])(?:hilum|python -m hilum|-m hilum) ([a-z]\w*)")

# What a fragment of YAML is completed with; one of the two has to fit.
COMMON = ["name: base", "data: {source: {kind: csv_table, file: cases.csv, patient: patient_id}}"]
BASES = (
    [*COMMON, "task: {kind: segmentation, classes: [none, organ]}", "network: unet", "loss: dice", "metrics: dice"],
    [*COMMON, "task: {kind: classification, classes: [a, b]}", "network: resnet", "loss: focal", "metrics: auroc"],
)


def blocks(page: Path, *languages: str) -> list[str]:
    """The fenced blocks of a page in these languages."""
    return [text for language, text in BLOCK.findall(page.read_text(encoding="utf-8")) if language in languages]


def yaml_blocks(*, whole: bool) -> list[tuple[Path, str]]:
    """Every block of YAML that is a whole configuration, or a fragment of one."""
    return [(page, text) for page in PAGES for text in blocks(page, "yaml") if text.startswith("name:") == whole]


def faults(folder: Path, text: str) -> list[str]:
    """What is wrong with a configuration, data apart."""
    file = folder / "block.yaml"
    file.write_text(text)
    return [str(fault) for fault in diagnose(file).faults]


def prose_and_code(page: Path) -> str:
    """The text of inline code and of shell blocks, one after the other."""
    text = page.read_text(encoding="utf-8")
    inline = re.findall(r"`([^`\n]+)`", BLOCK.sub("", text))
    return "\n".join([*inline, *blocks(page, "bash", "sh", "shell")])


def anchors(page: Path) -> set[str]:
    """The names that headings of a page can be linked by."""
    headings = re.findall(r"^#+ (.*)$", BLOCK.sub("", page.read_text(encoding="utf-8")), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def reference_script() -> ModuleType:
    """`scripts/write_reference.py` as a module."""
    spec = importlib.util.spec_from_file_location("write_reference", ROOT / "scripts" / "write_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def named(item: object) -> str:
    """A page by its path, anything else by its beginning."""
    return str(item.relative_to(ROOT)) if isinstance(item, Path) else str(item)[:30].splitlines()[0]


@pytest.mark.parametrize(("page", "text"), yaml_blocks(whole=True), ids=named)
def test_a_whole_configuration_is_valid(page: Path, text: str, tmp_path: Path) -> None:
    assert faults(tmp_path, text) == []


@pytest.mark.parametrize(("page", "text"), yaml_blocks(whole=False), ids=named)
def test_a_fragment_fits_into_a_configuration(page: Path, text: str, tmp_path: Path) -> None:
    keys = set(yaml.safe_load(text))
    assert keys <= set(Experiment.model_fields), f"{page.name} shows keys that there are not"
    if "plugins" in keys:
        return  # its file stands in CONTRIBUTING.md, and tests/journeys follows that page to the letter
    found = []
    for base in BASES:
        kept = [line for line in base if line.partition(":")[0] not in keys]
        found.append(faults(tmp_path, text + "\n".join(kept)))
    assert [] in found, found


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_command_exists(page: Path) -> None:
    assert set(COMMAND.findall(prose_and_code(page))) <= set(VERBS)


def shown_overrides() -> list[tuple[str, list[str]]]:
    """The configuration and the overrides of each `hilum check` and `hilum train` on a shipped file."""
    found = []
    for line in "\n".join(text for page in PAGES for text in blocks(page, "bash")).splitlines():
        words = shlex.split(line, comments=True)
        shipped = [word for word in words if word.startswith("configs/")]
        if "hilum" in words and shipped:
            overrides = [word.replace("$fold", "0") for word in words if re.match(r"[a-z_.0-9]+=", word)]
            found.append((shipped[0], overrides))
    return found


@pytest.mark.parametrize(("config", "overrides"), shown_overrides(), ids=str)
def test_shown_overrides_are_accepted(config: str, overrides: list[str]) -> None:
    assert [str(fault) for fault in diagnose(ROOT / config, overrides).faults] == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    broken = []
    for link in LINK.findall(BLOCK.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_every_page_can_be_found_from_the_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    linked = {link.partition("#")[0] for link in LINK.findall(index)}
    assert {page.name for page in (ROOT / "docs").glob("*.md")} - {"index.md"} <= linked


def test_the_reference_is_what_the_code_says() -> None:
    script = reference_script()
    assert script.REFERENCE.read_text(encoding="utf-8") == script.reference(), "run `make docs`"


def test_the_reference_names_every_kind_of_hilum() -> None:
    from hilum.registry import FAMILIES, kinds

    text = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    for family in FAMILIES:
        own = [kind for kind, member in kinds(family).items() if member.__module__.startswith("hilum.")]
        assert [kind for kind in own if f"### {family}: {kind}\n" not in text] == []


def test_every_verb_is_explained_somewhere() -> None:
    text = "\n".join(prose_and_code(page) for page in PAGES)
    assert set(COMMAND.findall(text)) == set(VERBS)
