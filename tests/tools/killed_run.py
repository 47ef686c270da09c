"""Trains three times in forked processes, the second killed and the third its resumption.

    python killed_run.py REPOSITORY FOLDER ITERS CONFIG_ARGUMENT...

Forking after the imports, which take longer than the trainings, before any computation.
"""
import importlib
import importlib.util
import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np
import torch


def start(train, work_dir, arguments):
    """Forks a training, which ends by writing its random states."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        train.main([arguments[0], '--work-dir', str(work_dir), *arguments[1:]])
        states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
        (work_dir / 'random_states.txt').write_text(repr(states))
        status = 0
    finally:
        os._exit(status)


def wait(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main():
    repository, folder, *arguments = sys.argv[1:]
    spec = importlib.util.spec_from_file_location('train_tool', Path(repository) / 'tools/train.py')
    train = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(train)
    for package in ('cmim_mm.models', 'mmseg.models', 'mmseg.engine', 'mmseg.datasets'):
        importlib.import_module(package)
    whole, broken = Path(folder, 'whole'), Path(folder, 'broken')
    assert wait(start(train, whole, arguments)) == 0, 'the undisturbed training failed'

    probed = [*arguments, 'default_hooks.probe.type=cmim_mm.ProbeHook', 'default_hooks.probe.num_images=4']
    child, deadline = start(train, broken, probed), time.monotonic() + 120
    while not (broken / 'last_checkpoint').exists():
        assert time.monotonic() < deadline and os.waitpid(child, os.WNOHANG) == (0, 0), 'it never saved'
        time.sleep(0.002)
    time.sleep(random.uniform(0, 0.15))
    os.kill(child, signal.SIGKILL)
    assert wait(child) == -signal.SIGKILL, 'the kill came too late to show anything'
    resumed = [probed[0], '--resume', *probed[1:]]
    assert wait(start(train, broken, resumed)) == 0, 'the resumed training failed'


if __name__ == '__main__':
    main()
