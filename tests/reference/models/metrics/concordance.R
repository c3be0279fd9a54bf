# Harrell's, Uno's and Antolini's C by survival::concordance; Uno's with competing events by its sum.
suppressMessages(library(survival))
source("reading.R")

pairs_c <- function(cohort, score, up_to = Inf, weighted = FALSE, fold = rep(1, nrow(cohort))) {
  g <- if (weighted) censoring_before(cohort, cohort$time) else rep(1, nrow(cohort))
  numerator <- denominator <- 0
  for (i in which(cohort$event == 1 & cohort$time <= up_to)) {
    later <- cohort$time > cohort$time[i] | (cohort$time == cohort$time[i] & cohort$event == 0)
    never <- cohort$event == 2 & !later
    weight <- (later / g[i]^2 + never / (g[i] * g)) * (fold == fold[i])
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
# Every patient in one row per stretch of days, with the risk of that stretch. An event on a day falls
# into the stretch that begins there, so the cuts lie just before the days.
for (name in c("single", "competing", "tied")) {
  cohort <- get(name)
  columns <- grep("^risk_", names(cohort), value = TRUE)
  days <- as.numeric(sub("risk_", "", columns))
  last <- max(days)
  cohort$had <- as.integer(cohort$event == 1 & cohort$time <= last)
  cohort$until <- ifelse(cohort$event == 2 | cohort$time > last, last + 1, cohort$time)
  split <- survSplit(Surv(until, had) ~ ., cohort, cut = days - 1e-3, episode = "stretch")
  split <- split[split$stretch > 1, ]
  split$score <- as.matrix(split[columns])[cbind(seq_len(nrow(split)), split$stretch - 1)]
  record(name, "c_antolini", NA,
         concordance(Surv(tstart, until, had) ~ score, split, reverse = TRUE)$concordance)
}
# Out-of-fold scores: only patients of the same of five folds are compared.
for (name in c("single", "tied_single")) {
  cohort <- get(name)
  cohort$score <- cohort$risk_90
  cohort$fold <- seq_len(nrow(cohort)) %% 5
  record(name, "c_harrell_within_folds", NA,
         concordance(Surv(time, event) ~ score + strata(fold), cohort, reverse = TRUE)$concordance)
}
for (name in c("single", "competing", "tied")) {
  cohort <- get(name)
  last <- if (name == "tied") 18 else 180
  record(name, "c_uno_within_folds", last,
         pairs_c(cohort, cohort$risk_90, last, weighted = TRUE, fold = seq_len(nrow(cohort)) %% 5))
}
write_results("concordance")
