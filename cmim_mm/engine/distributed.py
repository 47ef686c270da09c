"""``--launcher``: gloo between processes on CPUs where there is no GPU, and an orderly end in any case."""
import atexit
import datetime
import gc
import os
import subprocess
from collections.abc import Iterator

import torch
from mmengine.config import Config
from mmengine.device import get_device

#: Launcher -> environment variables that hold rank, number of processes, rank on this machine.
_LAUNCHERS = {
    'pytorch': ('RANK', 'WORLD_SIZE', 'LOCAL_RANK'),
    'slurm': ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_LOCALID'),
    'mpi': ('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE', 'OMPI_COMM_WORLD_LOCAL_RANK'),
}


def setup_launcher(cfg: Config, launcher: str) -> None:
    """Prepares ``cfg`` and the process group for a launcher; call it before the Runner is built.

    With a GPU (or launcher 'none') ``cfg.launcher`` is set and MMEngine makes the group. Without one,
    MMEngine would fail on a missing CUDA device: the process group is then made here with gloo, and
    ``cfg.model_wrapper_cfg`` is completed for CPUs (what it held, and ``cfg.find_unused_parameters``,
    is kept). :func:`leave_group` is called when the process ends.

    Args:
        cfg: Config of the run, changed in place.
        launcher: 'none', 'pytorch', 'slurm' or 'mpi'.

    Raises:
        ValueError: Unknown launcher, or the model holds SyncBN, which needs GPUs.
        RuntimeError: The launcher's environment variables are missing.
    """
    if launcher not in ('none', *_LAUNCHERS):
        raise ValueError(f"launcher '{launcher}' is unknown; choose one of: none, {', '.join(_LAUNCHERS)}")
    cfg.launcher = launcher
    if launcher == 'none':
        return
    atexit.register(leave_group)
    if get_device() != 'cpu':
        return
    _refuse_sync_bn(cfg)
    _init_gloo(launcher, cfg.get('env_cfg', {}).get('dist_cfg', {}).get('timeout'))
    cfg.model_wrapper_cfg = {
        'type': 'MMDistributedDataParallel',
        'broadcast_buffers': False,
        'find_unused_parameters': cfg.get('find_unused_parameters', False),
        **(cfg.get('model_wrapper_cfg') or {}),
        'device_ids': None,
    }


def _init_gloo(launcher: str, timeout: 'int | None') -> None:
    names = _LAUNCHERS[launcher]
    missing = [name for name in names if name not in os.environ]
    if missing:
        raise RuntimeError(
            f"--launcher {launcher}: {', '.join(missing)} not set in the environment, so this process was "
            'not started by that launcher. For two processes on this machine: torchrun --nproc_per_node 2 '
            'tools/train.py CONFIG --launcher pytorch; for one process leave --launcher out.')
    for name, source in zip(_LAUNCHERS['pytorch'], names):
        os.environ[name] = os.environ[source]
    if 'MASTER_ADDR' not in os.environ and launcher == 'slurm':
        os.environ['MASTER_ADDR'] = _first_slurm_host(os.environ['SLURM_NODELIST'])
    os.environ.setdefault('MASTER_ADDR', '127.0.0.1')
    os.environ.setdefault('MASTER_PORT', '29500')
    if not torch.distributed.is_initialized():
        limit = None if timeout is None else datetime.timedelta(seconds=timeout)
        torch.distributed.init_process_group('gloo', timeout=limit)


def leave_group() -> None:
    """Ends the process group and its threads, if there is one; to be called at the end of every rank.

    Threads that still run when the interpreter is torn down abort the process. They end with the last
    reference to the group, which a wrapped model in a cycle of references (a Runner) would keep.
    """
    if torch.distributed.is_initialized():
        gc.collect()
        torch.distributed.destroy_process_group()


def _first_slurm_host(nodes: str) -> str:
    command = ['scontrol', 'show', 'hostnames', nodes]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[0]


def _refuse_sync_bn(cfg: Config) -> None:
    found = [*_find_sync_bn(cfg.get('model', {}), 'model')]
    if cfg.get('sync_bn'):
        found.append('sync_bn')
    if found:
        raise ValueError(
            f"{', '.join(found)}: SyncBN needs GPUs, and there is none. Use BN: --cfg-options "
            f'{" ".join(f"{key}=BN" if key != "sync_bn" else "sync_bn=None" for key in found)}')


def _find_sync_bn(value: object, key: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == 'type' and 'SyncB' in str(inner):
                yield f'{key}.type'
            else:
                yield from _find_sync_bn(inner, f'{key}.{name}')
    elif isinstance(value, (list, tuple)):
        for number, inner in enumerate(value):
            yield from _find_sync_bn(inner, f'{key}.{number}')
