# As same_pass.py, at the last binary convolution of each of four stages; deeper ones weigh more.
cmim = dict(
    type='cmim_mm.CMIM',
    cmim=dict(taps=(0, 1, 2, 3), head=dict(tap_weights=(0.125, 0.25, 0.5, 1.0), loss_weight=0.1)))
