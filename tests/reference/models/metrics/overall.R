# Brier score and index of prediction accuracy by riskRegression::Score; over days, by trapezoids.
suppressMessages({library(survival); library(prodlim); library(riskRegression)})
source("reading.R")

for (name in names(cohorts)) {
  cohort <- cohorts[[name]]
  scores <- sapply(days, function(day) {
    score <- Score(list(model = cohort[[paste0("risk_", day)]]), Hist(time, event) ~ 1,
                   data = cohort, times = day, cause = 1, metrics = "Brier", summary = "IPA",
                   se.fit = FALSE)$Brier$score
    model <- score[score$model == "model", ]
    record(name, "brier", day, model$Brier)
    record(name, "ipa", day, model$IPA)
    score$Brier[c(which(score$model == "model"), which(score$model == "Null model"))]
  })
  trapezoids <- function(curve) sum(diff(days) * (head(curve, -1) + tail(curve, -1)) / 2)
  record(name, "ibs", NA, trapezoids(scores[1, ]) / (max(days) - min(days)))
  record(name, "ibs_null", NA, trapezoids(scores[2, ]) / (max(days) - min(days)))
}
write_results("overall")
