from . import batch as batch
from . import cohort as cohort
from . import view as view
from .cohort import Cohort as Cohort
from .compare.compare import compare_nwb as compare_nwb
from .data.result import DCFResult as DCFResult
from .errors import DCFError as DCFError
from .estimator.dcf import DCF as DCF
from .io.export import export_result as export_result
from .io.recordings import list_sources as list_sources
from .io.recordings import read_recording as read_recording
from .io.results import list_results as list_results
from .io.results import read_result as read_result
from .io.results import remove_result as remove_result
from .io.results import write_result as write_result
from .pipeline.evaluate import evaluate_nwb as evaluate_nwb
from .pipeline.fit import fit_nwb as fit_nwb
from .pipeline.fit import plan_fit as plan_fit
from .pipeline.plot import plot_nwb as plot_nwb
from .pipeline.refit import refit as refit
from .pipeline.scan import scan_nwb as scan_nwb
from .pipeline.simulate import simulate_nwb as simulate_nwb
from .pipeline.transform import transform_nwb as transform_nwb

__version__: str
