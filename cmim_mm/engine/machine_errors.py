"""What a machine says that ran out of something, in words of what to do."""
import re
from typing import Optional

_LESS = 'set train_dataloader.num_workers (and val_dataloader.num_workers, or their batch_size) lower'


def machine_problem(error: BaseException) -> Optional[str]:
    """One line about a data loader's worker that died, or ran out of memory; None for other errors.

    torch raises these as plain ``RuntimeError``, some with the original error behind a second one.
    """
    text = f'{error} {error.__cause__ or error.__context__ or ""}'
    killed = re.search(r'DataLoader worker \(pid\S* (\d+)\) is killed by signal: (\w+)', text)
    if killed and killed[2] == 'Killed':
        return (f'a data loading worker (process {killed[1]}) was killed, most likely because memory ran '
                f'out: {_LESS}')
    if 'Bus error' in text or 'shared memory' in text:
        return ('the data loading workers ran out of shared memory (/dev/shm): give the machine or container '
                f'more of it (docker run --shm-size=8g), or use fewer workers: {_LESS}')
    if 'Too many open files' in text and 'DataLoader' in text:
        return f'the data loading workers ran out of open files: raise the limit (ulimit -n 4096), or {_LESS}'
    if killed or 'DataLoader worker' in text:
        how = f'ended by signal {killed[2]}' if killed else 'ended unexpectedly'
        return (f'a data loading worker {how}. Its own message may stand above; --cfg-options '
                'train_dataloader.num_workers=0 val_dataloader.num_workers=0 shows all of it')
    if isinstance(error, MemoryError) or "can't allocate memory" in text:
        return f'memory ran out: {_LESS}'
    return None
