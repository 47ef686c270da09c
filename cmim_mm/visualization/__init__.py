from .dense_visualizer import DenseVisualizer

__all__ = ['DenseVisualizer']
