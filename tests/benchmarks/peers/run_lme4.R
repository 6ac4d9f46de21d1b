# lme4, the yardstick of likelihood: REML, and for P4 maximum likelihood by the Laplace approximation.
here <- dirname(sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE)))
source(file.path(here, "results.R"))
suppressMessages(library(lme4))
lap("import")
parts <- function(matrix, names) setNames(c(matrix[1, 1], matrix[2, 1], matrix[2, 2]), names)
if (two_level) {
  fit <- lmer(y ~ x1 + x2 + x3 + d + (1 + x1 | id), data)
  coefficients <- setNames(fixef(fit), TWO_LEVEL[1:5])
} else if (model == "P2") {
  fit <- lmer(y ~ time * d + (1 + time | id3) + (1 + time | id), data)
  coefficients <- setNames(fixef(fit), c("b0", "b_time", "b_d", "b_td"))
} else {
  fit <- glmer(y ~ x + w + (1 + x | id), data, family = binomial)
  coefficients <- setNames(fixef(fit), c("b0", "b_x", "b_w"))
}
lap("fitting")
spread <- VarCorr(fit)
found <- if (model == "P2") {
  c(parts(spread$id, c("v2_0", "v2_01", "v2_1")), parts(spread$id3, c("v3_0", "v3_01", "v3_1")))
} else {
  parts(spread$id, INTERCEPT_SLOPE)
}
save_estimates(c(coefficients, found, if (model != "P4") c(var_e = sigma(fit)^2)))
