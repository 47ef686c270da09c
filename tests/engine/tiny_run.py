"""A tiny classification by a config; a helper of the tests here."""
import copy

import numpy as np
from mmengine.config import Config
from mmengine.runner import Runner

from cmim_mm.datasets.small_images import SmallImageDataset
from cmim_mm.registry import DATASETS


@DATASETS.register_module(force=True)
class TinyImages(SmallImageDataset):
    """Coloured noise; the class is the brighter channel."""

    def __init__(self, number=12, classes='abc', data_root=None):
        rng = np.random.default_rng(0)
        labels = [i % len(classes) for i in range(number)]
        pixels = rng.integers(0, 120, (number, 3, 8, 8), np.uint8)
        for pixel, label in zip(pixels, labels):
            pixel[label] += 100
        super().__init__(pixels, labels, tuple(classes))


def config(work_dir, iterations=4, **changes) -> Config:
    """``changes`` are keys as on a command line, with __ for the dots."""
    data = dict(type='cmim_mm.TinyImages', data_root='here')
    cfg = Config(dict(
        model=dict(
            type='cmim_mm.ImageClassifier',
            data_preprocessor=dict(type='cmim_mm.ClsDataPreProcessor', crop_padding=1, flip=True),
            backbone=dict(type='cmim_mm.BinaryResNet', depth=20, binarizer='IRNet'),
            decode_head=dict(type='cmim_mm.ClsHead', in_channels=64, num_classes=3)),
        work_dir=str(work_dir),
        train_dataloader=dict(
            batch_size=4, num_workers=0, sampler=dict(type='cmim_mm.ResumableSampler'),
            dataset=dict(type='cmim_mm.SeededDataset', dataset=data)),
        train_cfg=dict(type='cmim_mm.ResumableIterLoop', max_iters=iterations, val_interval=100),
        optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1, momentum=0.9)),
        param_scheduler=[
            dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=2),
            dict(type='PolyLR', eta_min=0.0, by_epoch=False, begin=2, end=iterations)],
        val_dataloader=dict(batch_size=6, num_workers=0, dataset=data,
                            sampler=dict(type='DefaultSampler', shuffle=False)),
        val_cfg=dict(type='ValLoop'),
        val_evaluator=dict(type='cmim_mm.TopKAccuracy', topk=(1, )),
        default_hooks=dict(
            checkpoint=dict(type='cmim_mm.AtomicCheckpointHook', by_epoch=False, interval=2),
            logger=dict(type='LoggerHook', interval=1, log_metric_by_epoch=False)),
        randomness=dict(seed=0), default_scope='mmseg', log_processor=dict(by_epoch=False),
        log_level='ERROR'), format_python_code=False)  # which takes longer than the training
    cfg.merge_from_dict({key.replace('__', '.'): copy.deepcopy(value) for key, value in changes.items()})
    return cfg


def build(work_dir, iterations=4, **changes) -> Runner:
    return Runner.from_cfg(config(work_dir, iterations, **changes))
