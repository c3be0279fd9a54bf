# Brier score and index of prediction accuracy by riskRegression::Score; their mean over days.
suppressMessages({library(survival); library(prodlim); library(riskRegression)})
source("reading.R")

for (name in names(cohorts)) {
  cohort <- cohorts[[name]]
  brier <- sapply(days, function(day) {
    score <- Score(list(model = cohort[[paste0("risk_", day)]]), Hist(time, event) ~ 1,
                   data = cohort, times = day, cause = 1, metrics = "Brier", summary = "IPA",
                   se.fit = FALSE)$Brier$score
    model <- score[score$model == "model", ]
    record(name, "brier", day, model$Brier)
    record(name, "ipa", day, model$IPA)
    model$Brier
  })
  trapezoids <- sum(diff(days) * (head(brier, -1) + tail(brier, -1)) / 2)
  record(name, "ibs", NA, trapezoids / (max(days) - min(days)))
}
write_results("overall")
