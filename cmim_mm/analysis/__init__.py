from .cost import Cost, LayerCost, model_cost
from .cost_table import format_cost, format_totals

__all__ = ['Cost', 'LayerCost', 'format_cost', 'format_totals', 'model_cost']
