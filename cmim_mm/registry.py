"""Registries of cmim_mm: children of MMEngine's roots in the scope ``cmim_mm``.

``type='cmim_mm.X'`` in a config resolves here from any default scope; the
modules named in ``locations`` are imported on the first look-up, so no config
needs ``custom_imports``.
"""

from mmengine.registry import DATA_SAMPLERS as MMENGINE_DATA_SAMPLERS
from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import LOOPS as MMENGINE_LOOPS
from mmengine.registry import METRICS as MMENGINE_METRICS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import OPTIM_WRAPPERS as MMENGINE_OPTIM_WRAPPERS
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from mmengine.registry import VISUALIZERS as MMENGINE_VISUALIZERS
from mmengine.registry import Registry

MODELS = Registry('model', parent=MMENGINE_MODELS, scope='cmim_mm', locations=['cmim_mm.models'])
DATASETS = Registry('dataset', parent=MMENGINE_DATASETS, scope='cmim_mm', locations=['cmim_mm.datasets'])
DATA_SAMPLERS = Registry(
    'data sampler', parent=MMENGINE_DATA_SAMPLERS, scope='cmim_mm', locations=['cmim_mm.datasets']
)
TRANSFORMS = Registry(
    'transform', parent=MMENGINE_TRANSFORMS, scope='cmim_mm', locations=['cmim_mm.datasets']
)
METRICS = Registry('metric', parent=MMENGINE_METRICS, scope='cmim_mm', locations=['cmim_mm.evaluation'])
HOOKS = Registry('hook', parent=MMENGINE_HOOKS, scope='cmim_mm', locations=['cmim_mm.engine'])
LOOPS = Registry('loop', parent=MMENGINE_LOOPS, scope='cmim_mm', locations=['cmim_mm.engine'])
OPTIM_WRAPPERS = Registry(
    'optim_wrapper', parent=MMENGINE_OPTIM_WRAPPERS, scope='cmim_mm', locations=['cmim_mm.engine']
)
VISUALIZERS = Registry(
    'visualizer', parent=MMENGINE_VISUALIZERS, scope='cmim_mm', locations=['cmim_mm.visualization']
)

#: One class a binarization method; ``build`` takes a name or a config dict.
BINARIZERS = Registry('binarizer', scope='cmim_mm', locations=['cmim_mm.binarize'])


def own(cfg: dict, default: str, **more) -> dict:
    """``cfg`` for ``MODELS.build``: ``type='Bank'`` means ``cmim_mm.Bank``, and may be left out.

    Args:
        cfg: Of a module.
        default: Its type where it says none.
        more: Further arguments; those of ``cfg`` win.
    """
    MODELS.import_from_location()
    name = cfg.get('type', default)
    return {**more, **cfg, 'type': f'cmim_mm.{name}' if name in MODELS.module_dict else name}
