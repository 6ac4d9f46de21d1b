# pan: the Gibbs sampler of Schafer & Yucel for linear mixed models, a process for each chain; inverse Wishart priors.
here <- dirname(sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE)))
source(file.path(here, "results.R"))
suppressMessages(library(pan))
lap("import")
design <- cbind(1, data$x1, data$x2, data$x3, data$d)
prior <- list(a = 1, Binv = matrix(0.01), c = 2, Dinv = diag(2) * 0.01)
one <- function(k) {
  found <- pan(matrix(data$y), data$id, design, 1:5, 1:2, prior, seed = 100 + k, iter = warmup + draws)
  kept <- warmup + seq_len(draws)
  chain <- cbind(t(matrix(found$beta, 5))[kept, ], found$psi[1, 1, kept], found$psi[1, 2, kept], found$psi[2, 2, kept],
    found$sigma[1, 1, kept])
  colnames(chain) <- TWO_LEVEL
  chain
}
save_draws(four_chains(one), TWO_LEVEL)
