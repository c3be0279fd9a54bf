# Harrell's and Uno's C by survival::concordance; with competing events by their double sums.
suppressMessages(library(survival))
source("reading.R")

pairs_c <- function(cohort, score, up_to = Inf, weighted = FALSE) {
  g <- if (weighted) censoring_before(cohort, cohort$time) else rep(1, nrow(cohort))
  numerator <- denominator <- 0
  for (i in which(cohort$event == 1 & cohort$time <= up_to)) {
    later <- cohort$time > cohort$time[i] | (cohort$time == cohort$time[i] & cohort$event == 0)
    never <- cohort$event == 2 & !later
    weight <- later / g[i]^2 + never / (g[i] * g)
    agrees <- (score[i] > score) + 0.5 * (score[i] == score)
    numerator <- numerator + sum(weight * agrees)
    denominator <- denominator + sum(weight)
  }
  numerator / denominator
}

tied_single <- tied
tied_single$event <- as.integer(tied$event == 1)
for (name in c("single", "tied_single")) {
  cohort <- get(name)
  score <- cohort$risk_90
  last <- if (name == "single") 180 else 18
  record(name, "c_harrell", NA,
         concordance(Surv(time, event) ~ score, cohort, reverse = TRUE)$concordance)
  record(name, "c_uno", last,
         concordance(Surv(time, event) ~ score, cohort, reverse = TRUE, timewt = "n/G2",
                     ymax = last)$concordance)
}
for (name in c("competing", "tied")) {
  cohort <- get(name)
  score <- cohort$risk_90
  for_ever <- ifelse(cohort$event == 2, max(cohort$time) + 1, cohort$time)
  record(name, "c_harrell", NA,
         concordance(Surv(for_ever, cohort$event == 1) ~ score, reverse = TRUE)$concordance)
  last <- if (name == "competing") 180 else 18
  record(name, "c_uno", last, pairs_c(cohort, score, last, weighted = TRUE))
}
write_results("concordance")
