data {
  int N, J;
  array[N] int id;
  vector[N] y, x1, x2;
  vector[J] x3, d;
  real centre, scale;
}
parameters {
  real b0, b_x1, b_x2, b_x3, b_d;
  vector<lower=0>[2] sd;
  cholesky_factor_corr[2] factor;
  real<lower=0> sd_e;
  array[J] vector[2] u;
}
model {
  b0 ~ normal(centre, 1000);
  [b_x1, b_x2, b_x3, b_d] ~ normal(0, 1000);
  target += flat_covariance(sd, factor, [scale, scale]');
  target += flat_variance(sd_e, scale);
  array[J] vector[2] m;
  for (j in 1:J) m[j] = [b0 + b_x3 * x3[j] + b_d * d[j], b_x1]';
  u ~ multi_normal_cholesky(m, diag_pre_multiply(sd, factor));
  y ~ normal(b_x2 * x2 + to_vector(u[, 1])[id] + to_vector(u[, 2])[id] .* x1, sd_e);
}
generated quantities {
  matrix[2, 2] S = covariance(sd, factor);
  real var_u0 = S[1, 1], cov_u01 = S[2, 1], var_u1 = S[2, 2], var_e = sd_e ^ 2;
}
