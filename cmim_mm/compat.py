"""Makes the stack usable, or says in one message what to install.

Two things happen before mmsegmentation is imported for the first time:

1. ``check_versions`` refuses a version that cannot work, naming what is
   installed, what is supported, and the command that mends it.
2. ``install_ops_stand_in``: mmsegmentation imports compiled ops of the full
   mmcv at import time, although none of the networks here calls one. Under
   mmcv-lite a stand-in takes the place of ``mmcv._ext``; each op of it raises
   when *called*. Where the compiled module exists, nothing is touched.
"""
import importlib.metadata
import importlib.util
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Callable

from packaging.specifiers import SpecifierSet

#: Import name -> supported versions, distributions that may provide it, command that mends it.
SUPPORTED = {
    'torch': ('>=2.6', ('torch',), "pip install 'torch>=2.6'"),
    'mmengine': ('>=0.10.7,<1', ('mmengine', 'mmengine-lite'), "pip install 'mmengine>=0.10.7,<1'"),
    'mmcv': ('>=2.1,<2.2', ('mmcv', 'mmcv-lite'), "pip install 'mmcv-lite>=2.1,<2.2'"),
    'mmseg': ('>=1.2.2,<1.3', ('mmsegmentation',), "pip install 'mmsegmentation>=1.2.2,<1.3'"),
}


def check_versions() -> None:
    """Raises ImportError for the first package of ``SUPPORTED`` that is missing or cannot work."""
    if not (3, 10) <= sys.version_info[:2] < (3, 14):
        raise ImportError(
            f'cmim_mm: Python {sys.version.split()[0]} is running; supported are 3.10 to 3.13. '
            'Make a virtual environment with one of these.')
    for module, (wanted, distributions, command) in SUPPORTED.items():
        installed = [d for d in map(_installed_version, distributions) if d]
        if not installed:
            raise ImportError(f'cmim_mm: {module} is not installed; supported is {wanted}. Run: {command}')
        name, version = installed[0]
        if not SpecifierSet(wanted, prereleases=True).contains(version):
            raise ImportError(
                f'cmim_mm: {name} {version} is installed; supported is {wanted}. Run: {command}')
        if importlib.util.find_spec(module) is None:
            raise ImportError(
                f'cmim_mm: {name} {version} is recorded as installed, but its files are gone (removing '
                f'one of mmcv and mmcv-lite takes the files of both). Run: {command} --force-reinstall '
                '--no-deps')


def _installed_version(distribution: str) -> 'tuple[str, str] | None':
    try:
        return distribution, importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def has_compiled_ops() -> bool:
    """Whether the compiled ops of the full mmcv are there (asks for the module, not for its name)."""
    module = sys.modules.get('mmcv._ext')
    if module is not None:
        return not isinstance(module, _OpsStandIn)
    return importlib.util.find_spec('mmcv._ext') is not None


def install_ops_stand_in() -> None:
    """Puts the stand-in at ``mmcv._ext`` unless the compiled module is there."""
    if not has_compiled_ops():
        sys.modules.setdefault('mmcv._ext', _OpsStandIn())


class _OpsStandIn(ModuleType):
    """``mmcv._ext`` without compiled code: any attribute is an op that raises when called."""

    def __init__(self) -> None:
        super().__init__('mmcv._ext')
        # No loader: mmengine's mmcv_full_available() goes on answering False.
        self.__spec__ = ModuleSpec('mmcv._ext', loader=None)

    def __getattr__(self, name: str) -> Callable:
        if name.startswith('__'):
            raise AttributeError(name)

        def missing_op(*args, **kwargs):
            raise NotImplementedError(
                f"the compiled op '{name}' of mmcv was called, and mmcv-lite has none. Remove "
                'mmcv-lite and install the full mmcv (>=2.1,<2.2) for your torch and CUDA: '
                'https://mmcv.readthedocs.io/en/latest/get_started/installation.html')

        missing_op.__name__ = name
        return missing_op
