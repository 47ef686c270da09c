_base_ = ['./reactnet_r18_imagenet.py', '../_base_/cmim/teacher_imagenet.py']
model = _base_.cmim
