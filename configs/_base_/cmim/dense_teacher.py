# Each position of the third stage's binary activation, against the teacher's last map at the same place;
# frozen random embeddings. With input_scale=0.5 and teacher_scale=1.0 both have one grid.
cmim = dict(
    type='cmim_mm.CMIM',
    cmim=dict(
        taps=(2, ),
        neck=dict(pooling='spatial', trained=False, latent=dict(type='Teacher')),
        head=dict(memory=dict(type='Queue', num_rows=16384), loss_weight=0.5)))
