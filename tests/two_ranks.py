"""Starts a script twice, as the two ranks of one gloo group on this machine."""
import os
import socket
import subprocess
import sys
from pathlib import Path

import cmim_mm


def run_two_ranks(script, *arguments):
    """Runs ``script ARGUMENTS`` in both ranks, one thread each, and waits; fails with what either wrote."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = str(probe.getsockname()[1])
    environment = {**os.environ, 'PYTHONPATH': str(Path(cmim_mm.__file__).parents[1]), 'OMP_NUM_THREADS': '1',
                   'CUDA_VISIBLE_DEVICES': '', 'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': port,
                   'WORLD_SIZE': '2'}
    ranks = [subprocess.Popen(
        [sys.executable, script, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        env={**environment, 'RANK': rank, 'LOCAL_RANK': rank}) for rank in '01']
    for process in ranks:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
