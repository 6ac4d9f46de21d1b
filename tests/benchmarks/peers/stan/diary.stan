data {
  int N, J, O;
  array[N] int id;
  array[O] int seen;
  vector[N] x;
  vector[O] y, before;
}
parameters {
  real m_x, m_y, m_phi, m_beta;
  real<lower=0> sd_x, sd_y, sd_phi, sd_beta, sd_ex, sd_ey;
  vector[J] x_z;  // persons hardly differ in x: standardised
  vector[J] r_y, r_phi, r_beta;
}
model {
  [m_x, m_y, m_phi, m_beta] ~ normal(0, 1000);
  target += flat_variance(sd_x, 0.1);
  target += flat_variance(sd_y, 0.8);
  target += flat_variance(sd_phi, 0.15);
  target += flat_variance(sd_beta, 0.9);
  target += flat_variance(sd_ex, 1);
  target += flat_variance(sd_ey, 1);
  x_z ~ std_normal();
  r_y ~ normal(m_y, sd_y);
  r_phi ~ normal(m_phi, sd_phi);
  r_beta ~ normal(m_beta, sd_beta);
  vector[J] r_x = m_x + sd_x * x_z;
  x ~ normal(r_x[id], sd_ex);
  array[O] int k = id[seen];
  y ~ normal(r_y[k] + r_phi[k] .* (before - r_y[k]) + r_beta[k] .* (x[seen] - r_x[k]), sd_ey);
}
generated quantities {
  real v_x = sd_x ^ 2, v_y = sd_y ^ 2, v_phi = sd_phi ^ 2, v_beta = sd_beta ^ 2, ve_x = sd_ex ^ 2, ve_y = sd_ey ^ 2;
}
