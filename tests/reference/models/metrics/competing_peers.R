# Risks by riskRegression's Fine-Gray and cause-specific Cox of the patients that they are fitted on.
suppressMessages(library(riskRegression))
suppressMessages(library(prodlim))
suppressMessages(library(survival))
source("reading.R")

days <- list(competing = c(20, 90, 180), tied = c(10, 15, 20))
for (name in names(days)) {
  cohort <- get(name)
  cohort$score <- cohort$risk_90
  cohort$third <- seq_len(nrow(cohort)) %% 3
  fits <- list(fine_gray = FGR(Hist(time, event) ~ score + third, cohort, cause = 1),
               cause_specific_cox = CSC(Hist(time, event) ~ score + third, cohort))
  for (model in names(fits)) for (day in days[[name]]) {
    risk <- predictRisk(fits[[model]], newdata = cohort[1:3, ], times = day, cause = 1)
    for (patient in 1:3) record(name, paste(model, patient, sep = "_"), day, risk[patient])
  }
}
write_results("competing_peers")
