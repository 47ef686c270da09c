"""What is wrong with data, said in one line a file."""
from collections.abc import Sequence
from typing import NamedTuple, Optional

MEND = 'Mend or delete the file; the converter makes again what is missing'


class Fault(NamedTuple):
    """Something wrong with the data: which file, what, and what to do."""
    path: str
    problem: str
    remedy: str = MEND

    def __str__(self) -> str:
        return f'{self.path}: {self.problem}. {self.remedy}.'


class DataError(ValueError):
    """The data cannot be used; the message names the files and what to do.

    Attributes:
        fault: The one fault, where there is one alone.
    """
    fault: Optional[Fault] = None

    @classmethod
    def one(cls, path: str, problem: str, remedy: str = MEND) -> 'DataError':
        """The error of a single fault."""
        fault = Fault(path, problem, remedy)
        error = cls(str(fault))
        error.fault = fault
        return error

    @classmethod
    def of(cls, faults: Sequence[Fault], root: str, shown: int = 5) -> 'DataError':
        """The error of several faults of a data folder."""
        lines = [str(f) for f in faults[:shown]]
        if len(faults) > shown:
            lines.append(f'… and {len(faults) - shown} more.')
        lines.append(f'For a full report: python tools/misc/check_dataset.py --data-root {root}')
        return cls('\n'.join(lines))
