# One step, by Bi-Real's recipe; the published two steps are reactnet_r18_step{1,2}_imagenet.py.
# The stem is that of nyud_seg_bnn.py: its norm behind the pool.
_base_ = './bireal_r18_imagenet.py'
model = dict(backbone=dict(binarizer='ReActNet', stem='imagenet'))
