"""What is installed is what is in the folders: data files beside the code are not forgotten in the wheel."""

import tomllib
from pathlib import Path

from tests.tidy.source import PACKAGES, ROOT

BUILT = {".py", ".pyc", ".nbi", ".nbc", ".lock"}


def test_every_data_file_is_packed() -> None:
    """Each file beside the code that is no Python is matched by a pattern of package-data in pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]
    packed = {path for package, globs in patterns.items() for glob in globs for path in (ROOT / package).glob(glob)}
    there = {path for name in PACKAGES for path in (ROOT / name).rglob("*") if path.is_file()}
    forgotten = {path for path in there - packed if path.suffix not in BUILT}
    assert sorted(path.relative_to(ROOT).as_posix() for path in forgotten) == []


def test_every_folder_is_a_package() -> None:
    """Each folder that holds code has an `__init__`, or it would not be installed."""
    folders: set[Path] = {path.parent for name in PACKAGES for path in (ROOT / name).rglob("*.py")}
    assert [folder.name for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []
