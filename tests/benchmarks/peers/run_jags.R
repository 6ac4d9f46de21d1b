# JAGS through rjags, module glm, hierarchical centring, a process for each chain.
# Wishart and gamma priors with small parameters, the nearest that JAGS has to flat ones.
here <- dirname(sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE)))
source(file.path(here, "results.R"))
suppressMessages(library(rjags))
invisible(load.module("glm", quiet = TRUE))
lap("import")
vague <- function(names) paste0(names, " ~ dnorm(0, 1.0E-6)", collapse = "; ")
positive <- function(names) paste0(names, " ~ dgamma(0.001, 0.001)", collapse = "; ")
effects <- "
  Omega ~ dwish(R, 2); S <- inverse(Omega); var_u0 <- S[1,1]; cov_u01 <- S[1,2]; var_u1 <- S[2,2]
  for (j in 1:J) { u[j,1:2] ~ dmnorm(m[j,1:2], Omega)"
SMALL <- diag(2) * 0.01
given <- list(n = nrow(data), J = max(data$id), id = data$id, y = data$y)
starts <- list()
if (two_level) {
  code <- paste("model {", vague(c("b0", "b_x1", "b_x2", "b_x3", "b_d")), positive("tau"), "var_e <- 1 / tau", effects,
    "m[j,1] <- b0 + b_x3 * x3[j] + b_d * d[j]; m[j,2] <- b_x1 }
    for (i in 1:n) { y[i] ~ dnorm(u[id[i],1] + u[id[i],2] * x1[i] + b_x2 * x2[i], tau) } }")
  given <- c(given, list(x1 = data$x1, x2 = data$x2, x3 = data$x3[first], d = data$d[first], R = SMALL))
  names <- TWO_LEVEL
} else if (model == "P2") {
  top <- !duplicated(data$id3)
  code <- paste("model {", vague(c("b0", "b_time", "b_d", "b_td")), positive("tau"), "var_e <- 1 / tau
    O2 ~ dwish(R2, 2); S2 <- inverse(O2); v2_0 <- S2[1,1]; v2_01 <- S2[1,2]; v2_1 <- S2[2,2]
    O3 ~ dwish(R3, 2); S3 <- inverse(O3); v3_0 <- S3[1,1]; v3_01 <- S3[1,2]; v3_1 <- S3[2,2]
    for (k in 1:K) { w[k,1:2] ~ dmnorm(m[k,1:2], O3); m[k,1] <- b0 + b_d * d[k]; m[k,2] <- b_time + b_td * d[k] }
    for (j in 1:J) { u[j,1:2] ~ dmnorm(w[above[j],1:2], O2) }
    for (i in 1:n) { y[i] ~ dnorm(u[id[i],1] + u[id[i],2] * time[i], tau) } }")
  above <- integer(given$J)
  above[data$id[first]] <- data$id3[first]
  d <- numeric(max(data$id3))
  d[data$id3[top]] <- data$d[top]
  small <- diag(c(0.1, 0.01))
  given <- c(given, list(K = max(data$id3), above = above, time = data$time, d = d, R2 = small, R3 = small))
  v <- var(data$y)  # JAGS's own starting values do not come to the posterior within any reasonable time
  starts <- list(tau = 2 / v, u = cbind(as.numeric(tapply(data$y, data$id, mean)), 0), w = cbind(rep(mean(data$y), given$K), 0),
    b0 = mean(data$y), b_time = 0, b_d = 0, b_td = 0, O2 = diag(c(3, 30) / v), O3 = diag(c(5, 50) / v))
  names <- c("b0", "b_time", "b_d", "b_td", "v2_0", "v2_01", "v2_1", "v3_0", "v3_01", "v3_1", "var_e")
} else if (model == "P3") {
  code <- paste("model {",
    vague(c("b0", "b_x1", "b_x2", "b_x3", "b_d", "mu_x1", "mu_x2", "mu_x3", "g1", "g2", "g3", "a", "c1", "c2")),
    positive(c("tau", "t1", "t2", "t3")), "var_e <- 1 / tau; Between ~ dwish(R, 2)", effects,
    "m[j,1] <- b0 + b_x3 * (x3[j] - mu_x3) + b_d * d[j]; m[j,2] <- b_x1
     x3[j] ~ dnorm(mu_x3 + g3 * d[j], t3); z[j] <- x3[j] - mu_x3 - g3 * d[j]
     q[j,1] <- mu_x1 + g1 * d[j] + c1 * z[j]; q[j,2] <- mu_x2 + g2 * d[j] + c2 * z[j]
     means[j,1:2] ~ dmnorm(q[j,1:2], Between) }
    for (i in 1:n) { x1[i] ~ dnorm(means[id[i],1], t1); e[i] <- x1[i] - means[id[i],1]
      x2[i] ~ dnorm(means[id[i],2] + a * e[i], t2)
      y[i] ~ dnorm(u[id[i],1] + u[id[i],2] * e[i] + b_x2 * (x2[i] - mu_x2), tau) } }")
  given <- c(given, list(x1 = data$x1, x2 = data$x2, x3 = data$x3[first], d = data$d[first], R = SMALL))
  names <- c(TWO_LEVEL, "mu_x1", "mu_x2", "mu_x3")
} else if (model == "P4") {
  code <- paste("model { b0 ~ dnorm(0, 0.2); b_x ~ dnorm(0, 0.2); b_w ~ dnorm(0, 0.2)", effects,
    "m[j,1] <- b0 + b_w * w[j]; m[j,2] <- b_x }
    for (i in 1:n) { y[i] ~ dbern(p[i]); logit(p[i]) <- u[id[i],1] + u[id[i],2] * x[i] } }")
  given <- c(given, list(x = data$x, w = data$w[first], R = diag(2) * 0.1))
  names <- c("b0", "b_x", "b_w", INTERCEPT_SLOPE)
} else if (model == "P5") {
  code <- paste("model {", vague(c("b0", "b_x1", "b_x2", "b_x3", "b_d")), "s0 ~ dnorm(0, 0.2); s_x1 ~ dnorm(0, 0.2); s_d ~ dnorm(0, 0.2)
    Omega ~ dwish(R, 3); S <- inverse(Omega); var_u0 <- S[1,1]; cov_u01 <- S[1,2]; var_u1 <- S[2,2]
    cov_u0s <- S[1,3]; cov_u1s <- S[2,3]; var_s <- S[3,3]
    for (j in 1:J) { u[j,1:3] ~ dmnorm(m[j,1:3], Omega)
      m[j,1] <- b0 + b_x3 * x3[j] + b_d * d[j]; m[j,2] <- b_x1; m[j,3] <- s0 + s_d * d[j] }
    for (i in 1:n) {
      y[i] ~ dnorm(u[id[i],1] + u[id[i],2] * x1[i] + b_x2 * x2[i], exp(-u[id[i],3] - s_x1 * x1[i])) } }")
  given <- c(given, list(x1 = data$x1, x2 = data$x2, x3 = data$x3[first], d = data$d[first], R = diag(3) * 0.01))
  names <- c("b0", "b_x1", "b_x2", "b_x3", "b_d", "s0", "s_x1", "s_d", INTERCEPT_SLOPE, "cov_u0s", "cov_u1s", "var_s")
} else {
  seen <- which(!is.na(data$ylag))
  code <- paste("model {", vague(c("m_x", "m_y", "m_phi", "m_beta")), positive(c("q1", "q2", "q3", "q4", "tx", "ty")),
    "v_x <- 1 / q1; v_y <- 1 / q2; v_phi <- 1 / q3; v_beta <- 1 / q4; ve_x <- 1 / tx; ve_y <- 1 / ty
    for (j in 1:J) { r[j,1] ~ dnorm(m_x, q1); r[j,2] ~ dnorm(m_y, q2); r[j,3] ~ dnorm(m_phi, q3); r[j,4] ~ dnorm(m_beta, q4) }
    for (i in 1:n) { x[i] ~ dnorm(r[id[i],1], tx) }
    for (i in 1:n2) { y[i] ~ dnorm(r[id2[i],2] + r[id2[i],3] * (before[i] - r[id2[i],2]) + r[id2[i],4] * (x[seen[i]] - r[id2[i],1]), ty) } }")
  given <- list(n = nrow(data), J = max(data$id), id = data$id, x = data$x, n2 = length(seen), seen = seen,
    id2 = data$id[seen], y = data$y[seen], before = data$ylag[seen])
  names <- c("m_x", "v_x", "m_y", "v_y", "m_phi", "v_phi", "m_beta", "v_beta", "ve_x", "ve_y")
}
one <- function(k) {
  seed <- list(.RNG.name = "base::Mersenne-Twister", .RNG.seed = k)
  made <- jags.model(textConnection(code), given, inits = c(starts, seed), n.chains = 1, n.adapt = 0, quiet = TRUE)
  adapt(made, warmup %/% 2, end.adaptation = TRUE, progress.bar = "none")
  update(made, warmup - warmup %/% 2, progress.bar = "none")
  as.matrix(coda.samples(made, names, draws, progress.bar = "none")[[1]])
}
save_draws(four_chains(one), names)
