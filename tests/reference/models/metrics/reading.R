# What every script starts with: the cohorts, the weights and the way results are written.
single <- read.csv("data/single.csv")
competing <- read.csv("data/competing.csv")
tied <- read.csv("data/tied.csv")
binary <- read.csv("data/binary.csv")
days <- as.numeric(sub("risk_", "", grep("^risk_", names(single), value = TRUE)))
cohorts <- list(single = single, competing = competing)

# Weights by the Kaplan-Meier curve of censoring, which no script takes from Osteon.
left_limit <- function(curve, at) stats::approx(curve$time, curve$surv, at, "constant", yleft = 1,
                                                rule = 2, f = 0)$y
censoring_before <- function(cohort, at) {
  # Deaths precede censorings at the same time, as survfit has it once they are moved a little back.
  earlier <- cohort$time - ifelse(cohort$event == 0, 0, 1e-7)
  curve <- survival::survfit(survival::Surv(earlier, cohort$event == 0) ~ 1, timefix = FALSE)
  left_limit(list(time = curve$time, surv = curve$surv), at - 2e-7)
}
known_weight <- function(cohort, day) {
  known <- (cohort$event != 0 & cohort$time <= day) | cohort$time >= day
  ifelse(known, 1 / censoring_before(cohort, pmin(cohort$time, day)), 0)
}
had_event <- function(cohort, day) as.numeric(cohort$event == 1 & cohort$time <= day)

results <- data.frame()
record <- function(cohort, metric, day, value)
  results <<- rbind(results, data.frame(cohort = cohort, metric = metric, day = day,
                                        value = format(value, digits = 15)))
write_results <- function(topic) {
  target <- commandArgs(trailingOnly = TRUE)
  write.csv(results, file.path(if (length(target)) target[1] else ".", paste0(topic, ".csv")),
            row.names = FALSE, quote = FALSE)
}
