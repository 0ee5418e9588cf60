"""Writes the contracts' documents into a folder: `python -m streams.schemas deploy/schemas`.

Does not know what is in them. A test says whether the kept files are current.
"""

import sys
from pathlib import Path

from detector.contracts.schemas import documents


def write(folder: Path) -> None:
    """Write every document into the folder, which is made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in documents().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("one folder is needed; got none or several; call python -m streams.schemas deploy/schemas")
    write(Path(sys.argv[1]))
