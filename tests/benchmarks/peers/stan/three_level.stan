data {
  int N, J, K;
  array[N] int id;
  array[J] int above;
  vector[N] y, time;
  vector[K] d;
  real centre, scale;
}
parameters {
  real b0, b_time, b_d, b_td;
  vector<lower=0>[2] sd2, sd3;
  cholesky_factor_corr[2] factor2, factor3;
  real<lower=0> sd_e;
  array[K] vector[2] w;
  matrix[2, J] z;
}
model {
  b0 ~ normal(centre, 1000);
  [b_time, b_d, b_td] ~ normal(0, 1000);
  target += flat_covariance(sd2, factor2, [scale, scale]');
  target += flat_covariance(sd3, factor3, [scale, scale]');
  target += flat_variance(sd_e, scale);
  array[K] vector[2] m;
  for (k in 1:K) m[k] = [b0 + b_d * d[k], b_time + b_td * d[k]]';
  w ~ multi_normal_cholesky(m, diag_pre_multiply(sd3, factor3));
  to_vector(z) ~ std_normal();
  matrix[2, J] v = diag_pre_multiply(sd2, factor2) * z;
  vector[J] u0 = to_vector(w[above, 1]) + v[1]', u1 = to_vector(w[above, 2]) + v[2]';
  y ~ normal(u0[id] + u1[id] .* time, sd_e);
}
generated quantities {
  matrix[2, 2] S2 = covariance(sd2, factor2), S3 = covariance(sd3, factor3);
  real v2_0 = S2[1, 1], v2_01 = S2[2, 1], v2_1 = S2[2, 2];
  real v3_0 = S3[1, 1], v3_01 = S3[2, 1], v3_1 = S3[2, 2], var_e = sd_e ^ 2;
}
