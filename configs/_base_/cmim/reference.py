# The form of CMIM's public code: last pooled feature of the encoder against the teacher's, embeddings that no
# optimizer trains, positives from the bank, negatives of other classes. Without its defects (docs/cmim.md).
cmim = dict(
    type='cmim_mm.CMIM',
    cmim=dict(
        neck=dict(trained=False, standardize=False, latent=dict(type='Teacher', features=(-1, ))),
        head=dict(positives='bank', negatives='other_classes', loss_weight=3.2)))
