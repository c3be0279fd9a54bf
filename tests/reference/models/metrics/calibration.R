# Observed/expected by survfit; intercept, slope and smoothed curve by weighted glm and rms::rcs.
suppressMessages({library(survival); library(rms)})
source("reading.R")

for (name in names(cohorts)) {
  cohort <- cohorts[[name]]
  for (day in c(28, 90, 180)) {
    risk <- cohort[[paste0("risk_", day)]]
    odds <- qlogis(risk)
    happened <- had_event(cohort, day)
    weight <- known_weight(cohort, day)
    curve <- survfit(Surv(time, factor(event, 0:2)) ~ 1, cohort)
    observed <- summary(curve, times = day)$pstate[, 2]
    record(name, "oe_ratio", day, observed / mean(risk))

    control <- glm.control(epsilon = 1e-14, maxit = 100)
    fit <- function(formula)
      glm(formula, family = quasibinomial, weights = weight, control = control)
    record(name, "calibration_intercept", day, coef(fit(happened ~ offset(odds)))[[1]])
    record(name, "calibration_slope", day, coef(fit(happened ~ odds))[[2]])

    knots <- quantile(odds, c(0.05, 0.35, 0.65, 0.95))
    smooth <- fit(happened ~ rcs(odds, knots))
    distance <- abs(fitted(smooth) - risk)
    record(name, "ici", day, mean(distance))
    record(name, "e50", day, quantile(distance, 0.5)[[1]])
    record(name, "e90", day, quantile(distance, 0.9)[[1]])
  }
}
write_results("calibration")
