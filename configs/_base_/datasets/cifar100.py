# CIFAR-100: the public python files or class folders (tools: --data-root DIR). All images are kept in memory
# and augmented on the device, so no worker processes are needed.
data_root = 'data/cifar100'
train_dataloader = dict(
    batch_size=128,
    num_workers=0,
    sampler=dict(type='cmim_mm.ResumableSampler'),
    dataset=dict(type='cmim_mm.SeededDataset', dataset=dict(
        type='cmim_mm.CIFAR100', data_root=data_root, split='train')))
val_dataloader = dict(
    batch_size=500,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='cmim_mm.CIFAR100', data_root=data_root, split='val'))
test_dataloader = val_dataloader
val_evaluator = dict(type='cmim_mm.TopKAccuracy', topk=(1, 5))
test_evaluator = val_evaluator
