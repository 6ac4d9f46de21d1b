"""Is a sampler right for a given model: simulation-based calibration, and each block held against the joint law.

Data and parameters are drawn from the model graph by plain numpy code (`simulate`), which shares nothing with plan
and engine, so that a mistake there is seen.
"""
