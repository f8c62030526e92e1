from .cohort import Cohort as Cohort
from .files import add_to_cohort as add_to_cohort
from .files import fit_cohort as fit_cohort
from .files import list_cohort as list_cohort
from .files import read_cohort as read_cohort
from .files import summarise_cohort as summarise_cohort
