"""Say in one sentence why Pastille cannot run here, or nothing. Runs on any Python, also one far too old for the rest.

Knows nothing of the project: only the systems for which the wheels of the Java runtime and of numba exist.
"""

import os
import platform
import sys

PYTHON_MIN = (3, 11)
GLIBC_MIN = (2, 28)


def glibc():
    """The C library's version as a tuple, or (0,) where it is not glibc."""
    try:
        name, version = os.confstr("CS_GNU_LIBC_VERSION").split()
    except (AttributeError, ValueError, OSError):
        return (0,)
    return tuple(int(part) for part in version.split(".")) if name == "glibc" else (0,)


def is_supported_system():
    """Whether every wheel we need exists for this system."""
    system, machine = platform.system(), platform.machine()
    if system == "Linux":
        return machine in ("x86_64", "aarch64") and glibc() >= GLIBC_MIN
    return system == "Darwin" and machine == "arm64"


def has_venv():
    """Whether `python -m venv` will work: Debian packs venv and ensurepip apart from Python."""
    try:
        import ensurepip
        import venv
    except ImportError:
        return False
    return bool(ensurepip and venv)


def complaint():
    """The first thing that is in the way, as one sentence, or None."""
    if sys.version_info < PYTHON_MIN:
        mend = "install one and name it with make PYTHON=python3.11"
        return "Pastille needs Python 3.11 or later; this is {0}; {1}.".format(platform.python_version(), mend)
    if not is_supported_system():
        needs = "Linux with glibc 2.28 or later (x86_64, aarch64) or macOS on Apple silicon"
        return "Pastille needs {0}; this is {1} {2}.".format(needs, platform.system(), platform.machine())
    if not has_venv():
        mend = "install it (on Debian: apt install python3-venv)"
        return "Pastille needs Python's venv module; {0} has none; {1}.".format(sys.executable, mend)
    return None


if __name__ == "__main__":
    sys.exit(complaint())
