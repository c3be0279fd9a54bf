# Calibration and refinement of the Brier score by a logistic recalibration, each patient left out
# of that patient's own: one Newton step from the fit to all, by glm's leverages; and exactly, by
# fitting again without the patient.
suppressMessages(library(survival))
source("reading.R")

for (name in names(cohorts)) {
  cohort <- cohorts[[name]]
  for (day in c(28, 90, 180)) {
    weight <- known_weight(cohort, day)
    known <- weight > 0
    data <- data.frame(y = had_event(cohort, day), x = qlogis(cohort[[paste0("risk_", day)]]),
                       w = weight)[known, ]
    fit <- suppressWarnings(glm(y ~ x, binomial, data, weights = w,
                                control = list(epsilon = 1e-14, maxit = 50)))
    # hatvalues gives w v q; a patient's log-odds move by (y - p) / v times h / (1 - h).
    p <- fitted(fit)
    h <- hatvalues(fit)
    moved <- predict(fit) - (data$y - p) / (p * (1 - p)) * h / (1 - h)
    exact <- sapply(seq_len(nrow(data)), function(i) {
      without <- suppressWarnings(glm(y ~ x, binomial, data[-i, ], weights = w,
                                      control = list(epsilon = 1e-14, maxit = 50)))
      predict(without, data[i, ])
    })
    score <- function(risk) sum(data$w * (data$y - risk)^2) / nrow(cohort)
    brier <- score(plogis(data$x))
    record(name, "brier_refinement", day, score(plogis(moved)))
    record(name, "brier_calibration", day, brier - score(plogis(moved)))
    record(name, "brier_refinement_refitted", day, score(plogis(exact)))
  }
}
write_results("brier_split")
