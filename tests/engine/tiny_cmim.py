"""A tiny classifier that trains with CMIM, and its Runner; a helper of the tests here."""
import os
import random

import numpy as np
from mmengine.runner import Runner

from cmim_mm.datasets import SeededDataset
from cmim_mm.datasets.small_images import SmallImageDataset
from cmim_mm.engine import SeedHook


def images(number=12, classes=3, size=8):
    rng = np.random.default_rng(0)
    labels = [i % classes for i in range(number)]
    pixels = rng.integers(0, 120, (number, 3, size, size), np.uint8)
    for pixel, label in zip(pixels, labels):
        pixel[label] += 100
    return SmallImageDataset(pixels, labels, tuple('abcdef'[:classes]))


def model_cfg(binarizer='IRNet', memory='Bank', taps=(-1, ), neck=None, **backbone):
    """The classifier, with CMIM where there are taps."""
    model = dict(
        type='cmim_mm.ImageClassifier',
        data_preprocessor=dict(type='cmim_mm.ClsDataPreProcessor', crop_padding=1, flip=True),
        backbone=dict(type='cmim_mm.BinaryResNet', depth=20, binarizer=binarizer, **backbone),
        decode_head=dict(type='cmim_mm.ClsHead', in_channels=64, num_classes=3))
    if not taps:
        return model
    memory = dict(type=memory) if memory == 'InBatch' else dict(type=memory, num_negatives=8)
    return dict(model, type='cmim_mm.CMIM', on=model['type'],
                cmim=dict(taps=taps, neck=dict(dim=16, **(neck or {})), head=dict(memory=memory)))


def build_runner(work_dir, model=None, iterations=4, hooks=(), **overrides) -> Runner:
    """No SeedHook: what draws a random number more than before changes the crops."""
    arguments = {
        'model': model or model_cfg(),
        'work_dir': str(work_dir),
        'experiment_name': str(work_dir).replace(os.sep, '_') + str(random.Random().random()),
        'train_dataloader': {
            'dataset': SeededDataset(images()), 'batch_size': 4, 'num_workers': 0,
            'sampler': {'type': 'cmim_mm.ResumableSampler'}},
        'train_cfg': {'type': 'cmim_mm.ResumableIterLoop', 'max_iters': iterations, 'val_interval': 2},
        'optim_wrapper': {'type': 'OptimWrapper', 'optimizer': {'type': 'SGD', 'lr': 0.1, 'momentum': 0.9}},
        'val_dataloader': {'dataset': images(), 'batch_size': 6, 'num_workers': 0,
                           'sampler': {'type': 'DefaultSampler', 'shuffle': False}},
        'val_cfg': {},
        'val_evaluator': {'type': 'cmim_mm.TopKAccuracy', 'topk': (1, )},
        'default_hooks': {
            'checkpoint': {'type': 'cmim_mm.AtomicCheckpointHook', 'by_epoch': False, 'interval': 2},
            'logger': {'type': 'LoggerHook', 'interval': 1, 'log_metric_by_epoch': False}},
        'custom_hooks': [{'type': 'cmim_mm.BinarizationProgressHook'}, {'type': 'cmim_mm.MemoryBankHook'},
                         *hooks],
        'randomness': {'seed': 0},
        'default_scope': 'mmseg',
        'log_processor': {'by_epoch': False},
        'log_level': 'ERROR',
    }
    runner = Runner(**{**arguments, **overrides})
    runner._hooks = [hook for hook in runner.hooks if not isinstance(hook, SeedHook)]
    return runner
