_base_ = ['./irnet_r18_imagenet.py', '../_base_/cmim/teacher_imagenet.py']
model = _base_.cmim
