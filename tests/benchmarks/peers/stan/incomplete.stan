data {
  int N, J, G1, G2, G3, O;
  array[N] int id;
  array[G1] int gaps1;
  array[G2] int gaps2;
  array[G3] int gaps3;
  array[O] int seen;
  vector[O] y;
  vector[N] x1, x2;  // 0 in gaps
  vector[J] x3, d;
  vector[3] centres;
  real centre, scale;
}
parameters {
  real b0, b_x1, b_x2, b_x3, b_d;
  vector[3] mu, slopes;
  vector<lower=0>[2] sd, sd_w;
  vector<lower=0>[3] sd_b;
  cholesky_factor_corr[2] factor, factor_w;
  cholesky_factor_corr[3] factor_b;
  real<lower=0> sd_e;
  array[J] vector[2] u, means;
  vector[G1] x1_gaps;
  vector[G2] x2_gaps;
  vector[G3] x3_gaps;
}
model {
  b0 ~ normal(centre, 1000);
  [b_x1, b_x2, b_x3, b_d] ~ normal(0, 1000);
  mu ~ normal(centres, 1000);
  slopes ~ normal(0, 1000);
  target += flat_covariance(sd, factor, [scale, scale]');
  target += flat_covariance(sd_w, factor_w, [1.5, 2.2]');
  target += flat_covariance(sd_b, factor_b, [1.5, 2.2, 1]');
  target += flat_variance(sd_e, scale);
  vector[N] full1 = x1, full2 = x2;
  vector[J] full3 = x3;
  full1[gaps1] = x1_gaps;
  full2[gaps2] = x2_gaps;
  full3[gaps3] = x3_gaps;
  array[J] vector[3] between, between_m;
  array[J] vector[2] m;
  for (j in 1:J) {
    between[j] = append_row(means[j], full3[j]);
    between_m[j] = mu + slopes * d[j];
    m[j] = [b0 + b_x3 * (full3[j] - mu[3]) + b_d * d[j], b_x1]';
  }
  between ~ multi_normal_cholesky(between_m, diag_pre_multiply(sd_b, factor_b));
  u ~ multi_normal_cholesky(m, diag_pre_multiply(sd, factor));
  vector[N] e1 = full1 - to_vector(means[id, 1]), e2 = full2 - to_vector(means[id, 2]);
  matrix[2, 2] within = diag_pre_multiply(sd_w, factor_w);
  e1 ~ normal(0, within[1, 1]);
  e2 ~ normal(within[2, 1] / within[1, 1] * e1, within[2, 2]);  // given e1
  vector[N] mean_y = b_x2 * (full2 - mu[2]) + to_vector(u[id, 1]) + to_vector(u[id, 2]) .* e1;
  y ~ normal(mean_y[seen], sd_e);
}
generated quantities {
  matrix[2, 2] S = covariance(sd, factor);
  real var_u0 = S[1, 1], cov_u01 = S[2, 1], var_u1 = S[2, 2], var_e = sd_e ^ 2;
  real mu_x1 = mu[1], mu_x2 = mu[2], mu_x3 = mu[3];
}
