"""What a fit is worth on frames that it has not seen: scores, forecasts, resampled fits, the result."""
