"""What the tests of the tools share."""
import importlib.util
from types import ModuleType

import pytest
from mmengine.registry import VISUALIZERS

#: Options that make a config of the repository small enough for a test.
TINY = ['train_cfg.max_iters=2', 'train_cfg.val_interval=2', 'train_dataloader.batch_size=2',
        'model.decode_head.channels=8', 'default_hooks.logger.interval=1',
        'default_hooks.checkpoint.interval=1',
        *(f'{split}_dataloader.{key}' for split in ('train', 'val', 'test')
          for key in ('num_workers=0', 'persistent_workers=False'))]


@pytest.fixture(scope='session')
def tool(repository):
    """Imports a script of ``tools/`` by its path there."""
    def load(path: str) -> ModuleType:
        name = path.replace('/', '_').replace('.py', '_tool')
        spec = importlib.util.spec_from_file_location(name, repository / 'tools' / path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    return load


@pytest.fixture(scope='session')
def tiny_options():
    return ['--cfg-options', *TINY]


@pytest.fixture(autouse=True)
def own_visualizer(monkeypatch):
    """MMEngine keeps the visualizer, and the folder it writes to, from one Runner to the next."""
    visualizer = VISUALIZERS.get('cmim_mm.DenseVisualizer')
    monkeypatch.setattr(visualizer, '_instance_dict', type(visualizer._instance_dict)())
