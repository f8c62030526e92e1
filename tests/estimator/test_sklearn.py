"""DCF among scikit-learn's tools: its own checks, pipelines, searches and cross-validation."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError as SklearnNotFittedError
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from nwb_dcf import DCF
from nwb_dcf.data.recording import make_recording
from nwb_dcf.errors import DataError, NotFittedError

from .test_dcf import draw_data

SMALL: dict[str, Any] = {
    "steps": 3,
    "width": 4,
    "depth": 1,
    "batch_size": 32,
    "solver_steps": 1,
    "early_stopping": False,
}

# Every one is refused with a ValueError, as it should be, whose sentence is not the one that the check looks for.
WORDS = "refused by a DataError in words of channels and frames, where the check wants scikit-learn's sentence"
NOT_APPLYING = {
    "check_complex_data": WORDS,
    "check_dtype_object": f"{WORDS}, and a TypeError for what is no number",
    "check_estimators_empty_data_messages": WORDS,
    "check_fit2d_1feature": f"{WORDS}; one channel cannot be compressed",
    "check_fit2d_1sample": f"{WORDS}; one frame has no dynamics",
    "check_fit2d_predict1d": WORDS,
    "check_n_features_in_after_fitting": f"{WORDS}; a DataFrame gets scikit-learn's",
}


def test_every_check_of_scikit_learn_passes_but_those_that_do_not_apply() -> None:
    found = check_estimator(DCF(1, **SMALL), expected_failed_checks=NOT_APPLYING, on_skip=None, on_fail=None)
    status = {check["check_name"]: check["status"] for check in found}
    assert {name for name, what in status.items() if what == "failed"} == set()
    assert {name for name, what in status.items() if what == "xfail"} == set(NOT_APPLYING)  # none that would pass
    passed = {name for name, what in status.items() if what == "passed"}
    assert len(passed) >= 35
    assert passed >= {
        "check_dict_unchanged",
        "check_dont_overwrite_parameters",
        "check_estimator_cloneable",
        "check_estimators_nan_inf",
        "check_estimators_pickle",
        "check_estimators_unfitted",
        "check_fit_idempotent",
        "check_get_params_invariance",
        "check_methods_sample_order_invariance",
        "check_methods_subset_invariance",
        "check_mixin_order",
        "check_no_attributes_set_in_init",
        "check_parameters_default_constructible",
        "check_pipeline_consistency",
        "check_set_params",
        "check_transformer_data_not_an_array",
        "check_transformer_general",
    }


@pytest.mark.parametrize(
    ("x", "says"),
    [
        (np.ones((30, 3)) + 0j, "complex128, not real numbers"),
        (np.array([[1.0, 2.0], [{}, 3.0]], dtype=object), "not all values are numbers"),
        (np.ones((12, 0)), r"no data: shape \(12, 0\)"),
        (draw_data(30)[:, :1], "1 usable channel: there is nothing to compress"),
        (draw_data(30)[:1], "nothing to compress"),
        ([[1.0, 2.0], [3.0]], "rows of numbers differ"),
    ],
)
def test_what_the_checks_that_do_not_apply_give_is_refused_all_the_same(x: Any, says: str) -> None:
    with pytest.raises(DataError, match=says):
        DCF(1, **SMALL).fit(x)


def test_other_shapes_than_those_fitted_are_refused() -> None:
    fitted = DCF(1, **SMALL).fit(draw_data(60))
    with pytest.raises(DataError, match="1 channels and the model 6"):
        fitted.transform(draw_data(60)[:, :1])
    with pytest.raises(DataError, match=r"the array has shape \(6,\)"):
        fitted.transform(draw_data(60)[0])


# -- one estimator among others -------------------------------------------------------------------------


def test_a_pipeline_scales_and_fits() -> None:
    x = 1e3 * draw_data() + 5
    pipeline = make_pipeline(StandardScaler(), DCF(dim=2, **SMALL)).fit(x)
    z = pipeline.transform(x)
    scaled = StandardScaler().fit_transform(x)
    np.testing.assert_array_equal(z, DCF(dim=2, **SMALL).fit(scaled).transform(scaled))
    assert pipeline.inverse_transform(z).shape == x.shape
    assert pipeline.set_params(dcf__dim=1).fit(x).transform(x).shape == (300, 1)


def test_fitting_and_transforming_at_once_is_both() -> None:
    x, dcf = draw_data(), DCF(2, **SMALL)
    np.testing.assert_array_equal(dcf.fit_transform(x), clone(dcf).fit(x).transform(x))
    parts = dcf.fit_transform([x[:100], x[100:]])
    assert [part.shape for part in parts] == [(100, 2), (200, 2)]


def test_latents_have_names_and_come_as_a_table_where_asked() -> None:
    index = pd.Index(np.arange(300) * 0.1, name="time")
    x = pd.DataFrame(draw_data(), index=index, columns=list("abcdef"))
    dcf = DCF(2, **SMALL)
    plain = dcf.fit_transform(x)
    assert isinstance(plain, np.ndarray)
    assert dcf.get_feature_names_out().tolist() == ["dcf0", "dcf1"]
    assert dcf.feature_names_in_.tolist() == list("abcdef")
    table = dcf.set_output(transform="pandas").transform(x)
    assert table.columns.tolist() == ["dcf0", "dcf1"]
    pd.testing.assert_index_equal(table.index, index)
    np.testing.assert_array_equal(table, plain)
    with pytest.raises(ValueError, match="feature names should match"):
        dcf.transform(x[list("bacdef")])
    assert not hasattr(clone(dcf).fit(draw_data()), "feature_names_in_")
    with pytest.raises(SklearnNotFittedError):
        DCF().get_feature_names_out()


def test_recordings_stay_recordings_whatever_table_is_asked_for() -> None:
    x, dcf = draw_data(), DCF(2, **SMALL)
    recording = make_recording(x, np.arange(300) * 0.1)
    dcf.fit(x)
    with config_context(transform_output="pandas"):
        assert isinstance(dcf.transform(x), pd.DataFrame)
        assert isinstance(dcf.transform(recording), xr.Dataset)
        assert isinstance(dcf.fit_transform(recording), xr.Dataset)
        np.testing.assert_array_equal(dcf.transform(recording["data"])["time"], recording["time"])
        assert [part.shape for part in dcf.transform([x[:100], x[100:]])] == [(100, 2), (200, 2)]


def test_a_grid_is_searched_over_dim() -> None:
    search = GridSearchCV(DCF(**SMALL), {"dim": [1, 2, 4]}, cv=KFold(3)).fit(draw_data())
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()
    assert (np.diff(scores) > 0).all()
    assert search.best_params_ == {"dim": 4}
    assert search.transform(draw_data()).shape == (300, 4)


def test_groups_are_kept_apart() -> None:
    """Trials as a list, and as a DataArray whose rows are split: the same folds, the same scores."""
    recording = make_recording(draw_data(240), np.arange(240.0), segment_index=np.repeat(np.arange(12), 20))
    groups = np.repeat(np.arange(4), 3)
    trials = [recording["data"].values[start : start + 20] for start in range(0, 240, 20)]
    dcf = DCF(2, **SMALL)
    of_list = cross_val_score(dcf, trials, groups=groups, cv=GroupKFold(4))
    of_rows = cross_val_score(dcf, recording["data"], groups=np.repeat(groups, 20), cv=GroupKFold(4))
    assert of_list.shape == (4,)
    assert (of_list > 0.5).all()
    np.testing.assert_allclose(of_rows, of_list, atol=1e-6)


def test_segments_of_a_part_of_the_rows_stay_apart() -> None:
    recording = make_recording(draw_data(90), np.arange(90.0), segment_index=np.repeat([0, 1, 2], 30))
    part = recording["data"][np.r_[30:60, 60:90]]
    z = DCF(2, **SMALL).fit(part).transform(part)
    assert isinstance(z, xr.DataArray)
    apart = DCF(2, **SMALL).fit([recording["data"].values[30:60], recording["data"].values[60:]])
    np.testing.assert_allclose(z, np.concatenate(apart.transform([part.values[:30], part.values[30:]])), atol=1e-5)


def test_what_is_not_fitted_is_so_to_scikit_learn_too() -> None:
    for kind in (NotFittedError, SklearnNotFittedError):
        with pytest.raises(kind, match="call fit first"):
            DCF().transform(draw_data())


def test_another_fit_to_begin_with_is_a_parameter_like_others() -> None:
    first = DCF(2, **SMALL).fit(draw_data())
    dcf = DCF(2, warm_start=first, **SMALL)
    assert dcf.get_params()["warm_start__dim"] == 2
    assert "warm_start__dim" not in dcf.get_params(deep=False)
    dcf.fit(draw_data())  # which reads its own parameters alone


def test_scikit_learn_is_loaded_with_dcf_and_not_before() -> None:
    seen = "print('sklearn' in sys.modules)"
    code = f"import sys, nwb_dcf, nwb_dcf.cli; {seen}; nwb_dcf.DCF; {seen}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
