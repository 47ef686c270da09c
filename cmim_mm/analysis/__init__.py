from .cost import Cost, LayerCost, model_cost
from .cost_table import format_cost

__all__ = ['Cost', 'LayerCost', 'format_cost', 'model_cost']
