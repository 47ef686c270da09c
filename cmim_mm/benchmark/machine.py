"""What a figure depends on beside its config: versions, machine, data."""
import hashlib
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from cmim_mm.version import __version__

PACKAGES = ('torch', 'mmengine', 'mmsegmentation', 'mmcv', 'mmcv-lite', 'numpy')


def versions() -> dict[str, str]:
    """Of this package, python and what it computes with."""
    found = {'cmim_mm': __version__, 'python': platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, str]:
    """Processor, cores and GPU."""
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {'processor': _processor(), 'cores': str(os.cpu_count()), 'gpu': ', '.join(gpus) or 'none',
            'system': f'{platform.system()} {platform.machine()}'}


def _processor() -> str:
    try:
        lines = Path('/proc/cpuinfo').read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = [line.partition(':')[2].strip() for line in lines if line.startswith('model name')]
    return models[0] if models else platform.machine()


def data_fingerprint(root: str) -> str:
    """SHA-256 of the names and sizes of all files of a folder, and of the content of its lists (``*.txt``).

    Cheap enough for every start; it sees files that were added, lost or written again to another size.
    """
    digest = hashlib.sha256()
    for folder, folders, files in os.walk(root):
        folders.sort()
        for name in sorted(files):
            path = os.path.join(folder, name)
            digest.update(f'{os.path.relpath(path, root)}\0{os.path.getsize(path)}\0'.encode())
            if name.endswith('.txt'):
                digest.update(Path(path).read_bytes())
    return digest.hexdigest()
