# MCMCpack's MCMChregress (Chib & Carlin 1999), a process for each chain.
here <- dirname(sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE)))
source(file.path(here, "results.R"))
suppressMessages(library(MCMCpack))
lap("import")
one <- function(k) {
  found <- MCMChregress(y ~ x1 + x2 + x3 + d, random = ~ x1, group = "id", data = data, burnin = warmup, mcmc = draws,
    thin = 1, verbose = 0, seed = 100 + k, beta.start = 0, sigma2.start = 1, Vb.start = diag(2) * 0.5, mubeta = 0,
    Vbeta = 1e6, r = 2, R = diag(2) * 0.01, nu = 0.001, delta = 0.001)$mcmc
  chain <- found[, c(paste0("beta.", c("(Intercept)", "x1", "x2", "x3", "d")),
    paste0("VCV.", c("(Intercept).(Intercept)", "x1.(Intercept)", "x1.x1")), "sigma2")]
  chain <- matrix(chain, ncol = 9)
  colnames(chain) <- TWO_LEVEL
  chain
}
save_draws(four_chains(one), TWO_LEVEL)
