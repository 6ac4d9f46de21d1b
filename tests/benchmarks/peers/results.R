# What the R peers share: arguments, data, phases, the file of draws (doubles: chain, draw, parameter, last index fastest).
arguments <- commandArgs(TRUE)
model <- arguments[1]
data <- read.csv(file.path(arguments[2], paste0(model, ".csv")))
out <- arguments[3]
draws <- as.integer(arguments[4])
warmup <- as.integer(arguments[5])
phases <- list()
since <- 0
lap <- function(phase) {
  now <- as.numeric(proc.time()["elapsed"])
  phases[[phase]] <<- now - since
  since <<- now
}
first <- !duplicated(data$id)
two_level <- substr(model, 1, 1) == "N" || model %in% c("P1", "P7")
INTERCEPT_SLOPE <- c("var_u0", "cov_u01", "var_u1")
TWO_LEVEL <- c("b0", "b_x1", "b_x2", "b_x3", "b_d", INTERCEPT_SLOPE, "var_e")

write_meta <- function(...) {
  writeLines(jsonlite::toJSON(list(phases = phases, ...), auto_unbox = TRUE, digits = NA, na = "null"), file.path(out, "meta.json"))
}
save_draws <- function(chains, names) {
  file <- file(file.path(out, "draws.bin"), "wb")
  for (chain in chains) writeBin(as.double(t(chain[, names])), file)
  close(file)
  write_meta(names = names, shape = c(length(chains), nrow(chains[[1]]), length(names)))
}
save_estimates <- function(estimates) write_meta(names = names(estimates), estimates = as.numeric(estimates))
four_chains <- function(one) {
  found <- parallel::mclapply(1:4, one, mc.cores = 2, mc.preschedule = FALSE)
  lap("sampling")
  for (chain in found) if (inherits(chain, "try-error")) stop(chain)
  found
}
