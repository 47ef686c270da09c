"""The hooks that a training of this project's networks needs, whatever its config lists."""
from mmengine.runner import Runner

from .hooks import (
    BinarizationProgressHook,
    CheckDatasetHook,
    FiniteLossHook,
    MemoryBankHook,
    MemoryFormatHook,
    ReduceLossHook,
    ResumeHook,
    SeedHook,
)

#: One of each is in every Runner with a module of this project; a config's own one (or one derived from it)
#: takes its place.
NEEDED_HOOKS = (
    MemoryFormatHook, BinarizationProgressHook, SeedHook, ReduceLossHook, CheckDatasetHook, MemoryBankHook,
    FiniteLossHook, ResumeHook)


def add_needed_hooks(runner: Runner) -> None:
    """Registers those of ``NEEDED_HOOKS`` that a Runner lacks, if its model has a part of this project."""
    if not any(type(module).__module__.startswith('cmim_mm.') for module in runner.model.modules()):
        return
    for hook in NEEDED_HOOKS:
        if not any(isinstance(own, hook) for own in runner.hooks):
            runner.register_hook(hook())
