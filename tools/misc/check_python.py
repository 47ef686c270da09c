"""Says in one line why an interpreter cannot install cmim_mm, and exits with 1; silent where it can.

Runs before anything is installed or downloaded, so in any Python, even 2.7, and without other files.
"""
# ruff: noqa: UP031  (Python 2.7 has no f-strings)
import platform
import struct
import sys

#: The first version that works, and the first that does not.
FIRST, END = (3, 10), (3, 14)


def problem(version, implementation, bits, missing):
    """What is wrong, or None.

    Args:
        version: (major, minor).
        implementation: As platform.python_implementation() names it.
        bits: Size of a pointer.
        missing: Modules of the standard library that cannot be imported.
    """
    if not FIRST <= tuple(version) < END:
        return 'it is Python %d.%d' % tuple(version)
    if implementation != 'CPython':
        return 'it is ' + implementation + ', for which there is no torch'
    if bits != 64:
        return 'it has %d bits, for which there is no torch' % bits
    if missing:
        return 'it lacks ' + ', '.join(missing) + ' (on Debian: apt-get install python3-venv)'
    return None


def absent(modules):
    """The modules that cannot be imported."""
    found = []
    for name in modules:
        try:
            __import__(name)
        except ImportError:
            found.append(name)
    return found


if __name__ == '__main__':
    what = problem(sys.version_info[:2], platform.python_implementation(), 8 * struct.calcsize('P'),
                   absent(('venv', 'ensurepip', 'ssl')))
    if what:
        sys.exit('error: %s cannot run cmim_mm: %s. Needed is a 64-bit CPython 3.%d to 3.%d; name one by '
                 'PYTHON=python3.%d' % (sys.executable, what, FIRST[1], END[1] - 1, FIRST[1] + 1))
