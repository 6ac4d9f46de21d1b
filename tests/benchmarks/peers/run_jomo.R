# jomo's jomo.lmer: imputation compatible with the mixed model of y, a process for each chain; inverse Wishart priors.
# It has no centring at latent cluster means, so x1 is centred at the means of its observed values, and has no mean to report.
# All predictors are jointly normal in it, d too; intercept and means are reported for d = 0, as all others report them.
here <- dirname(sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE)))
source(file.path(here, "results.R"))
suppressMessages(library(jomo))
lap("import")
data$x1 <- data$x1 - ave(data$x1, data$id, FUN = function(v) mean(v, na.rm = TRUE))
levels <- c(y = 1, x1 = 1, x2 = 1, x3 = 2, d = 2, id = 1)
names <- c(TWO_LEVEL, "mu_x2", "mu_x3")
one <- function(k) {
  set.seed(100 + k)
  found <- jomo.lmer.MCMCchain(y ~ x1 + x2 + x3 + d + (1 + x1 | id), data[names(levels)], levels, nburn = warmup + draws, output = 0)
  kept <- warmup + seq_len(draws)
  coefficients <- t(found$collectbetaY[1, , kept])
  between <- found$collectcovu[, , kept]
  d_mean <- found$collectbeta2[1, "d", kept]
  at_zero <- function(means, name) means[1, name, kept] - between[name, "d", ] / between["d", "d", ] * d_mean
  means <- cbind(at_zero(found$collectbeta, "x2"), at_zero(found$collectbeta2, "x3"))
  coefficients[, 1] <- coefficients[, 1] + rowSums(coefficients[, 3:4] * means)
  effects <- found$collectcovuY
  chain <- cbind(coefficients, effects[1, 1, kept], effects[1, 2, kept], effects[2, 2, kept], found$collectvarY[kept], means)
  colnames(chain) <- names
  chain
}
save_draws(four_chains(one), names)
