functions {
  // Log density: flat on the covariance matrix of these standard deviations and factor of correlations, to far beyond scale.
  real flat_covariance(vector sd, matrix factor, vector scales) {
    return lkj_corr_cholesky_lpdf(factor | 1) + normal_lpdf(sd | 0, 10 * scales) + size(sd) * sum(log(sd));
  }
  // Log density: flat on the variance.
  real flat_variance(real sd, real scale) {
    return normal_lpdf(sd | 0, 10 * scale) + log(sd);
  }
  matrix covariance(vector sd, matrix factor) {
    return multiply_lower_tri_self_transpose(diag_pre_multiply(sd, factor));
  }
}
