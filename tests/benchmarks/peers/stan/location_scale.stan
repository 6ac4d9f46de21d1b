data {
  int N, J;
  array[N] int id;
  vector[N] y, x1, x2;
  vector[J] x3, d;
  real centre, scale;
}
parameters {
  real b0, b_x1, b_x2, b_x3, b_d, s0, s_x1, s_d;
  vector<lower=0>[3] sd;
  cholesky_factor_corr[3] factor;
  array[J] vector[3] u;
}
model {
  b0 ~ normal(centre, 1000);
  [b_x1, b_x2, b_x3, b_d] ~ normal(0, 1000);
  [s0, s_x1, s_d] ~ normal(0, sqrt(5));
  target += flat_covariance(sd, factor, [scale, scale, scale]');
  array[J] vector[3] m;
  for (j in 1:J) m[j] = [b0 + b_x3 * x3[j] + b_d * d[j], b_x1, s0 + s_d * d[j]]';
  u ~ multi_normal_cholesky(m, diag_pre_multiply(sd, factor));
  vector[N] mean_y = b_x2 * x2 + to_vector(u[, 1])[id] + to_vector(u[, 2])[id] .* x1;
  y ~ normal(mean_y, exp(0.5 * (s_x1 * x1 + to_vector(u[, 3])[id])));
}
generated quantities {
  matrix[3, 3] S = covariance(sd, factor);
  real var_u0 = S[1, 1], cov_u01 = S[2, 1], var_u1 = S[2, 2];
  real cov_u0s = S[3, 1], cov_u1s = S[3, 2], var_s = S[3, 3];
}
