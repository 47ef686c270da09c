"""What ``import cmim_mm`` changes of MMEngine's Runner.

1. ``register_hooks`` adds the hooks that a training of this project's networks needs: a config replaces its
   list ``custom_hooks`` as a whole, and would lose them without a message.
2. Runners of one process are kept apart. MMEngine finds logger, message hub and visualizer by a name, made
   of the config's and the second of the start, or given by the config: a second Runner would log to the
   first one's folder.
"""
import functools
from collections import Counter
from typing import Any, Callable

from mmengine.runner import Runner
from mmengine.visualization import Visualizer

_starts: Counter = Counter()


def install() -> None:
    """Changes the Runner; called once by ``import cmim_mm``."""
    Runner.register_hooks = _with_needed_hooks(Runner.register_hooks)
    Runner.setup_env = _with_own_timestamp(Runner.setup_env)
    Runner.build_visualizer = _with_own_name(Runner.build_visualizer)


def _with_needed_hooks(register_hooks: Callable) -> Callable:
    @functools.wraps(register_hooks)
    def changed(self: Runner, *args, **kwargs) -> None:
        register_hooks(self, *args, **kwargs)
        from .engine.needed_hooks import add_needed_hooks  # imports the hooks, with all that they use
        add_needed_hooks(self)

    return changed


def _with_own_timestamp(setup_env: Callable) -> Callable:
    @functools.wraps(setup_env)
    def changed(self: Runner, env_cfg: dict) -> None:
        setup_env(self, env_cfg)
        _starts[self._timestamp] += 1
        if _starts[self._timestamp] > 1:
            self._timestamp += f'_{_starts[self._timestamp]}'

    return changed


def _with_own_name(build_visualizer: Callable) -> Callable:
    @functools.wraps(build_visualizer)
    def changed(self: Runner, visualizer: Any = None) -> Visualizer:
        if isinstance(visualizer, dict):
            # MMEngine writes the folder into the configs of the back ends.
            back_ends = [dict(one) if isinstance(one, dict) else one
                         for one in visualizer.get('vis_backends') or []]
            visualizer = {**visualizer, 'name': self._experiment_name, 'vis_backends': back_ends or None}
        return build_visualizer(self, visualizer)

    return changed
