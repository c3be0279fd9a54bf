# D-calibration and its chi-square test, patient by patient; AJ-calibration by survfit.
# The competing event's curve is made of the outcome's: 0.4 F (1 - F).
suppressMessages(library(survival))
source("reading.R")

tenths_of <- function(cohort, either) {
  t(sapply(seq_len(nrow(cohort)), function(i) {
    end <- min(cohort$time[i], max(days))
    s <- 1 - approx(c(0, days), c(0, unlist(either[i, ])), end)$y
    lower <- (0:9) / 10
    if (cohort$event[i] != 0 && cohort$time[i] <= max(days))
      as.numeric(findInterval(s, lower) == 1:10)
    else sapply(lower, function(a) {
      # Of a patient known to be event-free down to probability s, the part of [0, s] in a tenth.
      if (s <= a) 0 else min(s - a, 0.1) / s
    })
  }))
}

for (name in names(cohorts)) {
  cohort <- cohorts[[name]]
  curve <- as.matrix(cohort[paste0("risk_", days)])
  competing <- 0.4 * curve * (1 - curve)
  inside <- tenths_of(cohort, if (name == "competing") curve + competing else curve)
  shares <- colMeans(inside)
  test <- suppressWarnings(chisq.test(colSums(inside), p = rep(0.1, 10)))
  record(name, "d_calibration", NA, sum(abs(shares - 0.1)) / 2)
  record(name, "d_calibration_statistic", NA, unname(test$statistic))
  record(name, "d_calibration_p_value", NA, test$p.value)

  states <- factor(cohort$event, 0:2, c("censored", "outcome", "competing"))
  observed <- function(state) {
    if (!any(states == state)) return(NULL)
    fit <- summary(survfit(Surv(time, droplevels(states)) ~ 1, cohort), times = days)
    fit$pstate[, match(state, fit$states)]
  }
  distance <- function(predicted, state) {
    gap <- c(0, abs(colMeans(predicted) - observed(state)))
    width <- diff(c(0, days))
    sum(width * (head(gap, -1) + tail(gap, -1)) / 2) / max(days)
  }
  record(name, "aj_calibration", NA, distance(curve, "outcome"))
  if (name == "competing")
    record(name, "aj_calibration_competing", NA, distance(competing, "competing"))
}
write_results("whole_curve")
