"""The checkpoint that a work folder would resume from."""
from pathlib import Path
from typing import Optional, Union

from .checkpoint import CheckpointError

#: The file of a work folder that names it.
POINTER = 'last_checkpoint'


def last_checkpoint(work_dir: Union[str, Path]) -> Optional[Path]:
    """The latest checkpoint of a work folder, or None before the first one.

    ``last_checkpoint`` there holds a whole path, for MMEngine's sake. The file of that name in the folder
    itself comes first: folders are moved and copied.

    Raises:
        CheckpointError: There is neither.
    """
    work_dir = Path(work_dir)
    pointer = work_dir / POINTER
    if not pointer.is_file():
        return None
    named = pointer.read_text().strip()
    for path in (work_dir / named.replace('\\', '/').rpartition('/')[2], Path(named)):
        if path.is_file():
            return path
    there = sorted(path.name for path in work_dir.glob('*.pth'))
    raise CheckpointError(
        f'{pointer} names {named}, which is neither there nor in {work_dir}. '
        + (f'There are {", ".join(there)}: name one, --resume FILE.' if there else
           'Put it back, or remove this file to start anew.'))
