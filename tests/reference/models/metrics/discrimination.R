# Cumulative/dynamic AUC by riskRegression::Score; average precision written out.
suppressMessages({library(survival); library(prodlim); library(riskRegression)})
source("reading.R")

average_precision <- function(happened, risk, weight) {
  total <- 0
  for (threshold in unique(risk)) {
    flagged <- sum(weight[risk >= threshold])
    found <- sum((weight * happened)[risk >= threshold])
    new <- sum((weight * happened)[risk == threshold])
    total <- total + new * found / flagged
  }
  total / sum(weight * happened)
}

for (name in names(cohorts)) {
  cohort <- cohorts[[name]]
  for (day in c(28, 90, 180)) {
    risk <- cohort[[paste0("risk_", day)]]
    score <- Score(list(model = risk), Hist(time, event) ~ 1, data = cohort, times = day, cause = 1,
                   metrics = "AUC", se.fit = FALSE, null.model = FALSE)
    record(name, "auroc", day, score$AUC$score$AUC)
    record(name, "auprc", day,
           average_precision(had_event(cohort, day), risk, known_weight(cohort, day)))
  }
}
write_results("discrimination")
