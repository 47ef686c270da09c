from .cost import Cost, LayerCost, model_cost
from .cost_table import format_cost, format_totals
from .times import measure_times

__all__ = ['Cost', 'LayerCost', 'format_cost', 'format_totals', 'measure_times', 'model_cost']
