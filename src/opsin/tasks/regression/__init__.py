"""Numbers for each image: how much, how many, how far to the left?"""

from opsin.tasks.regression.quantities import Quantities
from opsin.tasks.regression.task import Regression

__all__ = ["Quantities", "Regression"]
