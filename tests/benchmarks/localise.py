"""`python tests/benchmarks/localise.py`: one fault at a time, how many causes are told, and are they right?

100 trials a row, each in a world of its own (`_localise_world`). Exact: the causes have the cells of the
faults, no more and no fewer. Milliseconds are CPU time of a call, the median.
"""

from __future__ import annotations

import argparse

from _localise_world import table_lines


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="one fault at a time: how many causes, and are they right?")
    parser.add_argument("--trials", type=int, default=100, help="of each row")
    for line in table_lines(parser.parse_args().trials):
        print(line, flush=True)


if __name__ == "__main__":
    main()
