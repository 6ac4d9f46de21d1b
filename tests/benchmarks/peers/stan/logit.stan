data {
  int N, J;
  array[N] int id, y;
  vector[N] x;
  vector[J] w;
}
parameters {
  real b0, b_x, b_w;
  vector<lower=0>[2] sd;
  cholesky_factor_corr[2] factor;
  array[J] vector[2] u;
}
model {
  [b0, b_x, b_w] ~ normal(0, sqrt(5));
  target += flat_covariance(sd, factor, [1, 1]');
  array[J] vector[2] m;
  for (j in 1:J) m[j] = [b0 + b_w * w[j], b_x]';
  u ~ multi_normal_cholesky(m, diag_pre_multiply(sd, factor));
  y ~ bernoulli_logit(to_vector(u[, 1])[id] + to_vector(u[, 2])[id] .* x);
}
generated quantities {
  matrix[2, 2] S = covariance(sd, factor);
  real var_u0 = S[1, 1], cov_u01 = S[2, 1], var_u1 = S[2, 2];
}
