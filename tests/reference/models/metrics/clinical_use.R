# Net benefit by its definition, weighted for censoring; and without censoring, where no weight is.
suppressMessages(library(survival))
source("reading.R")

net_benefit <- function(happened, treated, weight, threshold)
  mean(weight * treated * happened) -
    mean(weight * treated * (1 - happened)) * threshold / (1 - threshold)

for (threshold in c(0.1, 0.25, 0.5)) {
  at <- 100 * threshold
  for (name in names(cohorts)) {
    cohort <- cohorts[[name]]
    happened <- had_event(cohort, 90)
    weight <- known_weight(cohort, 90)
    record(name, "net_benefit", at, net_benefit(happened, cohort$risk_90 >= threshold, weight,
                                                threshold))
    record(name, "net_benefit_of_all", at, net_benefit(happened, TRUE, weight, threshold))
  }
  table <- table(binary$event, plogis(binary$first) >= threshold)
  record("binary", "net_benefit", at,
         (table["1", "TRUE"] - table["0", "TRUE"] * threshold / (1 - threshold)) / nrow(binary))
}
write_results("clinical_use")
