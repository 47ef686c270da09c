# The same teacher's logits, distilled.
_base_ = './seg.py'
model = dict(
    teacher=dict(checkpoint='work_dirs/seg_twin/iter_1000.pth'),
    decode_head=dict(distill=dict(temperature=1.0, weight=1.0)))
