"""The compiled sampler: kernels, steps, sweeps and chains."""
