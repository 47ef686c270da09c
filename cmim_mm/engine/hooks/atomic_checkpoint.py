"""Checkpoints that survive a kill at any moment."""
import os.path as osp
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Optional

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook

from cmim_mm.atomic import remove_partial_files, write_atomically
from cmim_mm.checkpoint import CheckpointError
from cmim_mm.last_checkpoint import POINTER, last_checkpoint
from cmim_mm.registry import HOOKS


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """MMEngine's CheckpointHook, made safe against being killed.

    The order is: new checkpoint (under a temporary name, flushed, renamed), ``last_checkpoint`` (the same
    way), and only then the removal of what ``max_keep_ckpts`` or a new best makes superfluous. So
    ``last_checkpoint`` always names a whole file. What a killed run left half-written or undeleted goes
    at the next start. Arguments are those of ``CheckpointHook``.

    Raises:
        ValueError: ``file_client_args`` was given; use ``backend_args``.
        CheckpointError: While training: the file cannot be written, e.g. as the disk is full. Nothing of it
            is left, and the one before it is whole.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if self.file_client_args is not None:
            raise ValueError("AtomicCheckpointHook: 'file_client_args' is out of date, use 'backend_args'.")
        if self.backend_args is None and '://' not in str(self.out_dir or ''):
            self.backend_args = {'backend': 'atomic'}

    def before_train(self, runner) -> None:
        super().before_train(runner)
        if is_main_process():
            remove_partial_files(runner.work_dir)
            remove_partial_files(self.out_dir)

    def _save_checkpoint_with_step(self, runner, step: int, meta: dict) -> None:
        outdated = self._register_step(runner, step)
        filename = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, filename)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        with _explained(runner):
            runner.save_checkpoint(
                self.out_dir, filename, save_optimizer=self.save_optimizer,
                save_param_scheduler=self.save_param_scheduler, meta=meta, by_epoch=self.by_epoch,
                backend_args=self.backend_args, **self.args)
        if is_main_process():
            with _explained(runner):
                write_atomically(self.last_ckpt.encode(), osp.join(runner.work_dir, POINTER))
            for old in outdated:
                self._remove(self.filename_tmpl.format(old))
        if outdated:
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))

    def _register_step(self, runner, step: int) -> 'list[int]':
        """Takes ``step`` among the kept ones and returns those that have to go once it is saved.

        The new checkpoint itself lists these as well: if a kill prevents their removal, the resumed run
        (``CheckpointHook.before_train``) does it.
        """
        if self.max_keep_ckpts <= 0 or step in self.keep_ckpt_ids:
            return []
        kept = [*self.keep_ckpt_ids, step]
        self.keep_ckpt_ids.append(step)  # a deque, drops the oldest when it is full
        runner.message_hub.update_info('keep_ckpt_ids', kept)
        return kept[:-len(self.keep_ckpt_ids)]

    def _save_best_checkpoint(self, runner, metrics: dict) -> None:
        if not self.save_best:
            return
        # The parent deletes the best ones it knows before it saves: let it know none.
        before = self._best_paths()
        self._set_best_paths(dict.fromkeys(before))
        try:
            with _explained(runner):
                super()._save_best_checkpoint(runner, metrics)
        finally:
            after = self._best_paths()
            self._set_best_paths({key: after.get(key) or path for key, path in before.items()})
        for key, path in before.items():
            if path and after.get(key) and is_main_process():
                self._remove_best(path, instead=after[key])

    def _best_paths(self) -> 'dict[str, Optional[str]]':
        if len(self.key_indicators) == 1:
            return {'': self.best_ckpt_path}
        return dict(self.best_ckpt_path_dict)

    def _set_best_paths(self, paths: 'dict[str, Optional[str]]') -> None:
        if len(self.key_indicators) == 1:
            self.best_ckpt_path = paths['']
        else:
            self.best_ckpt_path_dict.update(paths)

    def _remove_best(self, path: str, instead: str) -> None:
        # The path may come from a resumed checkpoint, of a folder that has moved since: its name alone
        # counts, so that it reaches no file elsewhere.
        name = osp.basename(path)
        if name.startswith('best_') and name != osp.basename(instead):
            self._remove(name)

    def _remove(self, filename: str) -> None:
        path = self.file_backend.join_path(self.out_dir, filename)
        if self.file_backend.isfile(path):
            self.file_backend.remove(path)


@contextmanager
def _explained(runner) -> Iterator[None]:
    """Says what is left to go on from when a checkpoint cannot be written."""
    try:
        yield
    except OSError as error:
        last = last_checkpoint(runner.work_dir)
        raise CheckpointError(
            f'{error.filename}: cannot be written ({error.strerror}). '
            + (f'The last checkpoint, {last}, is whole' if last else 'No checkpoint was saved before')
            + '. Make room or permit writing there, then go on by --resume') from error
