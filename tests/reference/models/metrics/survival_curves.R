# Kaplan-Meier by survival::survfit, Aalen-Johansen by cmprsk::cuminc.
suppressMessages({library(survival); library(cmprsk)})
source("reading.R")

for (name in c("competing", "tied")) {
  cohort <- get(name)
  at <- if (name == "competing") days else c(1, 3, 5, 9, 12, 18)
  kaplan_meier <- survfit(Surv(time, event != 0) ~ 1, cohort)
  record(name, "event_free", at, summary(kaplan_meier, times = at)$surv)
  incidence <- timepoints(cuminc(cohort$time, cohort$event), at)$est
  record(name, "incidence_1", at, incidence[1, ])
  record(name, "incidence_2", at, incidence[2, ])
}
write_results("survival_curves")
