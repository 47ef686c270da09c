# Which encoder needs fewer labels: those of study.py, segmentation with 10, 25 and 100 % of train.
_base_ = './study.py'
tasks = dict(_delete_=True, segmentation=dict(config='../study/seg.py'))
shares = [10, 25, 100]
