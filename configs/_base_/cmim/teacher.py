# The latent side is the last feature map of a trained full-precision network, with frozen random embeddings:
# what a pilot of ours found best (docs/cmim.md). The config that takes it names the teacher's checkpoint.
cmim = dict(
    type='cmim_mm.CMIM',
    cmim=dict(neck=dict(trained=False, latent=dict(type='Teacher')), head=dict(loss_weight=0.8)))
