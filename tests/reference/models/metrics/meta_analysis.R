# Random-effects meta-analysis by metafor: REML, Hartung-Knapp (knha) and modified (adhoc).
# Columns as those of the other topics: the name of the example is its `cohort`.
suppressMessages(library(metafor))

bcg <- escalc(measure = "RR", ai = tpos, bi = tneg, ci = cpos, di = cneg, data = dat.bcg)
examples <- list(
  # Trials of the BCG vaccine (Colditz et al., JAMA 1994;271:698-702), log relative risks.
  bcg = list(y = as.numeric(bcg$yi), v = as.numeric(bcg$vi)),
  # Log-odds of AUROC at six sites, rounded; they differ.
  sites = list(y = c(1.10, 1.35, 0.92, 1.48, 1.21, 0.80),
               v = c(0.12, 0.08, 0.15, 0.10, 0.20, 0.09)^2),
  # Three sites that agree by more than chance: the modified error applies.
  alike = list(y = c(0.02, 0.03, 0.025), v = c(0.10, 0.12, 0.08)^2),
  # Sites of very unequal size.
  unequal = list(y = c(-0.30, 0.05, 0.60, 0.10), v = c(0.02, 0.40, 0.35, 0.05)^2)
)
results <- data.frame()
record <- function(cohort, metric, value)
  results <<- rbind(results, data.frame(cohort = cohort, metric = metric, day = NA,
                                        value = format(value, digits = 15)))
for (name in names(examples)) {
  one <- examples[[name]]
  for (i in seq_along(one$y)) {
    record(name, paste0("y", i), one$y[i])
    record(name, paste0("v", i), one$v[i])
  }
  exact <- list(threshold = 1e-14, maxiter = 10000)
  plain <- rma(one$y, one$v, method = "REML", test = "knha", control = exact)
  fit <- rma(one$y, one$v, method = "REML", test = "adhoc", control = exact)
  record(name, "tau2", fit$tau2)
  record(name, "mean", as.numeric(fit$beta))
  record(name, "se", fit$se)
  record(name, "se_knha", plain$se)
  record(name, "low", fit$ci.lb)
  record(name, "high", fit$ci.ub)
  # The confidence distribution of tau^2 (Q-profile): its ends, and the mixture of a new cluster's
  # normal distributions over it, at the midpoints of 2,000 equal parts.
  ends <- suppressWarnings(confint(fit, control = list(tol = 1e-12)))$random["tau^2", ]
  record(name, "tau2_low", ends[["ci.lb"]])
  record(name, "tau2_high", ends[["ci.ub"]])
  k <- length(one$y)
  mean_at <- function(t) sum(one$y / (one$v + t)) / sum(1 / (one$v + t))
  excess <- function(t, p) sum((one$y - mean_at(t))^2 / (one$v + t)) - qchisq(1 - p, k - 1)
  levels <- (seq_len(2000) - 0.5) / 2000
  tau2 <- vapply(levels, function(p) {
    if (excess(0, p) <= 0) 0 else uniroot(excess, c(0, 1e6), p = p, tol = 1e-13)$root
  }, numeric(1))
  center <- vapply(tau2, mean_at, numeric(1))
  spread <- sqrt(tau2 + vapply(tau2, function(t) 1 / sum(1 / (one$v + t)), numeric(1)))
  end_at <- function(p)
    uniroot(function(x) mean(pnorm((x - center) / spread)) - p, c(-100, 100), tol = 1e-12)$root
  record(name, "next_low", end_at(0.025))
  record(name, "next_high", end_at(0.975))
}
target <- commandArgs(trailingOnly = TRUE)
write.csv(results, file.path(if (length(target)) target[1] else ".", "meta_analysis.csv"),
          row.names = FALSE, quote = FALSE)
