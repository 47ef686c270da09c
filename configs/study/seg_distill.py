# Control: the logits of the fine-tuned ImageNet network distilled at each position.
_base_ = ['./seg.py', '../_base_/teachers/efficientnet_lite0_segformer.py']
model = dict(
    decode_head=dict(distill=dict(temperature=1.0, weight=1.0)),
    teacher=_base_.pop('teacher'),
    data_preprocessor=dict(teacher_scale=1.0))
