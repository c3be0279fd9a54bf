# Aalen-Johansen pseudo-values by prodlim::jackknife (survival::pseudo takes the infinitesimal
# jackknife instead); observed/expected, calibration intercept and slope of them by Newton's method on
# the score equations sum x (pseudo - plogis(x b)) = 0.
suppressMessages({library(survival); library(prodlim)})
source("reading.R")

score_root <- function(pseudo, x, offset) {
  b <- rep(0, ncol(x))
  for (step in 1:50) {
    mean <- plogis(offset + x %*% b)
    gradient <- t(x) %*% (pseudo - mean)
    b <- b + solve(t(x) %*% (x * as.numeric(mean * (1 - mean))), gradient)
  }
  as.numeric(b)
}

for (name in c("single", "competing", "tied")) {
  cohort <- get(name)
  day <- if (name == "tied") 9 else 90
  curve <- prodlim(Hist(time, event) ~ 1, cohort)
  pseudo <- if (any(cohort$event == 2)) jackknife(curve, times = day, cause = 1) else
    1 - jackknife(curve, times = day)
  pseudo <- as.numeric(pseudo)
  record(name, paste0("pseudo_", seq_along(pseudo)), day, pseudo)
  risk <- cohort$risk_90
  odds <- qlogis(risk)
  one <- cbind(rep(1, nrow(cohort)))
  record(name, "oe_ratio", day, mean(pseudo) / mean(risk))
  record(name, "calibration_intercept", day, score_root(pseudo, one, odds))
  record(name, "calibration_slope", day, score_root(pseudo, cbind(one, odds), 0 * odds)[2])
}
write_results("pseudo_values")
